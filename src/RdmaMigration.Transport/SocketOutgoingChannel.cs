using System.Diagnostics;
using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <summary>Over a stream socket: TCP, UNIX domain, or one that was handed to this process. It has a way back.</summary>
internal sealed class SocketOutgoingChannel : DescriptorOutgoingChannel
{
    public SocketOutgoingChannel(PolledDescriptor descriptor) : base(descriptor) => ReturnPath = new Reader(this);

    /// <inheritdoc/>
    public override ReturnPathReader ReturnPath { get; }

    /// <summary>Closes the direction to the destination. The way back stays open.</summary>
    public override void Finish()
    {
        BeforeIo?.Invoke();
        Descriptor.ThrowIfLost();

        // A connection that is gone already shows at the next read.
        _ = shutdown(Descriptor.Number, SHUT_WR);
    }

    /// <summary>Waits for the end of what the destination sends; bytes before it are dropped. Call it when nobody reads the way back any more.</summary>
    public override bool WaitForClose(TimeSpan timeout)
    {
        BeforeIo?.Invoke();
        Span<byte> dropped = stackalloc byte[512];
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            switch (Descriptor.Read(dropped, PolledDescriptor.Left(timeout, start)))
            {
                case 0:
                    return true;
                case null:
                    return false;
                default:
                    break;
            }
        }
    }

    private sealed class Reader(SocketOutgoingChannel channel) : ReturnPathReader
    {
        public override int Read(Span<byte> buffer)
        {
            channel.BeforeIo?.Invoke();
            return channel.Descriptor.Read(buffer, Timeout.InfiniteTimeSpan) ?? 0;
        }
    }
}
