namespace RdmaMigration.Cli.Guest;

/// <summary>Which page a guest writes next.</summary>
internal enum GuestPattern : uint
{
    /// <summary>Any page of the working set.</summary>
    Random,

    /// <summary>One page after the other.</summary>
    Sequential,

    /// <summary>Nine of ten writes go to a tenth of the working set.</summary>
    Hot,
}

/// <summary>How a guest writes.</summary>
/// <param name="Pattern">Which page is next.</param>
/// <param name="WorkingSetPages">The pages that are written, from the start of the block; at least one.</param>
/// <param name="DirtyRate">Bytes a second by all writers together; 0 for as fast as they can.</param>
internal readonly record struct GuestLoad(GuestPattern Pattern, ulong WorkingSetPages, ulong DirtyRate);

/// <summary>
/// The device state of a guest: how it writes, and the proof of what it has written. The proof is one number for each region of <see cref="RegionPages"/>
/// pages, the sum of their sequence numbers: a page that arrives older than it was left makes the sum too small by as many as there are lost writes. Only a
/// region's writer changes its sum, and only while the guest runs.
/// </summary>
internal sealed class GuestState
{
    /// <summary>Pages in a region; the last region may have fewer.</summary>
    public const ulong RegionPages = 256;

    /// <summary>A state for a block that <see cref="SyntheticGuest"/> fills, or that arrives.</summary>
    public GuestState(ulong pages, GuestLoad load)
    {
        Pages = pages;
        Load = load;
        Sums = new ulong[(int)((pages + RegionPages - 1) / RegionPages)];
    }

    /// <summary>The guest's number, which each of its pages carries.</summary>
    public ulong Guest { get; set; }

    /// <summary>Pages in the guest's block.</summary>
    public ulong Pages { get; set; }

    /// <summary>How the guest writes.</summary>
    public GuestLoad Load { get; set; }

    /// <summary>How often the guest has moved.</summary>
    public uint Moves { get; set; }

    /// <summary>The sum of the sequence numbers of each region's pages.</summary>
    public ulong[] Sums { get; set; }

    /// <summary>When the last writer stopped: ticks of UTC. Of use at a destination if both hosts' clocks agree.</summary>
    public long StoppedAt { get; set; }

    /// <summary>The state has come from a source, and the guest has not started since.</summary>
    public bool HasArrived { get; set; }
}
