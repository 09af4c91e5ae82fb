namespace RdmaMigration.Transport.Tests;

public sealed class RdmaUriTests
{
    [Theory]
    [InlineData("rdma:10.77.0.1:4444", "10.77.0.1", 4444)]
    [InlineData("rdma:[fd77::1]:4444", "fd77::1", 4444)]
    [InlineData("rdma:host.example:0", "host.example", 0)]
    [InlineData("rdma::4444", "", 4444)]
    public void QEMUs_form_is_read_and_written_back(string text, string host, int port)
    {
        RdmaUri uri = RdmaUri.Parse(text);
        Assert.Equal(new RdmaUri(host, port), uri);
        Assert.Equal(text, uri.ToString());
    }

    [Theory]
    [InlineData("tcp:10.0.0.1:4444", "rdma:")]
    [InlineData("rdma:10.0.0.1", "port")]
    [InlineData("rdma:10.0.0.1:", "port")]
    [InlineData("rdma:10.0.0.1:65536", "65535")]
    [InlineData("rdma:10.0.0.1:-1", "65535")]
    [InlineData("rdma:fd77::1:4444", "brackets")]
    [InlineData("rdma:[fd77::1:4444", "brackets")]
    public void Another_form_is_refused_with_the_part_that_is_wrong(string text, string expected) =>
        Assert.Contains(expected, Assert.Throws<FormatException>(() => RdmaUri.Parse(text)).Message, StringComparison.Ordinal);
}
