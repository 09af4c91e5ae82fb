using System.Net;
using Microsoft.Extensions.Logging;

namespace RdmaMigration.Transport;

/// <summary>
/// Listens for sources and hands out one channel at a time. When that channel is disposed, the listener hands out the channel of the next source.
/// </summary>
internal abstract class ChannelListener : IDisposable
{
    /// <summary>Why a second source is rejected where one machine is taken.</summary>
    private protected const string AnotherRuns = "another migration is running, and this process receives only one machine";

    /// <summary>Where it listens; the port is the one that was chosen when 0 was asked.</summary>
    public abstract MigrationUri Uri { get; }

    /// <summary>The address on the network; null when it listens on none.</summary>
    public virtual IPEndPoint? LocalEndPoint => null;

    /// <summary>It hands out one channel and no other: a file, a command or a descriptor is read once.</summary>
    public virtual bool IsSingle => false;

    /// <summary>Listens, or opens what is read once.</summary>
    /// <param name="waiter">Watches the listener; it must outlive it.</param>
    /// <param name="uri">Where.</param>
    /// <param name="options">Limits.</param>
    /// <param name="accepted">
    /// Called with each new migration's channel, which the callee owns, on the waiter's thread or, for a single channel, before this returns. It must not
    /// block.
    /// </param>
    /// <param name="log">For refused and failed peers.</param>
    /// <exception cref="ConnectFailedException">It cannot listen there, or what is to be read cannot be opened; the message says what to do.</exception>
    public static ChannelListener Open(
        CompletionWaiter waiter, MigrationUri uri, ListenerOptions options, Action<IncomingChannel> accepted, ILogger log) => uri switch
        {
            RdmaUri rdma => RdmaListener.Listen(waiter, rdma, options, accepted, log),
            TcpUri tcp => SocketListener.Listen(waiter, tcp, options, accepted, log),
            UnixUri unix => SocketListener.Listen(waiter, unix, options, accepted, log),
            FileUri or ExecUri or DescriptorUri or PassedDescriptorUri => new SingleChannel(waiter, uri, accepted),
            _ => throw new ArgumentException($"nobody can listen on {uri}", nameof(uri)),
        };

    /// <summary>
    /// The migration that ran has failed, and the next source may come in: it can connect when this returns. Where sources queue, and over RDMA, they do
    /// without. Not on the waiter's thread.
    /// </summary>
    public virtual void Resume()
    {
    }

    /// <summary>Lets nobody in any more. Sources that wait stay until <see cref="TakeWaiting"/> or <see cref="Dispose"/>. No channel is in use.</summary>
    public virtual void StopListening()
    {
    }

    /// <summary>
    /// After <see cref="StopListening"/>: a source that waits and has sent something, which may be its whole machine; the callee owns the channel. Null when
    /// there is none any more; those that have sent nothing are turned away, and keep their machines.
    /// </summary>
    public virtual IncomingChannel? TakeWaiting() => null;

    /// <summary>Stops listening. Channels that were handed out stay as they are.</summary>
    public abstract void Dispose();
}

/// <summary>A file, a command or a descriptor: the channel is there at once.</summary>
internal sealed class SingleChannel : ChannelListener
{
    public SingleChannel(CompletionWaiter waiter, MigrationUri uri, Action<IncomingChannel> accepted)
    {
        Uri = uri;
        accepted(DescriptorIncomingChannel.Open(waiter, uri));
    }

    /// <inheritdoc/>
    public override MigrationUri Uri { get; }

    /// <inheritdoc/>
    public override bool IsSingle => true;

    /// <inheritdoc/>
    public override void Dispose()
    {
    }
}
