namespace RdmaMigration.Cli.Guest;

/// <summary>
/// One writer of a guest: a thread that writes pages while the gate is open. It owns every region whose number leaves its own when divided by the number
/// of writers, so no two writers write the same page or sum.
/// </summary>
internal sealed class GuestWriter
{
    private readonly SyntheticGuest _guest;
    private readonly GuestGate _gate;
    private readonly ulong _number;
    private readonly ulong _writers;
    private readonly Thread _thread;
    private ulong _random;
    private ulong _position;
    private long _pagesWritten;

    /// <summary>Prepares a writer; <see cref="Start"/> starts it.</summary>
    public GuestWriter(SyntheticGuest guest, GuestGate gate, int number, int writers)
    {
        _guest = guest;
        _gate = gate;
        _number = (ulong)number;
        _writers = (ulong)writers;
        _random = (ulong)Random.Shared.NextInt64();
        _thread = new Thread(Run) { Name = $"guest/{number}", IsBackground = true };
    }

    /// <summary>Pages written in this process. Any thread.</summary>
    public long PagesWritten => Volatile.Read(ref _pagesWritten);

    /// <summary>Starts the thread, which parks at the gate.</summary>
    public void Start() => _thread.Start();

    /// <summary>Waits for the thread. After <see cref="GuestGate.End"/>.</summary>
    public void Join() => _thread.Join();

    private void Run()
    {
        while (_gate.Park())
        {
            GuestLoad load = _guest.State.Load;
            ulong owned = OwnedPages(load.WorkingSetPages);
            GuestPace pace = new(_gate, (double)load.DirtyRate * owned / load.WorkingSetPages);
            while (_gate.IsOpen)
            {
                if (owned > 0)
                {
                    WritePage(PageAt(Next(load.Pattern, owned)));
                    pace.AfterPage(_guest.ThrottlePercent);
                }
                else
                {
                    _gate.Idle(Timeout.InfiniteTimeSpan);
                }
            }
        }
    }

    private void WritePage(ulong index)
    {
        _guest.CheckArrival(index);
        GuestState state = _guest.State;
        Span<byte> page = _guest.Ram.Slice(index * GuestPage.Size, GuestPage.Size);
        GuestPage.Write(page, state.Guest, index, GuestPage.SequenceOf(page) + 1, state.Moves);
        state.Sums[index / GuestState.RegionPages]++;
        Volatile.Write(ref _pagesWritten, _pagesWritten + 1);
    }

    private ulong OwnedPages(ulong workingSet)
    {
        ulong owned = 0;
        for (ulong first = _number * GuestState.RegionPages; first < workingSet; first += _writers * GuestState.RegionPages)
        {
            owned += Math.Min(GuestState.RegionPages, workingSet - first);
        }

        return owned;
    }

    /// <summary>The page with this number among the writer's own. Only the last region can be short, so the numbers have no gap.</summary>
    private ulong PageAt(ulong own)
    {
        (ulong region, ulong page) = Math.DivRem(own, GuestState.RegionPages);
        return (((region * _writers) + _number) * GuestState.RegionPages) + page;
    }

    private ulong Next(GuestPattern pattern, ulong owned) => pattern switch
    {
        GuestPattern.Sequential => _position++ % owned,
        GuestPattern.Hot when NextBelow(10) > 0 => NextBelow(Math.Max(owned / 10, 1)),
        _ => NextBelow(owned),
    };

    /// <summary>A number in [0, <paramref name="bound"/>), by SplitMix64.</summary>
    private ulong NextBelow(ulong bound)
    {
        _random += 0x9E3779B97F4A7C15;
        ulong mixed = (_random ^ (_random >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return Math.BigMul(mixed ^ (mixed >> 31), bound, out _);
    }
}
