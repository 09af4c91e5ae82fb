namespace RdmaMigration.Transport.Tests;

/// <summary>Control messages of a whole migration, and what a hostile peer makes of them. The same seed gives the same messages.</summary>
internal static class ControlFuzz
{
    private const ulong MiB = 1 << 20;

    public static List<byte[]> Ladder(Random random) =>
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

    public static byte[][] Mutate(List<byte[]> messages, Random random)
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
