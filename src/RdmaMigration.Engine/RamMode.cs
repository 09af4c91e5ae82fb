using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>How RAM travels.</summary>
internal enum RamMode
{
    /// <summary>By RDMA writes, into memory that is registered as it is needed.</summary>
    Dynamic,

    /// <summary>By RDMA writes, into memory that is all registered at the start.</summary>
    PinAll,

    /// <summary>In the stream.</summary>
    Stream,
}

/// <summary>What QEMU's documentation calls each mode.</summary>
internal static class RamModes
{
    /// <summary>How RAM comes in over a channel.</summary>
    internal static RamMode Of(IncomingChannel channel) => channel.Ram is not { } ram ? RamMode.Stream : ram.PinAll ? RamMode.PinAll : RamMode.Dynamic;

    /// <summary>How RAM goes out over a channel.</summary>
    internal static RamMode Of(OutgoingChannel channel) => channel.Ram is not { } ram ? RamMode.Stream : ram.PinAll ? RamMode.PinAll : RamMode.Dynamic;

    /// <summary>How RAM is to go out before there is a channel.</summary>
    internal static RamMode Planned(OutgoingOptions options) =>
        !options.Uri.IsRdma ? RamMode.Stream : options.Parameters.Get(MigrationParameters.PinAll) ? RamMode.PinAll : RamMode.Dynamic;

    /// <summary>The word for people and programs.</summary>
    public static string ToWord(this RamMode mode) => mode switch
    {
        RamMode.Dynamic => "dynamic",
        RamMode.PinAll => "pin-all",
        RamMode.Stream => "stream",
        _ => throw new ArgumentOutOfRangeException(nameof(mode), mode, "no such mode"),
    };
}
