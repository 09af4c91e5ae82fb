using RdmaMigration.Memory;

namespace RdmaMigration.Transport;

/// <summary>The destination's answer to RAM_BLOCKS_REQUEST, checked as QEMU checks it and further (PROTOCOL.md, Block order).</summary>
internal static class DestinationBlocks
{
    /// <exception cref="ControlProtocolException">Another count, another length, or a key that is missing.</exception>
    public static DestinationBlock[] Parse(ReadOnlySpan<byte> payload, IReadOnlyList<RamBlock> blocks, bool pinAll, string peer)
    {
        if (payload.Length != blocks.Count * DestinationBlock.Size)
        {
            throw new ControlProtocolException(
                $"RAM_BLOCKS_RESULT: the destination {peer} has {payload.Length / (double)DestinationBlock.Size:0.##} RAM blocks; the machine has "
                    + $"{blocks.Count}: "
                + "start the destination with the same machine and devices");
        }

        DestinationBlock[] destination = new DestinationBlock[blocks.Count];
        for (int i = 0; i < destination.Length; i++)
        {
            DestinationBlock block = DestinationBlock.Read(payload[(i * DestinationBlock.Size)..]);
            if (block.Length != blocks[i].Length)
            {
                throw new ControlProtocolException(
                    $"RAM_BLOCKS_RESULT: RAM block '{blocks[i].Name}' has {block.Length} bytes at the destination {peer} and {blocks[i].Length} in the "
                        + "machine: "
                    + "start the destination with the same memory size and devices");
            }

            if (pinAll && block.RemoteKey == 0)
            {
                throw new ControlProtocolException(
                    $"RAM_BLOCKS_RESULT: the destination {peer} has no key for RAM block '{blocks[i].Name}' although it agreed to pin-all");
            }

            destination[i] = pinAll ? block : block with { RemoteKey = 0 };
        }

        return destination;
    }
}
