using RdmaMigration.Machines;

namespace RdmaMigration.Cli.Guest;

/// <summary>
/// A program that dirties memory at a known rate and can prove after a move that no write was lost and no page is torn. Its threads write the pages of one
/// block; its <see cref="State"/> records what they have written. After a move it runs at once; a thread looks at the pages meanwhile.
/// </summary>
internal sealed class SyntheticGuest : IMachineProgram, IDisposable
{
    private readonly GuestGate _gate;
    private readonly GuestWriter[] _writers;
    private GuestInspection? _arrival;
    private Thread? _inspector;
    private volatile int _throttlePercent;

    private SyntheticGuest(MachineRam ram, GuestLoad load, int writers)
    {
        Ram = ram;
        State = new GuestState(ram.Length / GuestPage.Size, load);
        _gate = new GuestGate(writers);
        _writers = new GuestWriter[writers];
    }

    /// <summary>Called when all pages were looked at after a move. On a thread of the guest.</summary>
    public event Action<GuestVerdict>? Verified;

    /// <summary>The guest's memory.</summary>
    public MachineRam Ram { get; }

    /// <summary>The guest's device state.</summary>
    public GuestState State { get; }

    /// <summary>Percent of the time in which the writers must not run.</summary>
    public int ThrottlePercent => _throttlePercent;

    /// <summary>Bytes that were written in this process. Any thread.</summary>
    public long BytesWritten => _writers.Sum(writer => writer.PagesWritten) * GuestPage.Size;

    /// <summary>A guest that does not run yet. Either <see cref="Fill"/> makes its content, or it arrives.</summary>
    /// <param name="ram">The guest's memory.</param>
    /// <param name="load">How it writes; a guest that arrives brings its own.</param>
    /// <param name="writers">Threads.</param>
    public static SyntheticGuest Create(MachineRam ram, GuestLoad load, int writers)
    {
        SyntheticGuest guest = new(ram, load, writers);
        for (int number = 0; number < writers; number++)
        {
            guest._writers[number] = new GuestWriter(guest, guest._gate, number, writers);
        }

        foreach (GuestWriter writer in guest._writers)
        {
            writer.Start();
        }

        return guest;
    }

    /// <summary>Writes each page once. Before the guest starts for the first time.</summary>
    public void Fill()
    {
        State.Guest = (ulong)Random.Shared.NextInt64();
        Array.Clear(State.Sums);
        for (ulong page = 0; page < State.Pages; page++)
        {
            GuestPage.Write(Ram.Slice(page * GuestPage.Size, GuestPage.Size), State.Guest, page, sequence: 1, State.Moves);
            State.Sums[page / GuestState.RegionPages]++;
        }
    }

    /// <inheritdoc/>
    public void Start()
    {
        if (State.HasArrived)
        {
            State.HasArrived = false;
            State.Moves++;
            _throttlePercent = 0;
            BeginInspection();
        }

        _gate.Open();
    }

    /// <inheritdoc/>
    public void Stop()
    {
        _gate.Close();
        State.StoppedAt = _gate.LastInstruction.Ticks;
    }

    /// <inheritdoc/>
    public void Throttle(int percent) => _throttlePercent = percent;

    /// <summary>Looks at all pages. The guest does not run.</summary>
    public GuestVerdict Verify()
    {
        _inspector?.Join();
        return new GuestInspection(Ram, State).LookAtAll() with { Moves = State.Moves };
    }

    /// <summary>Has a page looked at if the guest has just arrived: it is about to be written.</summary>
    internal void CheckArrival(ulong page) => Volatile.Read(ref _arrival)?.Look(page);

    /// <summary>Ends the threads.</summary>
    public void Dispose()
    {
        _gate.End();
        foreach (GuestWriter writer in _writers)
        {
            writer.Join();
        }

        _inspector?.Join();
    }

    private void BeginInspection()
    {
        DateTime stoppedAt = new(State.StoppedAt, DateTimeKind.Utc);
        uint moves = State.Moves;
        GuestInspection inspection = new(Ram, State);
        Volatile.Write(ref _arrival, inspection);
        _inspector = new Thread(Inspect) { Name = "guest/verify", IsBackground = true };
        _inspector.Start();

        void Inspect()
        {
            GuestVerdict verdict = inspection.LookAtAll();
            Volatile.Write(ref _arrival, null);
            Verified?.Invoke(verdict with { Downtime = _gate.WaitForFirstInstruction() - stoppedAt, Moves = moves });
        }
    }
}
