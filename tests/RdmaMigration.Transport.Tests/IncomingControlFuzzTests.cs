using System.Diagnostics;
using RdmaMigration.Memory;

namespace RdmaMigration.Transport.Tests;

public sealed class IncomingControlFuzzTests
{
    private const int Mutations = 10_000;
    private const ulong MiB = 1 << 20;

    [Fact]
    public void TenThousandMutatedControlMessagesEndInAClearErrorOrInBytesWithoutCrashHangOrAllocation()
    {
        using RamBlockList blocks = RamBlockList.Allocate([new RamBlockDescription("pc.ram", 8 * MiB), new RamBlockDescription("vga", MiB)], 16 * MiB);
        byte[] buffer = new byte[4096];
        int refused = 0;
        for (int seed = 0; seed < Mutations; seed++)
        {
            Random random = new(seed);
            byte[][] messages = Mutate(Ladder(random), random);
            ScriptedLink link = new(messages);
            IncomingControl control = new(link, new RecordingRegistration(), pinAll: random.Next(2) == 0);
            control.SetRamBlocks(blocks);
            long before = GC.GetAllocatedBytesForCurrentThread();
            long start = Stopwatch.GetTimestamp();
            try
            {
                while (control.Read(buffer) > 0)
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

    private static List<byte[]> Ladder(Random random) =>
    [
        ControlMessages.QemuFile([.. Enumerable.Range(0, random.Next(1, 200)).Select(i => (byte)i)]),
        ControlMessages.Of(ControlMessageType.RamBlocksRequest),
        ControlMessages.Of(ControlMessageType.RegisterFinished),
        ControlMessages.QemuFile(1, 2, 3),
        ControlMessages.Register((ulong)random.Next(8) * MiB, 0),
        ControlMessages.Register(0, 1),
        ControlMessages.Compress(0, 0, (ulong)random.Next(8) * MiB, MiB),
        ControlMessages.Register(0, 0, chunks: (ulong)random.Next(8)),
        ControlMessages.Unregister((ulong)random.Next(8), 0),
        ControlMessages.Of(ControlMessageType.RegisterFinished),
        ControlMessages.QemuFile(4),
    ];

    private static byte[][] Mutate(List<byte[]> messages, Random random)
    {
        for (int i = random.Next(1, 4); i > 0; i--)
        {
            int at = random.Next(messages.Count);
            byte[] message = (byte[])messages[at].Clone();
            switch (message.Length == 0 ? 3 : random.Next(6))
            {
                case 0:
                    message[random.Next(message.Length)] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    random.NextBytes(message.AsSpan(random.Next(message.Length)));
                    break;
                case 2:
                    message = message[..random.Next(message.Length)];
                    break;
                case 3:
                    message = [.. message, .. new byte[random.Next(1, 100)]];
                    break;
                case 4:
                    message.AsSpan(message.Length / 2 / 8 * 8).Fill(0xff);
                    break;
                default:
                    messages.Insert(random.Next(messages.Count), messages[random.Next(messages.Count)]);
                    break;
            }

            messages[at] = message;
        }

        return [.. messages];
    }
}
