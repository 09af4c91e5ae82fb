namespace RdmaMigration.Transport;

/// <summary>
/// An outgoing channel over a descriptor: a socket, a pipe, a file. What is sent goes from the caller's memory to the kernel in one step, and counts as sent
/// when the kernel has it.
/// </summary>
internal abstract class DescriptorOutgoingChannel : OutgoingChannel
{
    private protected DescriptorOutgoingChannel(PolledDescriptor descriptor, string kind)
    {
        Descriptor = descriptor;
        Device = kind;
    }

    /// <inheritdoc/>
    public sealed override string Device { get; }

    /// <inheritdoc/>
    public sealed override string Peer => Descriptor.Peer;

    /// <inheritdoc/>
    public sealed override ConnectionLostException? Lost => Descriptor.Lost;

    private protected PolledDescriptor Descriptor { get; }

    /// <summary>Opens a channel of any kind but RDMA; for a socket it waits until the destination has taken the connection.</summary>
    /// <remarks>
    /// <c>file:</c> creates a missing file, readable by its owner alone; of a file that exists everything before the offset stays, and everything from there
    /// on is discarded when the channel opens. <c>fd:</c> takes the descriptor over: it is closed with the channel, and for 0, 1 and 2 /dev/null takes its
    /// place.
    /// </remarks>
    /// <param name="uri">Where to.</param>
    /// <param name="options">How long to wait, and what must not be written to.</param>
    /// <param name="cancel">Ends the wait.</param>
    /// <exception cref="ConnectFailedException">It cannot be opened; the message says what to do.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static OutgoingChannel Open(MigrationUri uri, DescriptorChannelOptions options, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(uri);
        ArgumentNullException.ThrowIfNull(options);
        return uri switch
        {
            TcpUri tcp => new SocketOutgoingChannel(SocketConnector.Connect(tcp, options, cancel), uri.Scheme),
            UnixUri unix => new SocketOutgoingChannel(SocketConnector.Connect(unix, options, cancel), uri.Scheme),
            FileUri file => Over(OpenedFile.ForWriting(file, options.Source), uri.Scheme),
            ExecUri exec => new CommandOutgoingChannel(exec),
            DescriptorUri inherited => Over(InheritedDescriptor.ForWriting(inherited, options.Source), uri.Scheme),
            PassedDescriptorUri passed => Over(InheritedDescriptor.Take(passed, forWriting: true, options.Source), uri.Scheme),
            _ => throw new ArgumentException($"a channel to {uri} is not one over a descriptor", nameof(uri)),
        };
    }

    /// <inheritdoc/>
    public override void Shutdown(string reason) => Descriptor.Fail(ConnectionLoss.Shutdown, reason);

    /// <inheritdoc/>
    public override void Dispose()
    {
        Descriptor.Dispose();
        GC.SuppressFinalize(this);
    }

    private static DescriptorOutgoingChannel Over((PolledDescriptor Descriptor, DescriptorKind Kind) opened, string scheme) => opened.Kind switch
    {
        DescriptorKind.Socket => new SocketOutgoingChannel(opened.Descriptor, scheme),
        DescriptorKind.File => new FileOutgoingChannel(opened.Descriptor, scheme),
        _ => new PipeOutgoingChannel(opened.Descriptor, scheme),
    };
}
