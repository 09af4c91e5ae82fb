namespace RdmaMigration.Memory.Tests;

/// <summary>Tracking that ends while the program writes.</summary>
public sealed class TrackingEndTests
{
    private const ulong Page = 4096;
    private const ulong Pages = 256;

    public static TheoryData<int> Kinds => [.. TrackingKinds.OfThisKernel.Select(kind => (int)kind)];

    /// <summary>
    /// Of synchronous write protection, the kernel does not wake a writer when the registration ends. Garbage is collected meanwhile: the collection waits for
    /// the writer, and no managed thread can wake it.
    /// </summary>
    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_writer_that_waits_for_a_page_goes_on(int kind)
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", Pages * Page);
        block.Slice(0, (int)block.Length).Fill(1);
        using IDirtyTracker tracker = DirtyTrackers.Create([block], (DirtyTracking)kind, static _ => { });
        bool isStopping = false;
        Thread[] writers = [.. Enumerable.Range(0, 2).Select(writer => new Thread(() =>
        {
            for (ulong page = (ulong)writer; !Volatile.Read(ref isStopping); page += 2)
            {
                Volatile.Write(ref block.Slice(page % Pages * Page, 1)[0], 2);
            }
        })
        { IsBackground = true })];
        foreach (Thread writer in writers)
        {
            writer.Start();
        }

        // A collection for each start and each stop: one after the other would leave the other threads no time.
        using SemaphoreSlim collections = new(0);
        Thread collector = new(() =>
        {
            while (!Volatile.Read(ref isStopping))
            {
                collections.Wait();
                GC.Collect(0);
            }
        })
        { IsBackground = true };
        collector.Start();
        for (int i = 0; i < 60; i++)
        {
            collections.Release();
            tracker.Start();
            collections.Release();
            tracker.Stop();
        }

        Volatile.Write(ref isStopping, true);
        collections.Release();
        Assert.True(collector.Join(TimeSpan.FromSeconds(20)), "a collection waits for ever");
        Assert.All(writers, writer => Assert.True(writer.Join(TimeSpan.FromSeconds(20)), "a writer waits for ever"));
    }
}
