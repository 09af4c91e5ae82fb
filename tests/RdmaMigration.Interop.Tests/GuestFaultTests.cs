using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>
/// A guest that runs moves between two processes, and one of them is cancelled or killed, or the connection is lost: at each status, on each side. It runs on
/// one side afterwards, or on none, which the source says; never on both. The status pre-switchover is in <see cref="GuestPauseFaultTests"/>.
/// </summary>
public sealed class GuestFaultTests : IDisposable
{
    /// <summary>The begin of the guest's device in the stream: its name behind the name's length.</summary>
    private static readonly byte[] s_device = [.. "\u000fsynthetic-guest"u8];

    private const string Ram = "32M";
    private const long RamSize = 32 << 20;
    private const long HeaderSize = 8;

    private readonly WorkDirectory _work = new();

    /// <summary>What of the stream has passed, in order.</summary>
    public enum Moment
    {
        /// <summary>The header: setup. A connection without a byte is no migration for the destination, which then has nothing to report.</summary>
        Setup,

        /// <summary>A part of the first pass over RAM: active.</summary>
        FirstPass,

        /// <summary>A part of the second pass: active.</summary>
        LaterPass,

        /// <summary>A part of the last pass, with the guest stopped: device. The rest does not fit into the kernel's buffers.</summary>
        LastPass,

        /// <summary>The begin of the device's state. The source has sent everything.</summary>
        DeviceState,

        /// <summary>Everything, and the guest runs at the destination; the destination's result has not passed.</summary>
        Result,
    }

    public static TheoryData<string, Moment, Fault> OverTcp
    {
        get
        {
            TheoryData<string, Moment, Fault> all = [];
            foreach (Moment moment in Enum.GetValues<Moment>())
            {
                foreach (Fault fault in Enum.GetValues<Fault>())
                {
                    all.Add("tcp", moment, fault);
                }
            }

            return all;
        }
    }

    public void Dispose() => _work.Dispose();

    [Theory]
    [MemberData(nameof(OverTcp))]
    [InlineData("unix", Moment.LastPass, Fault.CancelAtDestination)]
    [InlineData("unix", Moment.DeviceState, Fault.KillDestination)]
    [InlineData("unix", Moment.Result, Fault.Cut)]
    public async Task A_guest_runs_on_one_side_or_on_none_with_a_statement(string kind, Moment moment, Fault fault)
    {
        RdmamigProcess destination = await RdmamigProcess.IncomingGuestAsync(
            kind is "tcp" ? "tcp:127.0.0.1:0" : $"unix:{_work.File("socket")}", "--ram", Ram);
        HoldingProxy link = Link(destination.Uri, moment).Begin();
        await using MovingGuest guest = new(MovingGuest.Start(link.Uri, Ram, "0", OptionsFor(moment)), destination, Ram, link);
        await link.Held.WaitAsync(Deadlines.Migration, TestContext.Current.CancellationToken);
        await guest.ReachAsync(moment < Moment.LastPass ? "active" : "device");
        if (moment is Moment.Result)
        {
            await guest.ArriveAsync();
        }

        await guest.StrikeAsync(fault);

        await guest.AssertPlacesAsync(fault, PlacesAfter(moment, fault));
    }

    [Fact]
    public async Task A_connection_that_is_cut_after_the_result_matters_to_nobody()
    {
        RdmamigProcess destination = await RdmamigProcess.IncomingGuestAsync("tcp:127.0.0.1:0", "--ram", Ram);
        HoldingProxy link = Link(destination.Uri, Moment.Result).Begin();
        await using MovingGuest guest = new(MovingGuest.Start(link.Uri, Ram, "0", OptionsFor(Moment.Result)), destination, Ram, link);
        await link.Held.WaitAsync(Deadlines.Migration, TestContext.Current.CancellationToken);
        link.Release();
        Assert.Equal(0, await guest.Source.Process.WaitForExitAsync(Deadlines.Answer));
        Assert.True((await guest.Source.ResultAsync()).Confirmed);
        await guest.ArriveAsync();

        await guest.StrikeAsync(Fault.Cut);

        await guest.AssertPlacesAsync(Fault.KillSource, new GuestPlaces(AtSource: false, AtDestination: true, SourceHasSentAll: true));
    }

    private static HoldingProxy Link(string destination, Moment moment) => moment switch
    {
        Moment.Setup => new HoldingProxy(destination) { HoldsAfter = HeaderSize },
        Moment.FirstPass => new HoldingProxy(destination) { HoldsAfter = RamSize / 4 },
        Moment.LaterPass => new HoldingProxy(destination) { HoldsAfter = RamSize * 5 / 4 },
        Moment.LastPass => new HoldingProxy(destination) { HoldsAfter = RamSize * 17 / 16 },
        Moment.DeviceState => new HoldingProxy(destination) { HoldsAt = s_device },
        _ => new HoldingProxy(destination) { HoldsResult = true },
    };

    /// <summary>A pass takes a third of a second, in which the guest writes nearly all of its RAM: no downtime is short enough, or each one is.</summary>
    private static string[] OptionsFor(Moment moment) =>
        ["--max-bandwidth", "100M", "--downtime-limit", moment < Moment.LastPass ? "1" : "100000"];

    /// <summary>A destination that is cancelled refuses the guest unless it runs there. So the source goes on even if it has sent everything.</summary>
    private static GuestPlaces PlacesAfter(Moment moment, Fault fault)
    {
        bool hasSentAll = moment >= Moment.DeviceState;
        bool isRefused = moment is Moment.DeviceState && fault is Fault.CancelAtDestination;
        bool hasArrived = moment is Moment.Result;
        return new GuestPlaces(
            AtSource: fault is not Fault.KillSource && (!hasSentAll || isRefused),
            AtDestination: hasArrived && fault is not (Fault.CancelAtDestination or Fault.KillDestination),
            hasSentAll);
    }
}
