using System.Diagnostics;
using RdmaMigration.Memory;

namespace RdmaMigration.Transport.Tests;

public sealed class IncomingControlFuzzTests
{
    private const int Mutations = 10_000;

    [Fact]
    public void Ten_thousand_mutated_control_messages_end_in_an_error_or_in_bytes()
    {
        using RamBlockList blocks = RamBlockList.Allocate([new RamBlockDescription("pc.ram", 8 << 20), new RamBlockDescription("vga", 1 << 20)], 16 << 20);
        byte[] buffer = new byte[4096];
        int refused = 0;
        for (int seed = 0; seed < Mutations; seed++)
        {
            Random random = new(seed);
            byte[][] messages = ControlFuzz.Mutate(ControlFuzz.Ladder(random), random);
            ScriptedLink link = new(messages);
            IncomingControl control = new(link, new RecordingRegistration(), pinAll: random.Next(2) == 0);
            control.SetRamBlocks(blocks);
            long before = GC.GetAllocatedBytesForCurrentThread();
            long start = Stopwatch.GetTimestamp();
            try
            {
                while (control.Read(buffer, Timeout.InfiniteTimeSpan) > 0)
                {
                }
            }
            catch (TransportException error)
            {
                Assert.False(string.IsNullOrWhiteSpace(error.Message), $"seed {seed}: {error.GetType()} without words");
                refused += error is ControlProtocolException ? 1 : 0;
            }
            catch (Exception unexpected)
            {
                Assert.Fail($"seed {seed}: {unexpected}");
            }

            Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(5), $"seed {seed}: hung");
            Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20, $"seed {seed}: allocated on the peer's word");
        }

        // Most mutations hit something that is checked; were none refused, the checks would not be reached.
        Assert.InRange(refused, Mutations / 4, Mutations);
    }
}
