using RdmaMigration.Streams;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

public class ParameterTests
{
    public static TheoryData<string> Names() => [.. MigrationParameters.All.Select(parameter => parameter.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Each_row_says_what_it_does_and_why_its_default_is_what_it_is(string name)
    {
        Parameter row = MigrationParameters.All.Single(parameter => parameter.Name == name);

        Assert.Matches("^[a-z]+(-[a-z]+)*$", row.Name);
        Assert.Matches("^--[a-z]+(-[a-z]+)*$", row.Option);
        Assert.All((string[])[row.Help, row.Reason, row.Range, row.DefaultText], text => Assert.False(string.IsNullOrWhiteSpace(text)));
        Assert.DoesNotContain('\n', row.Help);
        Assert.False(row.IsCapability && !row.Surface.HasFlag(ParameterSurface.Qmp));
    }

    [Fact]
    public void The_folders_README_has_a_line_for_each_row()
    {
        string[] lines = File.ReadAllLines(Path.Combine(Executables.RepositoryRoot, "src/RdmaMigration.Engine/Parameters/README.md"));

        Assert.Equal(
            MigrationParameters.All.Select(
                row => $"| `{row.Name}` | {Where(row)} | {row.Range} | {row.DefaultText} | {row.Reason} |".Replace("auto|", @"auto\|").Replace(
                    "always|", @"always\|")),
            lines.Where(line => line.StartsWith("| `", StringComparison.Ordinal) && line.Count(character => character == '|') > 4));

        static string Where(Parameter row) => row.Surface.HasFlag(ParameterSurface.CommandLine) ? $"`{row.Option}`" : "";
    }

    [Fact]
    public void The_table_holds_every_parameter_that_is_declared() => Assert.Equal(
        typeof(MigrationParameters)
            .GetProperties()
            .Where(property => property.PropertyType.IsSubclassOf(typeof(Parameter)))
            .Select(property => property.GetValue(null))
            .ToHashSet(),
        MigrationParameters.All.ToHashSet<object?>());

    [Fact]
    public void Each_default_is_within_its_range()
    {
        Check(MigrationParameters.All.OfType<Parameter<bool>>());
        Check(MigrationParameters.All.OfType<Parameter<int>>());
        Check(MigrationParameters.All.OfType<Parameter<ulong>>());
        Check(MigrationParameters.All.OfType<Parameter<ulong?>>());
        Check(MigrationParameters.All.OfType<Parameter<TimeSpan>>());
        Check(MigrationParameters.All.OfType<Parameter<TimeSpan?>>());

        static void Check<T>(IEnumerable<Parameter<T>> rows) => Assert.All(rows, row => row.Check(row.Default));
    }

    [Fact]
    public void A_value_out_of_range_is_refused_by_name_value_and_bound()
    {
        Refused("max-ram", "63 KiB", "the least is 64 KiB", () => ParameterSet.Defaults.With(MigrationParameters.MaxRam, 63UL << 10));
        Refused("window", "1.50 MiB", "it must be a multiple of 1 MiB", () => ParameterSet.Defaults.With(MigrationParameters.Window, 3UL << 19));
        Refused("page-size", "5 KiB", "it must be a power of two", () => ParameterSet.Defaults.With(MigrationParameters.PageSize, 5UL << 10));
        Refused("page-size", "128 KiB", "the most is 64 KiB", () => ParameterSet.Defaults.With(MigrationParameters.PageSize, 128UL << 10));
        Refused("max-bandwidth", "0 B", "the least is 1 KiB", () => ParameterSet.Defaults.With(MigrationParameters.MaxBandwidth, 0UL));
        Refused("timeout", "0 s", "the range is 0.001 to 86400 s", () => ParameterSet.Defaults.With(MigrationParameters.Timeout, TimeSpan.Zero));
        Refused(
            "keepalive-interval",
            "-1 s",
            "the range is 0 (never probe), 0.001 to 86400 s",
            () => ParameterSet.Defaults.With(MigrationParameters.KeepAliveInterval, TimeSpan.FromSeconds(-1)));
        Refused("backlog", "0", "the range is 1 to 128", () => ParameterSet.Defaults.With(MigrationParameters.Backlog, 0));

        static void Refused(string parameter, string value, string bound, Func<ParameterSet> set)
        {
            ParameterException refused = Assert.Throws<ParameterException>(set);
            Assert.Equal((parameter, value, bound), (refused.Parameter, refused.Value, refused.Bound));
        }
    }

    [Theory]
    [InlineData("1.5M", null)]
    [InlineData("2M", 2UL << 20)]
    [InlineData("64K", null)]
    [InlineData("64", null)]
    [InlineData("many", null)]
    public void A_size_is_read_as_people_write_it_and_checked(string text, ulong? expected)
    {
        bool isRead = MigrationParameters.Window.TryParse(text, out ulong value, out string? error);

        Assert.Equal(expected, isRead ? value : null);
        Assert.Equal(expected is null, error?.Contains($"'{text}'", StringComparison.Ordinal) is true);
    }

    [Theory]
    [InlineData("0.5", 500)]
    [InlineData("86400", 86_400_000)]
    [InlineData("86401", null)]
    [InlineData("0", null)]
    [InlineData("1e9", null)]
    [InlineData("-3", null)]
    [InlineData("99999999999999999999999999", null)]
    public void A_time_is_read_in_seconds_and_checked(string text, int? milliseconds)
    {
        bool isRead = MigrationParameters.Timeout.TryParse(text, out TimeSpan? value, out string? error);

        Assert.Equal(milliseconds, isRead ? (int)value!.Value.TotalMilliseconds : null);
        Assert.Equal(milliseconds is null, error?.Contains($"'{text}'", StringComparison.Ordinal) is true);
    }

    [Fact]
    public void A_bandwidth_beyond_any_wire_is_no_limit_that_overflows() =>
        Assert.Equal(long.MaxValue, ParameterSet.Defaults.With(MigrationParameters.MaxBandwidth, 12_000UL << 50).Rate());

    [Fact]
    public void The_rooms_below_get_what_was_set_and_the_tables_defaults_else()
    {
        ParameterSet set = ParameterSet.Defaults
            .With(MigrationParameters.MaxDeviceState, 2UL << 30)
            .With(MigrationParameters.PageSize, 1024UL)
            .With(MigrationParameters.Window, 2UL << 20)
            .With(MigrationParameters.ConnectTimeout, TimeSpan.FromSeconds(1));

        IncomingStreamOptions stream = set.ForStream(ramIsFresh: true);
        Assert.Equal((2UL << 30, 64L << 20, 1024), (stream.MaxDeviceState, stream.DeviceStateInMemory, stream.TargetPageSize));
        RdmaConnectOptions rdma = set.ForRdma();
        Assert.Equal((2UL << 20, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(5)), (rdma.WindowBytes, rdma.ConnectTimeout, rdma.KeepAliveInterval));
        Assert.Equal(TimeSpan.FromSeconds(1), set.ForDescriptors(source: null).ConnectTimeout);
        Assert.Equal((5, true), (set.ForListener(queues: true).Backlog, set.ForListener(queues: true).Queues));
    }

    [Fact]
    public void A_set_keeps_its_values_when_another_is_made_of_it()
    {
        ParameterSet one = ParameterSet.Defaults.With(MigrationParameters.PinAll, true);
        ParameterSet two = one.With(MigrationParameters.PinAll, false).With(MigrationParameters.Timeout, TimeSpan.FromSeconds(3));

        Assert.True(one.Get(MigrationParameters.PinAll));
        Assert.False(one.IsSet(MigrationParameters.Timeout));
        Assert.Null(one.Get(MigrationParameters.Timeout));
        Assert.Equal((false, TimeSpan.FromSeconds(3)), (two.Get(MigrationParameters.PinAll), two.Get(MigrationParameters.Timeout)));
        Assert.False(ParameterSet.Defaults.Get(MigrationParameters.PinAll));
    }
}
