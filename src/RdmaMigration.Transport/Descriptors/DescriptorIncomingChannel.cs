using System.Net;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>An incoming channel over a descriptor. RAM comes in the stream.</summary>
/// <param name="descriptor">The source; owned.</param>
/// <param name="scheme">What kind it is.</param>
/// <param name="isSocket">It has a return path.</param>
/// <param name="waiter">Watches the source behind a socket; null for what is none.</param>
/// <param name="ahead">Bytes that were read already; they are handed out first.</param>
/// <param name="disposed">Called when the channel has been closed.</param>
/// <param name="tls">Encrypts what goes over a socket; owned. Null for none.</param>
internal class DescriptorIncomingChannel(
    PolledDescriptor descriptor,
    string scheme,
    bool isSocket,
    CompletionWaiter? waiter = null,
    ReadOnlyMemory<byte> ahead = default,
    Action? disposed = null,
    TlsSession? tls = null)
    : IncomingChannel
{
    private bool _disposed;

    /// <inheritdoc/>
    public sealed override string Peer => Descriptor.Peer;

    /// <inheritdoc/>
    public sealed override string Device => scheme;

    /// <inheritdoc/>
    public sealed override bool IsEncrypted => tls is not null;

    /// <inheritdoc/>
    public sealed override ChannelInput Input { get; } = new Reader(descriptor, ahead, tls);

    /// <inheritdoc/>
    public sealed override ChannelOutput? Output => isSocket ? field ??= tls is null ? new Writer(Descriptor) : new TlsOutput(Descriptor, tls) : null;

    /// <inheritdoc/>
    public sealed override bool HasBytes => isSocket && (!ahead.IsEmpty || Descriptor.Wait(PollEvents.Readable, TimeSpan.Zero));

    /// <inheritdoc/>
    public sealed override bool IsConnected => isSocket;

    /// <inheritdoc/>
    public sealed override ConnectionLostException? Lost => Descriptor.Lost;

    /// <summary>Called when the source has made all its connections; null for nothing.</summary>
    internal Action? Begun { get; init; }

    /// <summary>The source's address; null where it has none.</summary>
    internal IPAddress? SourceAddress { get; init; }

    protected PolledDescriptor Descriptor { get; } = descriptor;

    /// <summary>Opens what is read once: a file, a command, a descriptor.</summary>
    /// <param name="waiter">Watches the source; it must outlive the channel.</param>
    /// <param name="uri">What.</param>
    /// <exception cref="ConnectFailedException">It cannot be opened.</exception>
    public static DescriptorIncomingChannel Open(CompletionWaiter waiter, MigrationUri uri)
    {
        switch (uri)
        {
            case FileUri file:
                return new DescriptorIncomingChannel(OpenedFile.ForReading(file), uri.Scheme, isSocket: false);
            case ExecUri exec:
                return new CommandIncomingChannel(ShellCommand.Start(exec, givesInput: false), uri.Scheme);
            case DescriptorUri inherited:
                (PolledDescriptor descriptor, DescriptorKind kind) = InheritedDescriptor.ForReading(inherited);
                return new DescriptorIncomingChannel(descriptor, uri.Scheme, kind is DescriptorKind.Socket, waiter);
            case PassedDescriptorUri passed:
                (descriptor, kind) = InheritedDescriptor.Take(passed, forWriting: false);
                return new DescriptorIncomingChannel(descriptor, uri.Scheme, kind is DescriptorKind.Socket, waiter);
            default:
                throw new ArgumentException($"{uri} is not opened for reading", nameof(uri));
        }
    }

    /// <inheritdoc/>
    public sealed override void RamBegins() => Begun?.Invoke();

    /// <inheritdoc/>
    public sealed override IDisposable? WatchSource(ReadOnlyMemory<byte> probe) =>
        isSocket && waiter is not null
            ? SourceWatch.Start(waiter, Descriptor, () => tls?.Probe(probe.Span) ?? Linux.Descriptor.Write(Descriptor.Number, probe.Span).Error)
            : null;

    /// <inheritdoc/>
    public override void Shutdown(string reason) => Descriptor.Fail(ConnectionLoss.Shutdown, reason);

    /// <inheritdoc/>
    public sealed override void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            tls?.Dispose();
            Descriptor.Dispose();
            Closed();
            disposed?.Invoke();
        }
    }

    /// <summary>The descriptor has been closed.</summary>
    protected virtual void Closed()
    {
    }

    /// <inheritdoc/>
    protected sealed override ChannelOutput? AwaitOutput(TimeSpan timeout) => Lost is null ? Output : null;

    private sealed class Reader(PolledDescriptor descriptor, ReadOnlyMemory<byte> ahead, TlsSession? tls) : ChannelInput
    {
        private ReadOnlyMemory<byte> _ahead = ahead;

        protected override int ReadBytes(Span<byte> buffer, TimeSpan idle)
        {
            if (!_ahead.IsEmpty)
            {
                int taken = Math.Min(buffer.Length, _ahead.Length);
                _ahead.Span[..taken].CopyTo(buffer);
                _ahead = _ahead[taken..];
                return taken;
            }

            return (tls is null ? descriptor.Read(buffer, idle) : tls.Read(buffer, idle)) switch
            {
                // A source that has sent everything closes its direction alone, and waits for the result on the other.
                0 => throw descriptor.Disconnected(),
                { } count => count,
                null => 0,
            };
        }
    }

    private sealed class Writer(PolledDescriptor descriptor) : ChannelOutput
    {
        private readonly DescriptorWriter _writer = new(descriptor);

        protected override void WriteBytes(ReadOnlySpan<byte> bytes, TimeSpan patience)
        {
            if (descriptor.Lost is { Loss: ConnectionLoss.Shutdown })
            {
                // This side gave up, and the source still learns so.
                _writer.WriteLast(bytes);
                return;
            }

            _writer.Write(bytes, limit: null, patience);
        }
    }
}

/// <summary>From a shell command's standard output.</summary>
internal sealed class CommandIncomingChannel(ShellCommand command, string scheme) : DescriptorIncomingChannel(command.Descriptor, scheme, isSocket: false)
{
    /// <summary>How long a command may go on after the machine is complete until it is no longer waited for.</summary>
    private static readonly TimeSpan s_exitTime = TimeSpan.FromSeconds(2);

    /// <summary>Reads what the command still says, and waits for its exit code. One that goes on, such as a relay that waits for more, is let be.</summary>
    /// <exception cref="ConnectionLostException">The exit code is not 0: a decompressor that finds a wrong checksum at the end of its input, for
    /// one.</exception>
    protected override void CheckEnd()
    {
        Span<byte> dropped = stackalloc byte[4096];
        Deadline deadline = Deadline.After(s_exitTime);
        int? count;
        do
        {
            count = Descriptor.Read(dropped, s_exitTime);
        }
        while (count > 0 && !deadline.HasPassed);

        if (count == 0 && command.WaitForExit(s_exitTime) && command.ExitCode != 0)
        {
            Descriptor.Fail(ConnectionLoss.PeerError, $"{command.Ending}; its output is discarded");
            Descriptor.ThrowIfLost();
        }
    }

    /// <inheritdoc/>
    public override void Shutdown(string reason)
    {
        base.Shutdown(reason);
        command.StopWaiting();
    }

    /// <summary>A command that has not ended by itself is killed, with what it started.</summary>
    protected override void Closed()
    {
        command.LeftBehind = LeftBehind;
        command.Dispose();
    }
}
