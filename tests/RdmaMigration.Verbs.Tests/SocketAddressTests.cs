using System.Net;

namespace RdmaMigration.Verbs.Tests;

public sealed class SocketAddressTests
{
    [Theory]
    [InlineData("10.77.0.1:4444")]
    [InlineData("[fd77::1]:65535")]
    [InlineData("[fe80::1%3]:1")]
    [InlineData("0.0.0.0:0")]
    public void Address_survives_the_native_form(string text)
    {
        IPEndPoint endPoint = IPEndPoint.Parse(text);
        Span<byte> native = stackalloc byte[SocketAddresses.MaxLength];
        native.Fill(0xff);
        SocketAddresses.Write(endPoint, native);
        Assert.Equal(endPoint, SocketAddresses.Read(native));
    }

    [Theory]
    [InlineData("10.77.0.1:4444")]
    [InlineData("[fd77::1]:65535")]
    public void Native_form_is_the_one_of_the_socket_library(string text)
    {
        IPEndPoint endPoint = IPEndPoint.Parse(text);
        byte[] native = new byte[SocketAddresses.MaxLength];
        SocketAddresses.Write(endPoint, native);
        SocketAddress expected = endPoint.Serialize();
        Assert.Equal(expected.Buffer.Span[..expected.Size], native.AsSpan(0, expected.Size));
    }

    [Fact]
    public void Unset_address_is_none() => Assert.Null(SocketAddresses.Read(new byte[SocketAddresses.MaxLength]));
}
