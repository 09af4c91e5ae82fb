using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;

namespace RdmaMigration.Linux.Tests;

public sealed class SocketMessageTests : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"rdmamig-{Guid.NewGuid():N}");
    private readonly Socket _sender = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly Socket _receiver;
    private readonly List<SafeFileHandle> _received = [];

    public SocketMessageTests()
    {
        using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(_path));
        listener.Listen();
        _sender.Connect(new UnixDomainSocketEndPoint(_path));
        _receiver = listener.Accept();
    }

    public void Dispose()
    {
        _received.ForEach(handle => handle.Dispose());
        _sender.Dispose();
        _receiver.Dispose();
        File.Delete(_path);
    }

    [Fact]
    public void A_read_ends_behind_the_bytes_that_a_descriptor_came_with()
    {
        using SafeFileHandle file = File.OpenHandle("/dev/null");
        _sender.Send("ab"u8);
        Assert.Equal(2, Send("cd"u8, file));
        Assert.Equal(2, Send("ef"u8, file));
        Assert.Equal(("abcd", 1), Receive());
        Assert.Equal(("ef", 2), Receive());

        Assert.NotEqual(file.DangerousGetHandle(), _received[0].DangerousGetHandle());
        FileStatus? sent = FileStatus.Of((int)file.DangerousGetHandle());
        Assert.Equal([sent, sent], _received.Select(handle => FileStatus.Of((int)handle.DangerousGetHandle())));
    }

    [Fact]
    public void Nothing_to_read_is_EAGAIN_and_the_end_is_0()
    {
        Assert.Equal(Errno.EAGAIN, SocketMessage.Receive((int)_receiver.Handle, new byte[8], _received).Error);
        _sender.Dispose();
        Assert.Equal(0, SocketMessage.Receive((int)_receiver.Handle, new byte[8], _received).OrThrow("recvmsg"));
        Assert.Empty(_received);
    }

    private int Send(ReadOnlySpan<byte> bytes, SafeFileHandle file) =>
        SocketMessage.Send((int)_sender.Handle, bytes, (int)file.DangerousGetHandle()).OrThrow("sendmsg");

    private (string Bytes, int Descriptors) Receive()
    {
        byte[] buffer = new byte[64];
        int count = SocketMessage.Receive((int)_receiver.Handle, buffer, _received).OrThrow("recvmsg");
        return (System.Text.Encoding.ASCII.GetString(buffer, 0, count), _received.Count);
    }
}
