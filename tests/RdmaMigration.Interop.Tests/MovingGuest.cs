using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>What ends a migration of a guest.</summary>
public enum Fault
{
    /// <summary>SIGINT of the source.</summary>
    CancelAtSource,

    /// <summary>SIGINT of the destination.</summary>
    CancelAtDestination,

    /// <summary>SIGKILL of the source.</summary>
    KillSource,

    /// <summary>SIGKILL of the destination.</summary>
    KillDestination,

    /// <summary>The connection is lost, and both processes live.</summary>
    Cut,
}

/// <summary>Where a guest is after a fault.</summary>
/// <param name="AtSource">It runs at the source; or was there, intact and not moved, when the source was cancelled.</param>
/// <param name="AtDestination">It runs at the destination.</param>
/// <param name="SourceHasSentAll">The source cannot know whether the destination runs it.</param>
internal sealed record GuestPlaces(bool AtSource, bool AtDestination, bool SourceHasSentAll);

/// <summary>A guest that moves from one `rdmamig guest` to another, and what the two report when that is disturbed.</summary>
/// <param name="source">Where it runs first.</param>
/// <param name="destination">Where it moves.</param>
/// <param name="ram">Its RAM, as the option has it.</param>
/// <param name="link">Between the two; null for none that a test can disturb.</param>
internal sealed class MovingGuest(RdmamigProcess source, RdmamigProcess destination, string ram, HoldingProxy? link = null) : IAsyncDisposable
{
    /// <summary>How long a process may take to end after a signal.</summary>
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(5);

    public RdmamigProcess Source => source;

    public RdmamigProcess Destination => destination;

    /// <summary>Starts a guest that writes all of its RAM, and moves at once. It runs on here if it does not move.</summary>
    /// <param name="uri">Where it moves.</param>
    /// <param name="ram">Its RAM.</param>
    /// <param name="dirtyRate">How fast it writes; 0 for as fast as it can.</param>
    /// <param name="options">Further options.</param>
    public static RdmamigProcess Start(string uri, string ram, string dirtyRate, params string[] options) => RdmamigProcess.Guest(
        uri, ["--ram", ram, "--working-set", "100%", "--dirty-rate", dirtyRate, "--after", "0", "--for", "600", .. options]);

    /// <summary>Waits for a status of the source.</summary>
    public Task ReachAsync(string status) => SourceEventAsync(said => said.Name == "MIGRATION" && said.Status == status, status);

    /// <summary>Waits for an event of the source.</summary>
    public Task<QmpEvent> SourceEventAsync(Func<QmpEvent, bool> match, string what) => source.Events.FirstAsync(match, 0, Deadlines.Migration, what);

    /// <summary>Waits until the guest runs at the destination and was verified there.</summary>
    public async Task ArriveAsync() => AssertIntact(await FirstAsync(destination, "VERIFIED"));

    /// <summary>Makes the fault happen. A process that is signalled ends within 5 s.</summary>
    public async Task StrikeAsync(Fault fault)
    {
        switch (fault)
        {
            case Fault.CancelAtSource:
                Assert.Equal(130, await InterruptAsync(source));
                link?.Cut();
                break;
            case Fault.CancelAtDestination:
                Assert.Equal(130, await InterruptAsync(destination));
                link?.Release();
                break;
            case Fault.KillSource:
                await KillAsync(source);
                break;
            case Fault.KillDestination:
                await KillAsync(destination);
                break;
            default:
                link!.Cut();
                break;
        }
    }

    /// <summary>Proves where the guest is, by what both report and by how they end.</summary>
    public async Task AssertPlacesAsync(Fault fault, GuestPlaces expected)
    {
        Assert.False(expected is { AtSource: true, AtDestination: true });
        if (fault is not Fault.KillSource)
        {
            await AssertSourceAsync(fault, expected);
        }

        if (fault is not Fault.KillDestination)
        {
            await AssertDestinationAsync(fault, expected);
        }

        AssertNeverBoth();
    }

    /// <summary>Moves another guest to the same destination, which still waits.</summary>
    public async Task NextMovesAsync()
    {
        await using RdmamigProcess next = RdmamigProcess.Guest(destination.Uri, "--ram", ram, "--dirty-rate", "1M", "--after", "0", "--downtime-limit", "5000");
        Assert.Equal(0, await next.Process.WaitForExitAsync(Deadlines.Migration));
        AssertIntact(await FirstAsync(destination, "VERIFIED"));
        Assert.Equal(130, await InterruptAsync(destination));
    }

    public async ValueTask DisposeAsync()
    {
        link?.Dispose();
        await source.DisposeAsync();
        await destination.DisposeAsync();
    }

    private async Task AssertSourceAsync(Fault fault, GuestPlaces expected)
    {
        ReceiveResult result = await source.ResultAsync();
        int ended = Array.FindIndex(source.Events.Snapshot(), said => said.Name == "RESULT");
        if (result.Completed)
        {
            Assert.Equal((Fault.CancelAtDestination, false), (fault, expected.AtSource));
            Assert.Equal(0, await source.Process.WaitForExitAsync(Deadlines.Answer));
            Assert.DoesNotContain(source.Events.Snapshot()[ended..], IsRunning);
            return;
        }

        Assert.Equal(fault is Fault.CancelAtSource ? "cancelled" : "failed", result.Status);
        Assert.Contains(expected.AtSource ? "the machine goes on here" : "the machine is stopped here", result.Error, StringComparison.Ordinal);
        Assert.True(expected.SourceHasSentAll || expected.AtSource);
        if (fault is not Fault.CancelAtSource)
        {
            QmpEvent guest = await source.Events.FirstAsync(said => said.Name == "GUEST", ended, Deadlines.Answer, "GUEST");
            Assert.Equal(expected.AtSource, IsRunning(guest));
            Assert.Equal(130, await InterruptAsync(source));
        }

        QmpEvent verified = Assert.Single(source.Events.Snapshot(), said => said.Name == "VERIFIED");
        AssertIntact(verified);
    }

    private async Task AssertDestinationAsync(Fault fault, GuestPlaces expected)
    {
        if (fault is Fault.CancelAtDestination)
        {
            Assert.Equal(expected.AtSource, Verdicts(destination).Length == 0);
        }
        else if (expected.AtDestination)
        {
            await destination.Events.FirstAsync(IsRunning, 0, Deadlines.Answer, "GUEST");
            Assert.Equal(130, await InterruptAsync(destination));
            Assert.Equal(2, Verdicts(destination).Length);
        }
        else
        {
            Assert.Equal("failed", (await destination.ResultAsync()).Status);
            Assert.NotEmpty((await destination.ResultAsync()).Error);
            if (fault is Fault.CancelAtSource)
            {
                AssertNothingRan();
                await NextMovesAsync();
                return;
            }

            Assert.Equal(130, await InterruptAsync(destination));
            AssertNothingRan();
        }

        Assert.All(Verdicts(destination), AssertIntact);
    }

    private void AssertNothingRan() => Assert.DoesNotContain(destination.Events.Snapshot(), said => said.Name is "GUEST" or "VERIFIED");

    /// <summary>The source never says that the guest runs there once it has run at the destination. Both clocks are this host's.</summary>
    private void AssertNeverBoth()
    {
        QmpEvent? first = destination.Events.Snapshot().FirstOrDefault(said => said.Name == "VERIFIED" || IsRunning(said));
        if (first is not null && Verdicts(source).Length == 0)
        {
            Assert.All(source.Events.Snapshot().Where(IsRunning), said => Assert.True(said.Time < first.Time, $"{said} after {first}"));
        }
    }

    private async Task KillAsync(RdmamigProcess process)
    {
        process.Process.KillNow();
        await process.Process.WaitForExitAsync(Deadlines.Answer);
        link?.Cut();
    }

    private static async Task<int> InterruptAsync(RdmamigProcess process)
    {
        await process.SignalAsync("INT");
        return await process.Process.WaitForExitAsync(s_soon);
    }

    private static Task<QmpEvent> FirstAsync(RdmamigProcess process, string name) =>
        process.Events.FirstAsync(said => said.Name == name, 0, Deadlines.Migration, name);

    private static QmpEvent[] Verdicts(RdmamigProcess process) => [.. process.Events.Snapshot().Where(said => said.Name == "VERIFIED")];

    private static bool IsRunning(QmpEvent said) => said.Name == "GUEST" && said.Values.GetProperty("running").GetBoolean();

    private static void AssertIntact(QmpEvent verified)
    {
        JsonElement verdict = verified.Values;
        Assert.True(verdict.GetProperty("intact").GetBoolean(), $"{verified}");
    }
}
