using System.Text.Json;
using RdmaMigration.Cli.Remote;
using RdmaMigration.Engine;

namespace RdmaMigration.Cli.Tests;

/// <summary>What `rdmamig top` and `rdmamig migrate` read and show, without a monitor.</summary>
public class TopTests
{
    private const string Active =
        """
        {"status": "active", "total-time": 4000, "setup-time": 7, "expected-downtime": 9223372036854775807, "remaining": 67108864, "future": [1],
         "ram": {"total": 134217728, "transferred": 50331648, "remaining": 67108864, "duplicate": 4096, "page-size": 4096, "dirty-pages-rate": 256,
                 "dirty-sync-count": 2, "mbps": 80.5, "later": null}}
        """;

    [Fact]
    public void A_query_reads_the_figures_and_ignores_unknown_members()
    {
        MigrationQuery query = Parse(Active);

        Assert.Equal(("active", MigrationStatus.Active), (query.Status, query.KnownStatus));
        Assert.Equal((TimeSpan.FromSeconds(4), TimeSpan.FromMilliseconds(7)), (query.TotalTime, query.SetupTime));
        Assert.Equal((null, null), (query.ExpectedDowntime, query.Downtime));
        Assert.Equal(new RamQuery(128 << 20, 48 << 20, 64 << 20, 4096, 4096, 256, 2, 80.5e6 / 8), query.Ram);
        Assert.Equal(64 << 20, query.Ram!.Done);
    }

    [Theory]
    [InlineData("failing", nameof(MigrationStatus.Active))]
    [InlineData("postcopy-active", nameof(MigrationStatus.Active))]
    [InlineData("wait-unplug", nameof(MigrationStatus.Setup))]
    [InlineData("pre-switchover", nameof(MigrationStatus.PreSwitchover))]
    [InlineData(null, nameof(MigrationStatus.None))]
    public void Statuses_of_newer_peers_are_known_or_active(string? word, string status) =>
        Assert.Equal(status, MigrationQuery.ToStatus(word).ToString());

    [Theory]
    [InlineData("{}", "running", nameof(MigrationRole.None), "none")]
    [InlineData(Active, "running", nameof(MigrationRole.Source), "active")]
    [InlineData("""{"socket-address": []}""", "inmigrate", nameof(MigrationRole.Destination), "waiting")]
    [InlineData("""{"status": "completed"}""", "paused", nameof(MigrationRole.Destination), "completed")]
    [InlineData("""{"status": "failed", "error-desc": "x"}""", "running", nameof(MigrationRole.Source), "failed")]
    [InlineData("""{"status": "failed", "error-desc": "x"}""", "inmigrate", nameof(MigrationRole.Destination), "failed")]
    public void The_role_follows_from_what_the_process_reports(string json, string runState, string role, string status)
    {
        TopSample sample = new(TimeSpan.Zero, runState, Parse(json));

        Assert.Equal((role, status), (sample.Role.ToString(), sample.Status));
    }

    [Fact]
    public void A_history_has_phases_and_rates_and_begins_again_with_the_next_migration()
    {
        TopHistory history = new();
        history.Add(Sample(0, "{}"));
        history.Add(Sample(1, """{"status": "setup"}"""));
        history.Add(Sample(2, Active));
        history.Add(Sample(4, Active.Replace("50331648", "71303168", StringComparison.Ordinal)));
        history.Add(Sample(5, """{"status": "failed", "error-desc": "gone"}"""));

        Assert.Equal([("setup", 1), ("active", 3), ("failed", 0)], history.Phases.Select(phase => (phase.Status, (int)phase.Time.TotalSeconds)));
        Assert.Equal([80.5e6 / 8, 10 << 20], history.Rates);
        Assert.Equal(68 << 20, history.Ram!.Transferred);

        history.Add(Sample(9, """{"status": "setup"}"""));

        Assert.Null(history.Ram);
        Assert.Empty(history.Rates);
        Assert.Equal(["setup"], history.Phases.Select(phase => phase.Status));
    }

    [Fact]
    public void The_rows_of_a_source_have_its_figures()
    {
        TopHistory history = new();
        history.Add(Sample(0, Active));

        Dictionary<string, string> rows = TopText.Rows(history).ToDictionary(row => row.Label, row => row.Text);

        Assert.Equal(["role", "status", "phases", "RAM", "transferred", "rate", "dirty rate", "time"], rows.Keys);
        Assert.Equal($"{new string('█', 20)}{new string('░', 20)}  64 MiB of 128 MiB (50 %)", rows["RAM"]);
        Assert.Equal("48 MiB, 64 MiB remaining, 2 passes", rows["transferred"]);
        Assert.Equal("█  256 pages/s (1 MiB/s)", rows["dirty rate"]);
        Assert.Equal("0:04 total, setup 7 ms", rows["time"]);
    }

    [Theory]
    [InlineData(new double[0], "")]
    [InlineData(new double[] { 0, 0 }, "▁▁")]
    [InlineData(new double[] { 9, 0, 3.5, 7 }, "▁▅█")]
    public void A_sparkline_reaches_from_zero_to_the_largest_of_the_last_values(double[] values, string line) =>
        Assert.Equal(line, Sparkline.Of(values, 3));

    [Theory]
    [InlineData("100", JsonValueKind.Number, "100")]
    [InlineData("16M", JsonValueKind.Number, "16777216")]
    [InlineData("on", JsonValueKind.True, "true")]
    [InlineData("off", JsonValueKind.Undefined, "false")]
    [InlineData("4", JsonValueKind.String, "\"4\"")]
    [InlineData("zstd", JsonValueKind.String, "\"zstd\"")]
    [InlineData("much", JsonValueKind.Number, "\"much\"")]
    public void A_parameter_is_sent_as_the_kind_of_value_that_it_has(string text, JsonValueKind kind, string json)
    {
        using MemoryStream written = new();
        using (Utf8JsonWriter writer = new(written))
        {
            MonitorSettings.WriteValue(writer, text, kind);
        }

        Assert.Equal(json, System.Text.Encoding.UTF8.GetString(written.ToArray()));
    }

    [Theory]
    [InlineData("migrate", "tcp:10.0.0.7:4444")]
    [InlineData("top")]
    public void A_socket_that_does_not_exist_ends_with_3_and_its_path(string command, params string[] arguments)
    {
        CommandLine absent = CommandLine.Run([command, "/nonexistent/vm.qmp", .. arguments]);

        Assert.Equal(ExitCode.HostCannot, absent.ExitCode);
        Assert.Empty(absent.Out);
        Assert.Contains("'/nonexistent/vm.qmp'", absent.Error, StringComparison.Ordinal);
    }

    private static TopSample Sample(int seconds, string json) => new(TimeSpan.FromSeconds(seconds), "running", Parse(json));

    private static MigrationQuery Parse(string json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        return MigrationQuery.Parse(document.RootElement);
    }
}
