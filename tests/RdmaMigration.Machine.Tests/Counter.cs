using System.Buffers.Binary;
using RdmaMigration.VmState;

namespace RdmaMigration.Machines.Tests;

/// <summary>A program that counts in RAM, one page after the other, and keeps the sum in a device.</summary>
internal sealed class Counter(MachineRam ram) : IMachineProgram, IDisposable
{
    private Thread? _thread;
    private volatile bool _isStopping;
    private ulong _count;

    public static VmStateDescription<Counter> Description { get; } = new VmStateDescription<Counter>("counter", version: 1)
        .Integer("count", counter => counter.Count, (counter, value) => counter.Count = value);

    public ulong Count
    {
        get => Volatile.Read(ref _count);
        private set => Volatile.Write(ref _count, value);
    }

    /// <summary>Whether it marks what it writes.</summary>
    public bool Marks { get; init; }

    /// <summary>What the pages add up to. While the program is stopped.</summary>
    public ulong Sum
    {
        get
        {
            ulong sum = 0;
            for (ulong page = 0; page < ram.Length; page += MachineRam.PageSize)
            {
                sum += BinaryPrimitives.ReadUInt64LittleEndian(ram.Slice(page, sizeof(ulong)));
            }

            return sum;
        }
    }

    public void Start()
    {
        _isStopping = false;
        _thread = new Thread(Run) { IsBackground = true };
        _thread.Start();
    }

    public void Stop()
    {
        _isStopping = true;
        _thread!.Join();
    }

    /// <summary>Waits until the program has counted on.</summary>
    public void WaitForMore()
    {
        ulong seen = Count;
        Assert.True(SpinWait.SpinUntil(() => Count > seen, TimeSpan.FromSeconds(20)));
    }

    public void Dispose()
    {
        _isStopping = true;
        _thread?.Join();
    }

    private void Run()
    {
        while (!_isStopping)
        {
            Span<byte> page = ram.Slice(Count * MachineRam.PageSize % ram.Length, sizeof(ulong));
            BinaryPrimitives.WriteUInt64LittleEndian(page, BinaryPrimitives.ReadUInt64LittleEndian(page) + 1);
            if (Marks)
            {
                ram.MarkDirty(Count * MachineRam.PageSize % ram.Length, sizeof(ulong));
            }

            Count++;
        }
    }
}
