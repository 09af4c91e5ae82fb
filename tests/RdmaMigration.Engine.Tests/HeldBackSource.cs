using System.Diagnostics;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>A source in memory that has sent its machine. It takes every message on the return path but the last, SHUT, which it never takes.</summary>
internal sealed class HeldBackSource : IncomingChannel
{
    private readonly ManualResetEventSlim _shutdown = new();
    private readonly Reader _reader = new(StreamedMachine.All(returnPath: true));
    private readonly Writer _writer;
    private ConnectionLostException? _lost;

    public HeldBackSource() => _writer = new Writer(this);

    /// <summary>Set while SHUT is being written.</summary>
    public ManualResetEventSlim IsReporting { get; } = new();

    public override string Peer => "the source";

    public override string Device => "memory";

    public override ConnectionLostException? Lost => Volatile.Read(ref _lost);

    public override ChannelInput Input => _reader;

    public override ChannelOutput Output => _writer;

    public override void Shutdown(string reason)
    {
        Interlocked.CompareExchange(ref _lost, new ConnectionLostException(ConnectionLoss.Shutdown, reason, Stopwatch.GetTimestamp()), null);
        _shutdown.Set();
    }

    public override void Dispose()
    {
        _shutdown.Dispose();
        IsReporting.Dispose();
    }

    protected override ChannelOutput? AwaitOutput(TimeSpan timeout) => _writer;

    private sealed class Reader(byte[] bytes) : ChannelInput
    {
        private int _read;

        protected override int ReadBytes(Span<byte> buffer, TimeSpan idle)
        {
            int count = Math.Min(buffer.Length, bytes.Length - _read);
            bytes.AsSpan(_read, count).CopyTo(buffer);
            _read += count;
            return count;
        }
    }

    private sealed class Writer(HeldBackSource source) : ChannelOutput
    {
        private const byte Shut = 1;

        protected override void WriteBytes(ReadOnlySpan<byte> bytes, TimeSpan patience)
        {
            if (bytes[1] != Shut)
            {
                return;
            }

            source.IsReporting.Set();
            source._shutdown.Wait();
            throw source.Lost!;
        }
    }
}
