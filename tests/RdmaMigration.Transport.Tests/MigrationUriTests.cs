namespace RdmaMigration.Transport.Tests;

public sealed class MigrationUriTests
{
    public static TheoryData<string, MigrationUri> QemusSpelling => new()
    {
        { "rdma:10.77.0.1:4444", new RdmaUri("10.77.0.1", 4444) },
        { "tcp:10.77.0.1:4444", new TcpUri("10.77.0.1", 4444) },
        { "tcp:[fd77::1]:4444", new TcpUri("fd77::1", 4444) },
        { "tcp::0", new TcpUri("", 0) },
        { "unix:/run/a:b.sock", new UnixUri("/run/a:b.sock") },
        { "file:/srv/vm.qemu", new FileUri("/srv/vm.qemu") },
        { "file:/srv/vm.qemu,offset=4096", new FileUri("/srv/vm.qemu", 4096) },
        { "exec:gzip -c > 'a:b'", new ExecUri("gzip -c > 'a:b'") },
        { "fd:5", new DescriptorUri(5) },
    };

    [Theory]
    [MemberData(nameof(QemusSpelling))]
    public void EveryKindIsReadAndWrittenBack(string text, MigrationUri expected)
    {
        MigrationUri uri = MigrationUri.Parse(text);
        Assert.Equal(expected, uri);
        Assert.Equal(text, uri.ToString());
    }

    [Theory]
    [InlineData("0", 0)]
    [InlineData("0x1000", 4096)]
    [InlineData("4K", 4096)]
    [InlineData("4k", 4096)]
    [InlineData("0x10M", 16L << 20)]
    [InlineData("3G", 3L << 30)]
    [InlineData("9223372036854775807", long.MaxValue)]
    public void AnOffsetIsDecimalOrHexadecimalWithABinaryUnit(string offset, long expected) =>
        Assert.Equal(new FileUri("vm", expected), MigrationUri.Parse($"file:vm,offset={offset}"));

    [Theory]
    [InlineData("", "exec:COMMAND")]
    [InlineData("10.0.0.1:4444", "rdma:HOST:PORT")]
    [InlineData("TCP:10.0.0.1:4444", "tcp:HOST:PORT")]
    [InlineData("tcp:10.0.0.1", "tcp:HOST:PORT")]
    [InlineData("tcp:10.0.0.1:4444,ipv4=on", "65535")]
    [InlineData("tcp:[host.example]:4444", "brackets")]
    [InlineData("tcp:[10.0.0.1]:4444", "brackets")]
    [InlineData("rdma:[host.example]:4444", "brackets")]
    [InlineData("rdma:[[::1]]:4444", "brackets")]
    [InlineData("unix:", "unix:PATH")]
    [InlineData("file:", "file:PATH")]
    [InlineData("file:,offset=1", "file:PATH")]
    [InlineData("file:vm,offset=", "offset ''")]
    [InlineData("file:vm,offset=-1", "offset '-1'")]
    [InlineData("file:vm,offset=1.5G", "offset '1.5G'")]
    [InlineData("file:vm,offset=9223372036854775808", "8 EiB")]
    [InlineData("file:vm,offset=0x7fffffffffffffffK", "8 EiB")]
    [InlineData("exec: ", "exec:COMMAND")]
    [InlineData("fd:", "fd:N")]
    [InlineData("fd:-1", "fd:N")]
    [InlineData("fd:migration", "fd:N")]
    public void AnotherFormIsRefusedWithThePartThatIsWrong(string text, string expected) =>
        Assert.Contains(expected, Assert.Throws<FormatException>(() => MigrationUri.Parse(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void ASocketsPathIsRefusedWhenTheKernelCouldNotHoldIt()
    {
        Assert.Equal(new UnixUri(new string('a', 107)), MigrationUri.Parse("unix:" + new string('a', 107)));
        Assert.Contains("108 bytes", Assert.Throws<FormatException>(() => MigrationUri.Parse("unix:" + new string('é', 54))).Message, StringComparison.Ordinal);
    }
}
