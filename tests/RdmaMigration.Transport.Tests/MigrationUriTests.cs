namespace RdmaMigration.Transport.Tests;

public sealed class MigrationUriTests
{
    public static TheoryData<string, object> QemusSpelling => new()
    {
        { "rdma:10.77.0.1:4444", new RdmaUri("10.77.0.1", 4444) },
        { "tcp:10.77.0.1:4444", new TcpUri("10.77.0.1", 4444) },
        { "tcp:[fd77::1]:4444", new TcpUri("fd77::1", 4444) },
        { "tcp::0", new TcpUri("", 0) },
        { "tcp::0,ipv4=on", new TcpUri("", 0) { Ipv4 = true } },
        { "tcp:host.example:4444,ipv4=off,ipv6=on", new TcpUri("host.example", 4444) { Ipv4 = false, Ipv6 = true } },
        { "tcp:10.77.0.1:4444,ipv6=off", new TcpUri("10.77.0.1", 4444) { Ipv6 = false } },
        { "rdma:[fd77::1]:4444,ipv6=on", new RdmaUri("fd77::1", 4444) { Ipv6 = true } },
        { "unix:/run/a:b.sock", new UnixUri("/run/a:b.sock") },
        { "file:/srv/vm.qemu", new FileUri("/srv/vm.qemu") },
        { "file:/srv/vm.qemu,offset=4096", new FileUri("/srv/vm.qemu", 4096) },
        { "exec:gzip -c > 'a:b'", new ExecUri("gzip -c > 'a:b'") },
        { "fd:5", new DescriptorUri(5) },
    };

    [Theory]
    [MemberData(nameof(QemusSpelling))]
    public void Every_kind_is_read_and_written_back(string text, object expected)
    {
        MigrationUri uri = MigrationUri.Parse(text);
        Assert.Equal(expected, uri);
        Assert.Equal(text, uri.ToString());
        Assert.Equal(expected is RdmaUri, uri.IsRdma);
    }

    [Theory]
    [InlineData("0", 0)]
    [InlineData("0x1000", 4096)]
    [InlineData("4K", 4096)]
    [InlineData("4k", 4096)]
    [InlineData("0x10M", 16L << 20)]
    [InlineData("3G", 3L << 30)]
    [InlineData("9223372036854775807", long.MaxValue)]
    public void An_offset_is_decimal_or_hexadecimal_with_a_binary_unit(string offset, long expected) =>
        Assert.Equal(new FileUri("vm", expected), MigrationUri.Parse($"file:vm,offset={offset}"));

    [Theory]
    [InlineData("", "exec:COMMAND")]
    [InlineData("10.0.0.1:4444", "rdma:HOST:PORT")]
    [InlineData("TCP:10.0.0.1:4444", "tcp:HOST:PORT")]
    [InlineData("tcp:10.0.0.1", "tcp:HOST:PORT")]
    [InlineData("tcp:10.0.0.1:4444,ipv4=yes", "'yes'; expected on or off")]
    [InlineData("tcp:10.0.0.1:4444,ipv4=", "''; expected on or off")]
    [InlineData("tcp:10.0.0.1:4444,to=4450", "'to'; expected ipv4 or ipv6")]
    [InlineData("tcp:10.0.0.1:4444,", "''; expected ipv4 or ipv6")]
    [InlineData("rdma:10.0.0.1:4444,ipv4=off", "10.0.0.1")]
    [InlineData("tcp:10.0.0.1:4444,ipv6", "10.0.0.1")]
    [InlineData("tcp:[::]:4444,ipv4=on", "IPv6")]
    [InlineData("tcp:[::]:4444,ipv6=off", "IPv6")]
    [InlineData("tcp:host:4444,ipv4=off,ipv6=off", "leaves no address")]
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
    public void Another_form_is_refused_with_the_part_that_is_wrong(string text, string expected) =>
        Assert.Contains(expected, Assert.Throws<FormatException>(() => MigrationUri.Parse(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("tcp:host.example:4444,ipv4", "tcp:host.example:4444,ipv4=on")]
    [InlineData("rdma:host.example:4444,ipv6", "rdma:host.example:4444,ipv6=on")]
    public void An_option_without_a_value_is_on(string text, string written) => Assert.Equal(written, MigrationUri.Parse(text).ToString());

    [Fact]
    public void A_name_without_an_address_of_the_family_asked_for_is_refused()
    {
        // In every /etc/hosts.
        TcpUri uri = new("localhost", 4444);
        Assert.All((uri with { Ipv4 = true }).Resolve(), address => Assert.Equal(System.Net.Sockets.AddressFamily.InterNetwork, address.AddressFamily));
        Assert.Throws<ConnectFailedException>(() => (new TcpUri("127.0.0.1", 4444) with { Ipv6 = true }).Resolve());
    }

    [Fact]
    public void A_sockets_path_is_refused_when_the_kernel_could_not_hold_it()
    {
        Assert.Equal(new UnixUri(new string('a', 107)), MigrationUri.Parse("unix:" + new string('a', 107)));
        Assert.Contains("108 bytes", Assert.Throws<FormatException>(() => MigrationUri.Parse("unix:" + new string('é', 54))).Message, StringComparison.Ordinal);
    }
}
