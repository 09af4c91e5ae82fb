using RdmaMigration.Memory;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>A machine as a <see cref="Delivery"/> sends it: a capture, or one that runs.</summary>
internal interface IOutgoingMachine
{
    /// <summary>The stream's configuration.</summary>
    StreamConfiguration Configuration { get; }

    /// <summary>The RAM blocks. They must live until the delivery is disposed.</summary>
    RamBlockList Ram { get; }

    /// <summary>Refuses a channel that cannot carry the machine.</summary>
    /// <exception cref="CaptureException">The message says which of its blocks, and what to do.</exception>
    void Check(MigrationUri uri);

    /// <summary>Writes the whole stream. On the sending thread.</summary>
    void Write(DeliveryStream to);
}

/// <summary>What a machine writes its stream to.</summary>
internal sealed record DeliveryStream
{
    /// <summary>The channel.</summary>
    public required OutgoingChannel Channel { get; init; }

    /// <summary>The stream's beginning is written already.</summary>
    public required bool IsOpened { get; init; }

    /// <summary>The return path, on which the destination is asked to answer; null for none.</summary>
    public required SourceReturnPath? ReturnPath { get; init; }

    /// <summary>Digests of RAM are to be sent.</summary>
    public required bool Verify { get; init; }

    /// <summary>Takes progress.</summary>
    public required Action<CaptureProgress> OnProgress { get; init; }

    /// <summary>Takes a step that is reached.</summary>
    public required Action<DeliveryStep> Reach { get; init; }

    /// <summary>Looked at before each batch of pages.</summary>
    public required CancellationToken Cancellation { get; init; }

    /// <summary>Takes the stream's bytes.</summary>
    public IStreamSink Sink => field ??= new ChannelSink(Channel.Output);

    /// <summary>Moves RAM beside the stream, or null. <see cref="DeliveryStep.Ram"/> is reached when the destination's blocks fit, or at once.</summary>
    /// <param name="runs">The machine runs while it is sent.</param>
    public RamCarrier? OpenRam(bool runs)
    {
        if (Channel.Ram is { } ram)
        {
            return new RamCarrier(ram, () => Reach(DeliveryStep.Ram), runs);
        }

        Reach(DeliveryStep.Ram);
        return null;
    }
}

/// <summary>A machine that does not run, as it is sent.</summary>
internal sealed class OutgoingCapture(CapturedStream stream) : IOutgoingMachine
{
    public StreamConfiguration Configuration => stream.Configuration;

    public RamBlockList Ram => stream.RamBlocks;

    /// <summary>The run state that it is sent with; null for its own. It must have one.</summary>
    public string? RunState { get; init; }

    public void Check(MigrationUri uri)
    {
        if (uri.IsRdma && stream.Blocks.Count == 0)
        {
            throw new CaptureException("the machine has no RAM, so RDMA cannot carry it; send it to tcp: or unix:");
        }

        if (uri.IsRdma && Enumerable.Range(0, stream.Blocks.Count).FirstOrDefault(stream.IsLeftOut, -1) is >= 0 and int leftOut)
        {
            throw new CaptureException(
                $"RAM block '{stream.Blocks[leftOut].Name}' is not in the stream (x-ignore-shared), which RDMA cannot express; send the machine to tcp: or "
                    + "unix:");
        }
    }

    public void Write(DeliveryStream to)
    {
        CaptureWriterOptions form = new()
        {
            Carrier = to.OpenRam(runs: false),
            IsOpened = to.IsOpened,
            OpenReturnPath = to.ReturnPath is not null,
            Verify = to.Verify,
            RunState = RunState,
        };
        CaptureWriter.Write(stream, to.Sink, form, to.OnProgress, to.Cancellation);
    }
}
