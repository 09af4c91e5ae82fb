using System.Diagnostics;
using RdmaMigration.Machines;

namespace RdmaMigration.Cli.Guest;

/// <summary>What a look at every page of a guest has shown.</summary>
internal sealed record GuestVerdict
{
    /// <summary>Pages that were looked at: all.</summary>
    public required ulong Pages { get; init; }

    /// <summary>Writes that are missing: the pages hold what was there before them. Without the regions that have a torn or foreign page.</summary>
    public required ulong LostWrites { get; init; }

    /// <summary>Writes that came after the guest's state was recorded. Counted as <see cref="LostWrites"/>.</summary>
    public required ulong LateWrites { get; init; }

    /// <summary>Pages that are made of two writes.</summary>
    public required ulong TornPages { get; init; }

    /// <summary>Pages with the content of another page or guest.</summary>
    public required ulong ForeignPages { get; init; }

    /// <summary>The first page of the first region in which something is wrong; null if nothing is.</summary>
    public required ulong? FirstBadPage { get; init; }

    /// <summary>How long the look took.</summary>
    public required TimeSpan Time { get; init; }

    /// <summary>After a move: from the last instruction at the source to the first at the destination.</summary>
    public TimeSpan? Downtime { get; init; }

    /// <summary>How often the guest has moved.</summary>
    public uint Moves { get; init; }

    /// <summary>The guest is what it was.</summary>
    public bool IsIntact => FirstBadPage is null;
}

/// <summary>
/// Looks at every page of a guest once, while the guest may already write again: a writer has a page looked at before it writes it for the first time.
/// Compares what the pages carry with the sums that the guest's state had at the beginning.
/// </summary>
internal sealed class GuestInspection
{
    private const byte Open = 0;
    private const byte Busy = 1;
    private const byte Done = 2;

    private readonly MachineRam _ram;
    private readonly ulong _guest;
    private readonly ulong[] _expected;
    private readonly ulong[] _found;
    private readonly bool[] _isUnclear;
    private readonly byte[] _pages;
    private ulong _torn;
    private ulong _foreign;

    /// <summary>Begins with what the state says now. No writer runs.</summary>
    public GuestInspection(MachineRam ram, GuestState state)
    {
        _ram = ram;
        _guest = state.Guest;
        _expected = (ulong[])state.Sums.Clone();
        _found = new ulong[_expected.Length];
        _isUnclear = new bool[_expected.Length];
        _pages = new byte[(int)state.Pages];
    }

    /// <summary>Looks at a page unless that was done. When this returns the page may be written. Any thread.</summary>
    public void Look(ulong index)
    {
        ref byte page = ref _pages[(int)index];
        if (Volatile.Read(ref page) is Done)
        {
            return;
        }

        if (Interlocked.CompareExchange(ref page, Busy, Open) is Open)
        {
            Record(index);
            Volatile.Write(ref page, Done);
            return;
        }

        SpinWait spin = default;
        while (Volatile.Read(ref page) is not Done)
        {
            spin.SpinOnce();
        }
    }

    /// <summary>Looks at all pages that nobody has looked at yet.</summary>
    public GuestVerdict LookAtAll()
    {
        long began = Stopwatch.GetTimestamp();
        for (int page = 0; page < _pages.Length; page++)
        {
            Look((ulong)page);
        }

        ulong lost = 0;
        ulong late = 0;
        int? firstBad = null;
        for (int region = 0; region < _expected.Length; region++)
        {
            ulong found = Interlocked.Read(ref _found[region]);
            if (_isUnclear[region] || found != _expected[region])
            {
                firstBad ??= region;
            }

            if (!_isUnclear[region])
            {
                lost += _expected[region] > found ? _expected[region] - found : 0;
                late += found > _expected[region] ? found - _expected[region] : 0;
            }
        }

        return new GuestVerdict
        {
            Pages = (ulong)_pages.Length,
            LostWrites = lost,
            LateWrites = late,
            TornPages = Interlocked.Read(ref _torn),
            ForeignPages = Interlocked.Read(ref _foreign),
            FirstBadPage = firstBad is { } bad ? (ulong)bad * GuestState.RegionPages : null,
            Time = Stopwatch.GetElapsedTime(began),
        };
    }

    private void Record(ulong index)
    {
        ReadOnlySpan<byte> page = _ram.Slice(index * GuestPage.Size, GuestPage.Size);
        ulong region = index / GuestState.RegionPages;
        switch (GuestPage.Check(page, _guest, index))
        {
            case GuestPageState.Whole:
                Interlocked.Add(ref _found[region], GuestPage.SequenceOf(page));
                break;
            case GuestPageState.Torn:
                Interlocked.Increment(ref _torn);
                _isUnclear[region] = true;
                break;
            default:
                Interlocked.Increment(ref _foreign);
                _isUnclear[region] = true;
                break;
        }
    }
}
