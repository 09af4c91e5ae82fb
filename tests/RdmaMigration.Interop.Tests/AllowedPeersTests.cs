using System.Globalization;
using System.Text.RegularExpressions;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>Who may connect over tcp, by the source port that the kernel gives to a QEMU. Over RDMA: <see cref="RefusalTests"/>.</summary>
[Trait("needs", "qemu")]
public sealed partial class AllowedPeersTests : ReceiverTests
{
    [Theory]
    [InlineData("tcp:127.0.0.1:0", "127.0.0.1", "127.0.0.0/8")]
    [InlineData("tcp:[::1]:0", "[::1]", "[::1/128]")]
    public async Task A_QEMU_is_refused_by_other_source_ports_and_taken_by_its_own(string uri, string host, string network)
    {
        // More than the kernel's buffers take, so that the source notices.
        await using QemuMachine source = await StartSourceAsync("pc", 64, halfZero: false);
        await using (RdmamigProcess closed = await RdmamigProcess.ListenAsync(uri, NewFolder("closed"), ["--allow", $"{network}:1-1023"]))
        {
            Assert.Equal("failed", (await source.MigrateAsync(closed.Uri)).Status);
            await closed.SignalAsync("TERM");
            Assert.Equal(130, await closed.Process.WaitForExitAsync(Deadlines.Answer));

            Match refusal = Refusal().Match(closed.Process.Errors);
            Assert.Equal((host, $"{network}:1-1023"), (refusal.Groups["host"].Value, refusal.Groups["allowed"].Value));
            Assert.InRange(int.Parse(refusal.Groups["port"].Value, CultureInfo.InvariantCulture), 1024, 65535);
        }

        (int first, int last) = EphemeralPorts();
        await using RdmamigProcess open = await RdmamigProcess.ListenAsync(uri, NewFolder("open"), ["--allow", $"{network}:{first}-{last}"]);
        (_, ReceiveResult result) = await open.TakeAsync(source);
        await Restoration.IsIdenticalAsync(source, result.File, Work);
    }

    [GeneratedRegex(@"rejected (?<host>\S+):(?<port>\d+): \S+:\k<port> .*networks (?<allowed>\S+)")]
    private static partial Regex Refusal();

    /// <summary>The ports that the kernel gives to those who do not ask for one.</summary>
    private static (int First, int Last) EphemeralPorts()
    {
        string[] ports = File.ReadAllText("/proc/sys/net/ipv4/ip_local_port_range").Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return (int.Parse(ports[0], CultureInfo.InvariantCulture), int.Parse(ports[1], CultureInfo.InvariantCulture));
    }
}
