using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>A service and a QEMU in the same place of the same script, for each version that has a profile.</summary>
[Trait("needs", "qemu")]
public sealed class ServeComparisonTests : ReceiverTests
{
    private const string RecordedRam =
        "ram{dirty-pages-rate,dirty-sync-count,dirty-sync-missed-zero-copy,downtime-bytes,duplicate,mbps,multifd-bytes,normal,normal-bytes,page-size,"
        + "pages-per-second,postcopy-bytes,postcopy-requests,precopy-bytes,remaining,total,transferred}";

    /// <summary>Run state, status and members of QEMU 11.1, as recorded.</summary>
    private static readonly Dictionary<string, string> s_recorded = new()
    {
        ["idle"] = "inmigrate False  {running,status} {}",
        ["listening"] = "inmigrate False setup {running,status} {socket-address[{host,ipv4,port,type}],status}",
        ["arriving"] = "inmigrate False active {running,status} {socket-address[{host,ipv4,port,type}],status}",
        ["arrived"] = "running True completed {running,status} {status}",
        ["failed"] = "running True failed {running,status} {error-desc,status}",
        ["setup"] = "running True setup {running,status} {status}",
        ["active"] = $"running True active {{running,status}} {{expected-downtime,{RecordedRam},remaining,setup-time,status,total-time}}",
        ["cancelled while active"] = "running True cancelled {running,status} {status}",
        ["pre-switchover"] = "finish-migrate False pre-switchover {running,status} "
            + $"{{expected-downtime,{RecordedRam},remaining,setup-time,status,total-time}}",
        ["cancelled"] = "running True cancelled {running,status} {error-desc,status}",
        ["lost"] = "running failed",
        ["completed"] = $"postmigrate False completed {{running,status}} {{downtime,{RecordedRam},setup-time,status,total-time}}",
        ["events"] = "setup active RESUME completed setup failing failed setup failing failed setup active cancelling cancelled "
            + "setup active STOP pre-switchover cancelling RESUME cancelled setup active STOP pre-switchover failing RESUME failed "
            + "setup active STOP device completed",
    };

    /// <summary>What query-migrate-parameters of QEMU 11.1 returned to begin with, as recorded.</summary>
    private const string RecordedParameters = """
        {
          "announce-initial": 50, "announce-max": 550, "announce-rounds": 5, "announce-step": 100, "avail-switchover-bandwidth": 0, "cpr-exec-command": [],
          "cpu-throttle-increment": 10, "cpu-throttle-initial": 20, "cpu-throttle-tailslow": false, "direct-io": false, "downtime-limit": 300,
          "max-bandwidth": 134217728, "max-cpu-throttle": 99, "max-postcopy-bandwidth": 0, "mode": "normal", "multifd-channels": 2,
          "multifd-compression": "none", "multifd-qatzip-level": 1, "multifd-zlib-level": 1, "multifd-zstd-level": 1, "throttle-trigger-threshold": 50,
          "tls-authz": "", "tls-creds": "", "tls-hostname": "", "vcpu-dirty-limit": 1, "x-checkpoint-delay": 20000, "x-rdma-chunk-size": 1048576,
          "x-vcpu-dirty-limit-period": 1000, "xbzrle-cache-size": 67108864, "zero-page-detection": "multifd"
        }
        """;

    /// <summary>The order of events, run states, the members of query-migrate and query-status, and the answers to further commands.</summary>
    /// <param name="profile">The service's profile.</param>
    /// <param name="release">The Debian whose QEMU has that version; empty for this host's.</param>
    [Theory]
    [InlineData("7.2", "")]
    [InlineData("10.0", "trixie")]
    public async Task A_service_reports_what_a_QEMU_reports_in_its_place(string profile, string release)
    {
        Dictionary<string, string> qemu = await QmpReports.AllAsync(NewMachineOf, async () => QmpProcess.Of(
            await QemuMachine.StartAsync(NewMachineOf() with { Incoming = "defer", Paused = false })));
        Dictionary<string, string> service = await QmpReports.AllAsync(NewMachineOf, () => ServiceAsync(profile));

        AssertSame(qemu, service);

        QemuOptions NewMachineOf() => NewMachine(release, "pc", 64);
    }

    /// <summary>A QEMU 7.2 always ends when its source fails.</summary>
    /// <param name="profile">The service's profile.</param>
    /// <param name="release">The Debian whose QEMU has that version; empty for this host's.</param>
    /// <param name="stays">exit-on-error is false.</param>
    [Theory]
    [InlineData("7.2", "", false)]
    [InlineData("10.0", "trixie", false)]
    [InlineData("10.0", "trixie", true)]
    public async Task A_service_whose_source_fails_reports_what_a_QEMU_reports(string profile, string release, bool stays)
    {
        Dictionary<string, string> qemu = await QmpReports.FailedArrivalAsync(
            async () => QmpProcess.Of(await QemuMachine.StartAsync(NewMachine(release, "pc", 64) with { Incoming = "defer", Paused = false })), stays);
        Dictionary<string, string> service = await QmpReports.FailedArrivalAsync(() => ServiceAsync(profile), stays);

        // A service listens for the next source, so there is still something to yank.
        service["failed arrival"] = service["failed arrival"].Replace("\nquery-yank {}: migration", "\nquery-yank {}: ", StringComparison.Ordinal);
        AssertSame(qemu, service);
    }

    [Fact]
    public async Task A_service_reports_what_QEMU_11_1_reported_in_its_place()
    {
        Dictionary<string, string> service = await QmpReports.AllAsync(() => NewMachine("pc", 64), () => ServiceAsync("11.1"));

        AssertSame(s_recorded, service.ToDictionary(moment => moment.Key, moment => moment.Value.Split('\n')[0]));
    }

    [Fact]
    public async Task The_parameters_of_a_service_are_those_of_QEMU_11_1()
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--profile", "11.1", "--max-bandwidth", "128M");
        using JsonDocument recorded = JsonDocument.Parse(RecordedParameters);

        Assert.Equal(Lines(recorded.RootElement), Lines(await service.Monitor.ExecuteAsync("query-migrate-parameters")));
    }

    private static void AssertSame(Dictionary<string, string> qemu, Dictionary<string, string> service)
    {
        Assert.Equal(qemu.Keys.Order(), service.Keys.Order());
        string[] differences = [.. qemu.SelectMany(moment => moment.Value.Split('\n').Zip(service[moment.Key].Split('\n'))
            .Where(answers => answers.First != answers.Second)
            .Select(answers => $"{moment.Key}: {answers.First} | {answers.Second}"))];
        Assert.True(differences.Length == 0, string.Join('\n', differences));
    }

    private static IEnumerable<string> Lines(JsonElement value) => value.EnumerateObject().Select(member => $"{member}").Order(StringComparer.Ordinal);

    private static async Task<QmpProcess> ServiceAsync(string profile) =>
        QmpProcess.Of(await ServeProcess.StartAsync("--incoming", "defer", "--profile", profile));
}
