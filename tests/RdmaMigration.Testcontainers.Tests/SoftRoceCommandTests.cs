namespace RdmaMigration.Testcontainers.Tests;

public sealed class SoftRoceCommandTests
{
    private static readonly string[] s_start = ["--", "bash", "-c", "echo 'softroce: the command starts' >&2; exec \"$@\"", "softroce"];

    [Fact]
    public void A_host_names_all_others_as_its_peers()
    {
        SoftRoceConfiguration configuration = new() { Host = 2, Hosts = 3, GuestCommand = ["rping", "-s"] };

        Assert.Equal(
            ["run", "--guest", "--wire", "lab", "--host", "b", "--peer", "a=host-a", "--peer", "c=host-c", .. s_start, "rping", "-s"],
            SoftRoceCommand.Arguments(configuration));
        Assert.Equal(("host-a", "host-z"), (SoftRoceCommand.Alias(1), SoftRoceCommand.Alias(SoftRoceCommand.MostHosts)));
    }

    [Fact]
    public void A_host_that_is_alone_has_no_wire() =>
        Assert.Equal(["run", "--guest", .. s_start, "ibv_devices"], SoftRoceCommand.Arguments(new SoftRoceConfiguration { GuestCommand = ["ibv_devices"] }));

    [Fact]
    public void Options_become_those_of_softroce()
    {
        SoftRoceConfiguration configuration = new()
        {
            GuestCommand = ["true"],
            GuestMemory = 1024,
            GuestTimeout = TimeSpan.FromMilliseconds(1500),
            BootTimeout = TimeSpan.FromMinutes(5),
            GuestEnvironment = new Dictionary<string, string> { ["LANG"] = "C" },
        };

        Assert.Equal(
            ["run", "--guest", "--memory", "1024", "--timeout", "2", "--boot-timeout", "300", "--env", "LANG=C", .. s_start, "true"],
            SoftRoceCommand.Arguments(configuration));
    }

    [Fact]
    public void A_later_value_replaces_an_earlier_one_and_variables_add_up()
    {
        SoftRoceConfiguration first = new()
        {
            Host = 1,
            Hosts = 2,
            GuestCommand = ["sleep", "1"],
            GuestEnvironment = new Dictionary<string, string> { ["A"] = "1" },
        };
        SoftRoceConfiguration second = new() { GuestCommand = ["true"], GuestEnvironment = new Dictionary<string, string> { ["B"] = "2" } };

        SoftRoceConfiguration both = new(first, second);

        Assert.Equal(1, both.Host);
        Assert.Equal(2, both.Hosts);
        Assert.Equal(["true"], both.GuestCommand);
        Assert.Equal(new Dictionary<string, string> { ["A"] = "1", ["B"] = "2" }, both.GuestEnvironment);
    }

    [Fact]
    public void Starts_are_counted_and_taken_out_of_the_output()
    {
        const string Error = "softroce: a message\nsoftroce: the command starts\nfirst\nsoftroce: the command starts\nsecond\n";

        Assert.Equal(2, SoftRoceCommand.CountStarts(Error));
        Assert.Equal("softroce: a message\nfirst\nsecond\n", SoftRoceCommand.WithoutStarts(Error));
        Assert.Equal(0, SoftRoceCommand.CountStarts(""));
    }

    [Theory]
    [InlineData(0, 2)]
    [InlineData(3, 2)]
    [InlineData(1, 27)]
    public void A_host_that_its_network_cannot_have_is_refused(int host, int hosts) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new SoftRoceBuilder("softroce").WithHost(host, hosts));
}
