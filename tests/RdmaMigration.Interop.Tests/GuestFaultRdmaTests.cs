using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>As <see cref="GuestFaultTests"/>, over RDMA, where no proxy holds the stream: a limit of the bandwidth makes each status last.</summary>
[Trait("needs", "rdma")]
public sealed class GuestFaultRdmaTests
{
    private const string Ram = "8M";

    /// <summary>What the source does when the fault comes.</summary>
    public enum Moment
    {
        /// <summary>It sends the first pass over RAM: active.</summary>
        FirstPass,

        /// <summary>It sends a later pass: active.</summary>
        LaterPass,

        /// <summary>It sends the last pass, with the guest stopped: device.</summary>
        LastPass,
    }

    [Theory]
    [InlineData(Moment.FirstPass, Fault.CancelAtSource)]
    [InlineData(Moment.FirstPass, Fault.KillSource)]
    [InlineData(Moment.LaterPass, Fault.KillDestination)]
    [InlineData(Moment.LastPass, Fault.CancelAtDestination)]
    [InlineData(Moment.LastPass, Fault.KillDestination)]
    public async Task A_guest_runs_on_one_side_or_on_none_with_a_statement(Moment moment, Fault fault)
    {
        RdmamigProcess destination = await RdmamigProcess.IncomingGuestAsync(RdmaAddress.NextUri(), "--ram", Ram);

        // A pass takes 2 to 3 s.
        string[] options = ["--max-bandwidth", "3M", "--downtime-limit", moment is Moment.LastPass ? "100000" : "1"];
        await using MovingGuest guest = new(MovingGuest.Start(destination.Uri, Ram, "12M", options), destination, Ram);
        if (moment is Moment.LaterPass)
        {
            await guest.SourceEventAsync(said => PassesOf(said) > 1, "a later pass");
        }
        else
        {
            await guest.ReachAsync(moment is Moment.LastPass ? "device" : "active");
        }

        await guest.StrikeAsync(fault);

        await guest.AssertPlacesAsync(fault, new GuestPlaces(AtSource: fault is not Fault.KillSource, AtDestination: false, SourceHasSentAll: false));
    }

    [Theory]
    [InlineData(Fault.CancelAtSource)]
    [InlineData(Fault.CancelAtDestination)]
    [InlineData(Fault.KillSource)]
    [InlineData(Fault.KillDestination)]
    public async Task A_guest_stays_when_its_destination_does_not_answer_during_setup(Fault fault)
    {
        RdmamigProcess destination = await RdmamigProcess.IncomingGuestAsync(RdmaAddress.NextUri(), "--ram", Ram);
        await destination.SignalAsync("STOP");
        await using MovingGuest guest = new(MovingGuest.Start(destination.Uri, Ram, "1M", "--max-bandwidth", "3M"), destination, Ram);
        await guest.ReachAsync("setup");
        Task goesOn = Task.CompletedTask;
        if (fault is Fault.CancelAtDestination)
        {
            // A stopped process takes the signal when it goes on.
            goesOn = Task.Run(async () =>
            {
                await Task.Delay(500);
                await destination.SignalAsync("CONT");
            });
        }

        await guest.StrikeAsync(fault);

        await goesOn;
        if (fault is Fault.KillDestination or Fault.CancelAtDestination)
        {
            await guest.AssertPlacesAsync(fault, new GuestPlaces(AtSource: true, AtDestination: false, SourceHasSentAll: false));
            return;
        }

        if (fault is Fault.CancelAtSource)
        {
            ReceiveResult cancelled = await guest.Source.ResultAsync();
            Assert.Equal("cancelled", cancelled.Status);
            Assert.Contains("the machine goes on here", cancelled.Error, StringComparison.Ordinal);
        }

        await destination.SignalAsync("CONT");
        await guest.NextMovesAsync();
    }

    private static int PassesOf(QmpEvent said) =>
        said.Name == "PROGRESS" && said.Values.TryGetProperty("dirty-sync-count", out JsonElement passes) ? passes.GetInt32() : 0;
}
