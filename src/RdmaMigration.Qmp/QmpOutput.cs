using System.Buffers;
using System.Threading.Channels;

namespace RdmaMigration.Qmp;

/// <summary>
/// The lines that wait for a client. Any thread adds one and never blocks; one task sends them. A client that takes less than it gets is disconnected at
/// <see cref="MaximumWaiting"/>.
/// </summary>
/// <param name="overflowed">Called once, with the bytes that wait, when the bound is exceeded.</param>
internal sealed class QmpOutput(Action<long> overflowed)
{
    /// <summary>
    /// Bytes that may wait. A source that cannot switch over emits 14,000 MIGRATION_PASS events of some 115 bytes a second: this is five seconds of them, for a
    /// client that is stopped or swapped out. One line may exceed it.
    /// </summary>
    public const int MaximumWaiting = 8 << 20;

    /// <summary>Bytes that are sent in one call. One line may exceed it.</summary>
    private const int Batch = 32 << 10;

    private readonly Channel<byte[]> _lines = Channel.CreateUnbounded<byte[]>(new UnboundedChannelOptions { SingleReader = true });
    private long _waiting;

    /// <summary>Adds a line. After <see cref="Complete"/> or an overflow it is dropped. Any thread.</summary>
    public void Enqueue(byte[] line)
    {
        long waiting = Volatile.Read(ref _waiting);
        if (waiting > MaximumWaiting)
        {
            if (_lines.Writer.TryComplete())
            {
                overflowed(waiting);
            }
        }
        else if (_lines.Writer.TryWrite(line))
        {
            Interlocked.Add(ref _waiting, line.Length);
        }
    }

    /// <summary>No further line comes: <see cref="SendAsync"/> ends when the last one is sent.</summary>
    public void Complete() => _lines.Writer.TryComplete();

    /// <summary>Sends lines in their order, those that wait together, until <see cref="Complete"/> or the client's end.</summary>
    /// <exception cref="IOException">The client is gone.</exception>
    public async Task SendAsync(Stream client, CancellationToken end)
    {
        ArrayBufferWriter<byte> batch = new();
        while (await _lines.Reader.WaitToReadAsync(end).ConfigureAwait(false))
        {
            while (batch.WrittenCount < Batch && _lines.Reader.TryRead(out byte[]? line))
            {
                batch.Write(line);
            }

            await client.WriteAsync(batch.WrittenMemory, end).ConfigureAwait(false);
            Interlocked.Add(ref _waiting, -batch.WrittenCount);
            if (batch.Capacity > 2 * Batch)
            {
                // A long reply does not stay in memory.
                batch = new ArrayBufferWriter<byte>();
            }

            batch.ResetWrittenCount();
        }
    }
}
