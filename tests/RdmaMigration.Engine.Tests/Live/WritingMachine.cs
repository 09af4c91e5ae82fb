using System.Runtime.InteropServices;
using RdmaMigration.Linux;
using RdmaMigration.Memory;
using RdmaMigration.VmState;

namespace RdmaMigration.Engine.Tests;

/// <summary>What a device of <see cref="WritingMachine"/> has.</summary>
internal sealed class CounterState
{
    public ulong Value { get; set; }

    public byte[] Buffer { get; } = new byte[300];

    /// <summary>Called by post_load.</summary>
    public Action? Loaded { get; set; }

    /// <summary>Called by pre_save.</summary>
    public Action? Saving { get; set; }

    public static VmStateDescription<CounterState> Description { get; } = new VmStateDescription<CounterState>("counter", version: 2)
    {
        PostLoad = (state, _) => state.Loaded?.Invoke(),
        PreSave = state => state.Saving?.Invoke(),
    }
        .Integer("value", state => state.Value, (state, value) => state.Value = value)
        .Buffer("buffer", 300, state => state.Buffer);
}

/// <summary>
/// A machine whose threads write pages all the time. Each page holds the number of its last write in every word, so that a lost write and a torn one both show:
/// <see cref="Written"/> knows which it must be.
/// </summary>
internal sealed class WritingMachine : ILiveMachine, IDisposable
{
    public const int PageSize = 4096;

    private readonly ExplicitTracker _marks;
    private readonly int _writers;
    private readonly List<Thread> _threads = [];
    private readonly ulong[][] _written;
    private volatile bool _isStopping;
    private volatile int _throttle;

    /// <param name="mebibytes">The larger block's size; the other one ends within a chunk.</param>
    /// <param name="writers">Threads that write while it runs.</param>
    /// <param name="lockIsHeld">Asked in each hook.</param>
    public WritingMachine(Func<bool> lockIsHeld, ulong mebibytes = 16, int writers = 2)
    {
        _writers = writers;
        LockIsHeld = lockIsHeld;
        Ram = RamBlockList.Allocate([new RamBlockDescription("main", mebibytes << 20), new RamBlockDescription("aux", (3 << 20) + PageSize)], ulong.MaxValue);
        _marks = new ExplicitTracker(Ram);
        _written = [.. Ram.Select(block => new ulong[block.Length / PageSize])];
        Devices.Add(Device.Create(CounterState.Description, Counter));
        Devices.Add(Device.Create(CounterState.Description, Second, instanceId: 1));
    }

    public string Type { get; init; } = "writing-1";

    public RamBlockList Ram { get; }

    public DeviceList Devices { get; } = new();

    public CounterState Counter { get; } = new();

    public CounterState Second { get; } = new();

    /// <summary>The number of each page's last write, by block.</summary>
    public IReadOnlyList<ulong[]> Written => _written;

    public Func<bool> LockIsHeld { get; set; }

    public bool IsRunning { get; private set; }

    /// <summary>Pages that the threads write, of the larger block.</summary>
    public int WorkingSet { get; set; } = 1024;

    /// <summary>The pause after each page.</summary>
    public TimeSpan Pause { get; set; } = TimeSpan.FromMicroseconds(20);

    /// <summary>The machine that this one must be equal to when it starts next; null when it starts by itself.</summary>
    public WritingMachine? Predecessor { get; set; }

    /// <summary>What <see cref="Start"/> throws.</summary>
    public Exception? RefusesToStart { get; set; }

    /// <summary>Called by <see cref="Clear"/>.</summary>
    public Action? Clearing { get; init; }

    public int Starts { get; private set; }

    public int Stops { get; private set; }

    /// <summary>The percentages that were asked for.</summary>
    public List<int> Throttles { get; } = [];

    /// <summary>How its writes are found; null for the best that works here.</summary>
    public DirtyTracking? Tracking { get; init; }

    public void Start()
    {
        Assert.True(LockIsHeld());
        Assert.False(IsRunning);
        if (RefusesToStart is { } refusal)
        {
            throw refusal;
        }

        if (Predecessor is { } source)
        {
            AssertSameAs(source);
            TakeOver(source);
            Predecessor = null;
        }

        IsRunning = true;
        Starts++;
        _isStopping = false;
        for (int i = 0; i < _writers; i++)
        {
            int writer = i;
            Thread thread = new(() => Write(writer)) { IsBackground = true, Name = "writer" };
            _threads.Add(thread);
            thread.Start();
        }
    }

    public void Stop()
    {
        Assert.True(LockIsHeld());
        Assert.True(IsRunning);
        _isStopping = true;
        _threads.ForEach(thread => thread.Join());
        _threads.Clear();
        Counter.Value = (ulong)++Stops * 1000;
        IsRunning = false;
    }

    public void Clear()
    {
        Assert.False(LockIsHeld());
        Assert.False(IsRunning);
        Clearing?.Invoke();
        foreach (RamBlock block in Ram)
        {
            block.Zero(0, block.Length);
        }
    }

    public void Throttle(int percent)
    {
        Assert.False(LockIsHeld());
        Throttles.Add(percent);
        _throttle = percent;
    }

    public IDirtyTracker CreateTracker()
    {
        try
        {
            return Tracking is DirtyTracking.Explicit ? new Marks(_marks) : DirtyTrackers.Create(Ram, Tracking, static _ => { });
        }
        catch (MigrationException) when (Tracking is null)
        {
            // A kernel without write protection for this user.
            return new Marks(_marks);
        }
    }

    /// <summary>Writes one page as the threads do.</summary>
    public void WritePage(int block, ulong page, ulong number)
    {
        MemoryMarshal.Cast<byte, ulong>(Ram[block].Slice(page * PageSize, PageSize)).Fill(number);
        _marks.MarkDirty(block, page * PageSize, PageSize);
        _written[block][page] = number;
    }

    public void Dispose()
    {
        _isStopping = true;
        _threads.ForEach(thread => thread.Join());
        Ram.Dispose();
    }

    private void AssertSameAs(WritingMachine source)
    {
        for (int block = 0; block < Ram.Count; block++)
        {
            for (ulong page = 0; page < Ram[block].Length / PageSize; page++)
            {
                ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(Ram[block].Slice(page * PageSize, PageSize));
                ulong expected = source.Written[block][page];
                Assert.False(words.ContainsAnyExcept(expected), $"page {page} of '{Ram[block].Name}' holds {words[0]}..{words[^1]} and not {expected}");
            }
        }

        Assert.Equal(source.Counter.Value, Counter.Value);
        Assert.Equal(source.Counter.Buffer, Counter.Buffer);
    }

    private void TakeOver(WritingMachine source)
    {
        for (int block = 0; block < _written.Length; block++)
        {
            source._written[block].CopyTo(_written[block], 0);
        }
    }

    private void Write(int writer)
    {
        Random random = new(writer);
        ulong number = (ulong)writer;
        while (!_isStopping)
        {
            // Each thread has pages of its own.
            ulong page = (ulong)((random.Next(WorkingSet / _writers) * _writers) + writer);
            number += (ulong)_writers;
            WritePage(0, page, number);
            double share = _throttle / 100.0;
            Thread.Sleep(Pause + TimeSpan.FromMilliseconds(share / (1 - share)));
        }
    }

    /// <summary>Lets the marks outlive a migration.</summary>
    private sealed class Marks(ExplicitTracker marks) : IDirtyTracker
    {
        public DirtyTracking Kind => marks.Kind;

        public void Start() => marks.Start();

        public ulong Collect(int block, PageBitmap into) => marks.Collect(block, into);

        public void Stop() => marks.Stop();

        public void Dispose() => marks.Stop();
    }
}
