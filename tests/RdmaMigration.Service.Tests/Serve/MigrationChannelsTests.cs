using System.Text.Json;
using RdmaMigration.Engine;
using RdmaMigration.Qmp;

namespace RdmaMigration.Service.Tests.Serve;

/// <summary>The addresses of migrate and migrate-incoming.</summary>
public sealed class MigrationChannelsTests
{
    [Theory]
    [InlineData("""{"transport": "socket", "type": "inet", "host": "::1", "port": "4444"}""", "tcp:[::1]:4444")]
    [InlineData("""{"transport": "socket", "type": "inet", "host": "", "port": "0", "ipv6": false}""", "tcp::0,ipv6=off")]
    [InlineData("""{"transport": "rdma", "host": "10.0.0.5", "port": "4444", "ipv4": true}""", "rdma:10.0.0.5:4444,ipv4=on")]
    [InlineData("""{"transport": "socket", "type": "unix", "path": "/run/a,b"}""", "unix:/run/a,b")]
    [InlineData("""{"transport": "socket", "type": "fd", "str": "5"}""", "fd:5")]
    [InlineData("""{"transport": "socket", "type": "fd", "str": "migrate"}""", "fd:migrate")]
    [InlineData("""{"transport": "file", "filename": "/srv/vm", "offset": 4096}""", "file:/srv/vm,offset=4096")]
    [InlineData("""{"transport": "exec", "args": ["cat", "it's", ""]}""", """exec:'cat' 'it'\''s' ''""")]
    public void An_address_is_read_as_the_URI_that_means_the_same(string address, string uri) => Assert.Equal(uri, Read(address));

    [Theory]
    [InlineData("""{"transport": "socket", "type": "inet", "host": "10.0.0.5", "port": "4444,ipv4=off"}""")]
    [InlineData("""{"transport": "socket", "type": "inet", "host": "10.0.0.5,ipv4", "port": "4444"}""")]
    [InlineData("""{"transport": "socket", "type": "inet", "host": "10.0.0.5", "port": "ssh"}""")]
    [InlineData("""{"transport": "rdma", "host": "10.0.0.5", "port": "65536"}""")]
    [InlineData("""{"transport": "rdma", "host": "10.0.0.5", "port": "1", "ipv4": false}""")]
    [InlineData("""{"transport": "socket", "type": "unix", "path": "a\u0000b"}""")]
    [InlineData("""{"transport": "socket", "type": "fd", "str": "5x"}""")]
    [InlineData("""{"transport": "file", "filename": "", "offset": 0}""")]
    [InlineData("""{"transport": "file", "filename": "a\u0000b", "offset": 0}""")]
    [InlineData("""{"transport": "file", "filename": "a", "offset": -1}""")]
    [InlineData("""{"transport": "file", "filename": "a"}""")]
    [InlineData("""{"transport": "exec", "args": []}""")]
    [InlineData("""{"transport": "exec", "args": [""]}""")]
    [InlineData("""{"transport": "exec", "args": ["cat", "a\u0000b"]}""")]
    [InlineData("""{"transport": "vsock"}""")]
    public void An_address_that_the_URI_does_not_allow_is_refused(string address) => Assert.Throws<QmpException>(() => Read(address));

    private static string Read(string address)
    {
        using JsonDocument document = JsonDocument.Parse($$"""{"channels": [{"channel-type": "main", "addr": {{address}}}]}""");
        QmpArguments arguments = new(document.RootElement, new MigrationTypes(QemuProfile.Qemu111, new QmpEnum()).Migrate);
        string uri = MigrationChannels.Read(arguments, takesChannels: true, MigrationSide.Outgoing).ToString();
        _ = arguments.OptionalBoolean("resume");
        arguments.End();
        return uri;
    }
}
