using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Service.Tests;

/// <summary>
/// The dashboard has the members that Grafana's schema requires; the script grafana/check checks all of them by hand. That the endpoint exports the metrics of
/// its queries, and that Prometheus answers them, is a test of the interop suite (MetricsTests).
/// </summary>
public sealed class DashboardTests
{
    private static readonly string[] s_refreshes = ["0", "1", "2"];

    private static readonly JsonElement s_dashboard = Read();

    public static TheoryData<int> Panels => [.. s_dashboard.GetProperty("panels").EnumerateArray().Select(panel => panel.GetProperty("id").GetInt32())];

    [Fact]
    public void The_dashboard_has_its_own_id_a_schema_and_a_range_of_time()
    {
        Assert.Equal("rdmamig-migrations", s_dashboard.GetProperty("uid").GetString());
        Assert.NotEqual("", s_dashboard.GetProperty("title").GetString());
        Assert.InRange(s_dashboard.GetProperty("schemaVersion").GetInt32(), 36, 41);
        Assert.Equal("now", s_dashboard.GetProperty("time").GetProperty("to").GetString());

        // A file with an id would replace another dashboard at import.
        Assert.False(s_dashboard.TryGetProperty("id", out _));
    }

    [Theory]
    [InlineData("datasource", "datasource")]
    [InlineData("instance", "query")]
    public void A_variable_chooses_the_data_source_and_another_the_instances(string name, string type)
    {
        JsonElement variable = s_dashboard.GetProperty("templating").GetProperty("list").EnumerateArray()
            .Single(variable => variable.GetProperty("name").GetString() == name);

        Assert.Equal(type, variable.GetProperty("type").GetString());
        Assert.Contains(variable.GetProperty("refresh").GetRawText(), s_refreshes);
        Assert.True(variable.TryGetProperty("query", out _));
    }

    [Fact]
    public void Panels_have_numbers_of_their_own_and_do_not_overlap()
    {
        JsonElement[] panels = [.. s_dashboard.GetProperty("panels").EnumerateArray()];
        Assert.Distinct(panels.Select(panel => panel.GetProperty("id").GetInt32()));

        (int X, int Y)[] cells = [.. panels.SelectMany(panel =>
        {
            JsonElement place = panel.GetProperty("gridPos");
            (int x, int y) = (place.GetProperty("x").GetInt32(), place.GetProperty("y").GetInt32());
            return Enumerable.Range(x, place.GetProperty("w").GetInt32())
                .SelectMany(column => Enumerable.Range(y, place.GetProperty("h").GetInt32()).Select(row => (column, row)));
        })];
        Assert.Distinct(cells);
        Assert.All(cells, cell => Assert.InRange(cell.X, 0, 23));
    }

    [Theory]
    [MemberData(nameof(Panels))]
    public void A_panel_has_a_type_a_unit_and_queries_of_the_chosen_instances(int id)
    {
        JsonElement panel = s_dashboard.GetProperty("panels").EnumerateArray().Single(panel => panel.GetProperty("id").GetInt32() == id);

        Assert.Contains(panel.GetProperty("type").GetString(), (string[])["timeseries", "state-timeline", "table"]);
        Assert.NotEqual("", panel.GetProperty("title").GetString());
        Assert.NotEqual("", panel.GetProperty("fieldConfig").GetProperty("defaults").GetProperty("unit").GetString());
        Assert.Equal(0, panel.GetProperty("fieldConfig").GetProperty("overrides").GetArrayLength());
        JsonElement options = panel.GetProperty("options");
        Assert.True(options.TryGetProperty("frameIndex", out _) || options.GetProperty("legend").TryGetProperty("calcs", out _));
        JsonElement[] targets = [.. panel.GetProperty("targets").EnumerateArray()];
        Assert.NotEmpty(targets);
        Assert.Distinct(targets.Select(target => target.GetProperty("refId").GetString()));
        Assert.All([panel, .. targets], part => Assert.Equal(
            ("prometheus", "${datasource}"),
            (part.GetProperty("datasource").GetProperty("type").GetString()!, part.GetProperty("datasource").GetProperty("uid").GetString()!)));
        Assert.All(targets, target => Assert.Contains("{instance=~\"$instance\"}", target.GetProperty("expr").GetString(), StringComparison.Ordinal));
    }

    private static JsonElement Read()
    {
        using JsonDocument document = JsonDocument.Parse(
            File.ReadAllBytes(Path.Combine(Executables.RepositoryRoot, "src/RdmaMigration.Service/grafana/rdmamig.json")));
        return document.RootElement.Clone();
    }
}
