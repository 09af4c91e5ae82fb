namespace RdmaMigration.Bench;

/// <summary>A program at one end of a migration.</summary>
internal enum Peer
{
    /// <summary>A stock QEMU.</summary>
    Qemu,

    /// <summary>rdmamig send, or rdmamig receive.</summary>
    Rdmamig,
}

/// <summary>How RAM travels.</summary>
internal enum Mode
{
    /// <summary>RDMA; memory is registered as it is sent.</summary>
    Dynamic,

    /// <summary>RDMA; all memory is registered beforehand.</summary>
    PinAll,

    /// <summary>One TCP stream.</summary>
    Tcp,
}

/// <summary>Who sends to whom.</summary>
internal sealed record Route(Peer From, Peer To)
{
    public static IReadOnlyList<Route> All { get; } =
    [
        new(Peer.Qemu, Peer.Qemu), new(Peer.Qemu, Peer.Rdmamig), new(Peer.Rdmamig, Peer.Qemu), new(Peer.Rdmamig, Peer.Rdmamig),
    ];

    /// <summary>Its name on the command line, such as qemu-rdmamig.</summary>
    public string ToOption() => $"{From}-{To}".ToLowerInvariant();

    public override string ToString() => $"{Words.Of(From)} → {Words.Of(To)}";
}

/// <summary>How people read what the figures are about.</summary>
internal static class Words
{
    public static string Of(Peer peer) => peer == Peer.Qemu ? "QEMU" : "rdmamig";

    public static string Of(Mode mode) => mode switch
    {
        Mode.Dynamic => "dynamic",
        Mode.PinAll => "pin-all",
        _ => "tcp",
    };

    /// <summary>A number of bytes in the largest binary unit that divides it.</summary>
    public static string OfBytes(long bytes) => bytes switch
    {
        _ when bytes % (1L << 30) == 0 => Report.Text($"{bytes >> 30} GiB"),
        _ when bytes % (1L << 20) == 0 => Report.Text($"{bytes >> 20} MiB"),
        _ => Report.Text($"{bytes >> 10} KiB"),
    };
}
