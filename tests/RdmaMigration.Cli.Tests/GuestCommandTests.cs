using System.Text.Json;
using RdmaMigration.Cli.Guest;
using RdmaMigration.Machines;
using RdmaMigration.Testing;

namespace RdmaMigration.Cli.Tests;

/// <summary><c>rdmamig guest</c>: what it proves, and that it notices what it should.</summary>
public sealed class GuestCommandTests
{
    [Theory]
    [InlineData("random")]
    [InlineData("sequential")]
    [InlineData("hot")]
    public async Task A_guest_moves_while_it_writes_and_is_verified_there(string pattern)
    {
        using WorkDirectory work = new();
        string uri = $"unix:{work.File("socket")}";
        Task<CommandLine> destination = Task.Run(() => CommandLine.Run("guest", "--ram", "32M", "--incoming", uri, "--for", "0.3", "--json"));
        Assert.True(SpinWait.SpinUntil(() => File.Exists(work.File("socket")) || destination.IsCompleted, Deadlines.Start));
        CommandLine source = CommandLine.Run(
            "guest", "--ram", "32M", "--dirty-rate", "50M", "--pattern", pattern, "--migrate", uri, "--after", "0.3", "--json");
        CommandLine arrived = await destination;

        Assert.True(source.ExitCode == ExitCode.Done && arrived.ExitCode == ExitCode.Done, $"{source}\n{arrived}");
        JsonElement[] verified = [.. Events(arrived, "VERIFIED")];
        Assert.Equal(2, verified.Length);
        Assert.All(verified, verdict => Assert.Equal((true, 0, 0), (
            verdict.GetProperty("intact").GetBoolean(), verdict.GetProperty("lost-writes").GetInt32(), verdict.GetProperty("torn-pages").GetInt32())));
        Assert.InRange(verified[0].GetProperty("downtime").GetDouble(), 0, 10_000);
        Assert.True(Assert.Single(Events(source, "RESULT")).GetProperty("dirty-sync-count").GetInt32() >= 2);
    }

    [Fact]
    public void A_guest_that_cannot_move_is_verified_and_ends_with_1()
    {
        CommandLine failed = CommandLine.Run("guest", "--ram", "16M", "--migrate", "unix:/nonexistent", "--after", "0", "--json");

        Assert.Equal(ExitCode.Failed, failed.ExitCode);
        Assert.Equal("failed", Assert.Single(Events(failed, "RESULT")).GetProperty("status").GetString());
        Assert.True(Assert.Single(Events(failed, "VERIFIED")).GetProperty("intact").GetBoolean());
    }

    [Theory]
    [InlineData("--incoming", "unix:/nonexistent", "--pattern", "hot")]
    [InlineData("--after", "3")]
    [InlineData("--working-set", "0%")]
    [InlineData("--ram", "1500K")]
    public void Options_that_contradict_each_other_end_with_2(params string[] options) =>
        Assert.Equal(ExitCode.Usage, CommandLine.Run(["guest", .. options]).ExitCode);

    [Fact]
    public void A_lost_write_is_counted()
    {
        using Machine machine = new(new MachineOptions { Name = "guest-1" });
        using SyntheticGuest guest = Filled(machine);
        guest.State.Sums[1] += 3;
        GuestVerdict verdict = guest.Verify();

        Assert.Equal((3UL, 0UL, 0UL, 256UL), (verdict.LostWrites, verdict.TornPages, verdict.ForeignPages, verdict.FirstBadPage));
        Assert.StartsWith("NOT INTACT: 4096 pages, writes lost: 3", GuestText.Verdict(verdict), StringComparison.Ordinal);
    }

    [Fact]
    public void A_torn_page_shows_whatever_part_of_it_is_old()
    {
        using Machine machine = new(new MachineOptions { Name = "guest-1" });
        using SyntheticGuest guest = Filled(machine);
        for (int cut = 64; cut < GuestPage.Size; cut += 64)
        {
            Span<byte> page = guest.Ram.Slice(5 * GuestPage.Size, GuestPage.Size);
            byte[] old = page.ToArray();
            GuestPage.Write(page, guest.State.Guest, 5, GuestPage.SequenceOf(page) + 1, epoch: 0);
            old.AsSpan(cut).CopyTo(page[cut..]);

            Assert.Equal(GuestPageState.Torn, GuestPage.Check(page, guest.State.Guest, 5));
            old.CopyTo(page);
        }
    }

    [Fact]
    public void A_page_in_the_place_of_another_shows()
    {
        using Machine machine = new(new MachineOptions { Name = "guest-1" });
        using SyntheticGuest guest = Filled(machine);
        guest.Ram.Slice(0, GuestPage.Size).CopyTo(guest.Ram.Slice(300 * GuestPage.Size, GuestPage.Size));
        GuestVerdict verdict = guest.Verify();

        Assert.Equal((1UL, 256UL), (verdict.ForeignPages, verdict.FirstBadPage));
    }

    private static SyntheticGuest Filled(Machine machine)
    {
        SyntheticGuest guest = SyntheticGuest.Create(machine.AddRam("ram", 4096 * GuestPage.Size), new GuestLoad(GuestPattern.Random, 1024, 0), writers: 2);
        guest.Fill();
        return guest;
    }

    private static IEnumerable<JsonElement> Events(CommandLine run, string name) => run.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Select(line => JsonDocument.Parse(line).RootElement)
        .Where(line => line.GetProperty("event").GetString() == name)
        .Select(line => line.GetProperty("data"));
}
