using RdmaMigration.VmState;

namespace RdmaMigration.Cli.Guest;

/// <summary>The device of a synthetic guest, as it stands in the stream.</summary>
internal static class GuestDevice
{
    /// <summary>Describes the state of a guest with this many regions.</summary>
    public static VmStateDescription<GuestState> Describe(GuestState guest) =>
        new VmStateDescription<GuestState>("synthetic-guest", version: 1) { PostLoad = (state, _) => state.HasArrived = true }
            .Integer("guest", state => state.Guest, (state, value) => state.Guest = value)
            .Integer("pages", state => state.Pages, (state, value) => state.Pages = value, accepts: (state, value) => value == state.Pages)
            .Integer(
                "pattern",
                state => (uint)state.Load.Pattern,
                (state, value) => state.Load = state.Load with { Pattern = (GuestPattern)value },
                accepts: (_, value) => value <= (uint)GuestPattern.Hot)
            .Integer(
                "working_set_pages",
                state => state.Load.WorkingSetPages,
                (state, value) => state.Load = state.Load with { WorkingSetPages = value },
                accepts: (state, value) => value >= 1 && value <= state.Pages)
            .Integer("dirty_rate", state => state.Load.DirtyRate, (state, value) => state.Load = state.Load with { DirtyRate = value })
            .Integer("moves", state => state.Moves, (state, value) => state.Moves = value)
            .Integer(
                "stopped_at",
                state => state.StoppedAt,
                (state, value) => state.StoppedAt = value,
                accepts: (_, value) => value >= 0 && value <= DateTime.MaxValue.Ticks)
            .Array("sums", guest.Sums.Length, state => state.Sums);
}
