using System.Net.Security;
using System.Security.Authentication;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>
/// TLS over a descriptor. Reading also does the handshake, in the steps in which its bytes come in, so that a listener's thread never waits for it. One thread
/// reads, one writes; after the handshake both may at the same time.
/// </summary>
internal sealed class TlsSession : IDisposable
{
    /// <summary>The most payload of a TLS record (RFC 8446, section 5.1).</summary>
    private const int Record = 16 << 10;

    private readonly PolledDescriptor _descriptor;
    private readonly TlsTransport _transport;
    private readonly TlsPeerCheck _check;
    private readonly SslStream _stream;
    private readonly byte[] _received = new byte[Record];
    private readonly byte[] _sent = new byte[4 * Record];

    /// <summary>Ending TLS and reading use the same state of OpenSSL.</summary>
    private readonly object _gate = new();

    private Task? _handshake;
    private ValueTask<int>? _reading;
    private ReadOnlyMemory<byte> _left;

    private TlsSession(PolledDescriptor descriptor, ReadOnlyMemory<byte> ahead, TlsPeerCheck check, bool isServer)
    {
        _descriptor = descriptor;
        _check = check;
        _transport = new TlsTransport(descriptor, ahead) { WritesLast = isServer };
        _stream = new SslStream(_transport, leaveInnerStreamOpen: true);
    }

    /// <summary>Bytes of records that the kernel has taken. Any thread.</summary>
    public long Written => _transport.Written;

    /// <summary>Begins the destination's side. <see cref="TryRead"/> goes on with the handshake.</summary>
    /// <param name="descriptor">The connection; not owned.</param>
    /// <param name="ahead">Bytes that were read already.</param>
    /// <param name="credentials">This side's.</param>
    public static TlsSession Accept(PolledDescriptor descriptor, ReadOnlyMemory<byte> ahead, TlsCredentials credentials)
    {
        TlsPeerCheck check = new(credentials, hostname: null);
        TlsSession session = new(descriptor, ahead, check, isServer: true);
        session._handshake = session._stream.AuthenticateAsServerAsync(credentials.ForServer(check));
        return session;
    }

    /// <summary>Does the source's side of the handshake. Blocks.</summary>
    /// <param name="descriptor">The connection; not owned. <see cref="PolledDescriptor.Fail"/> ends the wait.</param>
    /// <param name="credentials">This side's.</param>
    /// <param name="hostname">The name that the destination's certificate must have.</param>
    /// <param name="timeout">The longest wait.</param>
    /// <exception cref="TransportException">The destination is not trusted, does not trust this side, or speaks no TLS.</exception>
    public static TlsSession Connect(PolledDescriptor descriptor, TlsCredentials credentials, string hostname, TimeSpan timeout)
    {
        TlsPeerCheck check = new(credentials, hostname);
        TlsSession session = new(descriptor, ahead: default, check, isServer: false);
        try
        {
            session._handshake = session._stream.AuthenticateAsClientAsync(credentials.ForClient(check, hostname));
            Deadline deadline = Deadline.After(timeout);
            while (!session.TryFinishHandshake())
            {
                descriptor.ThrowIfLost();
                if (!descriptor.Wait(PollEvents.Readable, deadline.Left))
                {
                    throw new TlsException(
                        FailureReason.Timeout,
                        $"{descriptor.Peer} did not finish the TLS handshake within {timeout.TotalSeconds:0.#} s; check that tls-creds is set there");
                }
            }

            return session;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>As <see cref="PolledDescriptor.Read"/>, of what the peer has encrypted.</summary>
    /// <exception cref="TlsException">The peer ended TLS with an error, or sent what is no TLS.</exception>
    public int? Read(Span<byte> buffer, TimeSpan idle)
    {
        while (true)
        {
            // As PolledDescriptor.Read: what had arrived when the connection was lost is handed out first.
            ConnectionLostException? lost = _descriptor.Lost;
            if (lost is { Loss: ConnectionLoss.Shutdown })
            {
                _descriptor.ThrowIfLost();
            }

            if (TryRead(buffer) is { } count)
            {
                return count;
            }

            if (lost is not null)
            {
                _descriptor.ThrowIfLost();
            }

            if (!_descriptor.Wait(PollEvents.Readable, idle))
            {
                return null;
            }
        }
    }

    /// <summary>Reads what has come, without waiting.</summary>
    /// <returns>Bytes; 0 at their end; null when none have come, or the handshake is not over.</returns>
    /// <exception cref="TransportException">The handshake failed, or the connection.</exception>
    public int? TryRead(Span<byte> buffer)
    {
        if (_left.IsEmpty)
        {
            lock (_gate)
            {
                if (!TryFinishHandshake() || TryDecrypt() is not { } found)
                {
                    return null;
                }

                _left = _received.AsMemory(0, found);
            }
        }

        int count = Math.Min(buffer.Length, _left.Length);
        _left.Span[..count].CopyTo(buffer);
        _left = _left[count..];
        return count;
    }

    /// <summary>Encrypts and sends all bytes.</summary>
    /// <inheritdoc cref="DescriptorWriter.Write(ReadOnlySpan{IoVector}, BandwidthLimit?, TimeSpan)"/>
    public unsafe void Write(ReadOnlySpan<IoVector> vectors, BandwidthLimit? limit, TimeSpan patience)
    {
        _transport.Limit = limit;
        _transport.Patience = patience;
        int filled = 0;
        foreach (ref readonly IoVector vector in vectors)
        {
            ReadOnlySpan<byte> bytes = new(vector.Address, checked((int)vector.Length));
            while (!bytes.IsEmpty)
            {
                int count = Math.Min(bytes.Length, _sent.Length - filled);
                bytes[..count].CopyTo(_sent.AsSpan(filled));
                bytes = bytes[count..];
                filled += count;
                if (filled == _sent.Length)
                {
                    _stream.Write(_sent, 0, filled);
                    filled = 0;
                }
            }
        }

        if (filled > 0)
        {
            _stream.Write(_sent, 0, filled);
        }
    }

    /// <inheritdoc cref="Write(ReadOnlySpan{IoVector}, BandwidthLimit?, TimeSpan)"/>
    public unsafe void Write(ReadOnlySpan<byte> bytes, BandwidthLimit? limit, TimeSpan patience)
    {
        fixed (byte* first = bytes)
        {
            IoVector all = new() { Address = first, Length = (nuint)bytes.Length };
            Write(new ReadOnlySpan<IoVector>(in all), limit, patience);
        }
    }

    /// <summary>Sends a few bytes, if there is room now. What goes wrong shows at the descriptor.</summary>
    public Errno Probe(ReadOnlySpan<byte> bytes)
    {
        if (Poll.Wait(_descriptor.Number, PollEvents.Writable, Deadline.Passed) is PollEvents.None)
        {
            return Errno.EAGAIN;
        }

        try
        {
            Write(bytes, limit: null, TimeSpan.Zero);
        }
        catch (TransportException failed)
        {
            _descriptor.Fail(ConnectionLoss.Disconnected, failed.Message);
        }

        return Errno.None;
    }

    /// <summary>Tells the peer that nothing more is sent (close_notify). On the writing thread.</summary>
    /// <exception cref="TransportException">The connection failed.</exception>
    public void End()
    {
        lock (_gate)
        {
            // The transport's writes wait by themselves, so this is over when it returns.
            _stream.ShutdownAsync().GetAwaiter().GetResult();
        }
    }

    /// <summary>Frees what TLS holds. The threads that read and write must be out of it; the descriptor stays.</summary>
    public void Dispose() => _stream.Dispose();

    /// <summary>Goes on with the handshake as far as what has come allows. True when it is over.</summary>
    private bool TryFinishHandshake()
    {
        if (_handshake is not { } handshake)
        {
            return true;
        }

        while (!handshake.IsCompleted)
        {
            if (!TryFeed())
            {
                return false;
            }
        }

        _handshake = null;
        try
        {
            handshake.GetAwaiter().GetResult();
        }
        catch (Exception failed) when (failed is AuthenticationException or (IOException and not MigrationException))
        {
            throw Explain(failed);
        }
        catch (ConnectionLostException lost) when (lost.Loss is ConnectionLoss.Disconnected)
        {
            throw HandshakeEnded(lost);
        }

        _transport.MayWait = true;
        return true;
    }

    private int? TryDecrypt()
    {
        ValueTask<int> reading = _reading ?? _stream.ReadAsync(_received);
        _reading = reading;
        while (!reading.IsCompleted)
        {
            if (!TryFeed())
            {
                return null;
            }
        }

        _reading = null;
        try
        {
            return reading.GetAwaiter().GetResult();
        }
        catch (IOException failed) when (failed is not MigrationException)
        {
            throw failed.InnerException is null ? _descriptor.Disconnected() : Explain(failed);
        }
    }

    /// <summary>Gives TLS what has come; false when nothing has.</summary>
    private bool TryFeed()
    {
        if (_transport.IsParked)
        {
            return _transport.TryResume();
        }

        // TLS works on what it got, on a thread of the pool: a synchronization context can cause that.
        Thread.Yield();
        return true;
    }

    private TlsException Explain(Exception failed)
    {
        if (_check.Refusal is { } refusal)
        {
            return new TlsException(FailureReason.Policy, $"TLS: {_descriptor.Peer} is not trusted: {refusal}", failed);
        }

        Exception cause = failed;
        while (cause.InnerException is { } inner)
        {
            cause = inner;
        }

        // Of an IOException without a cause, the reason is that the bytes ended.
        if (cause == failed && failed is IOException)
        {
            return HandshakeEnded(failed);
        }

        // OpenSSL's text of an alert: error:0A000412:SSL routines::ssl/tls alert bad certificate.
        string text = cause.Message;
        return text.Contains("alert", StringComparison.Ordinal)
            ? new TlsException(
                FailureReason.Refused,
                $"TLS: {_descriptor.Peer} refuses this side: {text}; check the certificate that this side shows, and the log there",
                failed)
            : new TlsException(FailureReason.Protocol, $"TLS: {_descriptor.Peer}: {text}", failed);
    }

    private TlsException HandshakeEnded(Exception failed) => new(
        FailureReason.Refused,
        $"{_descriptor.Peer} disconnected during the TLS handshake; check that tls-creds is set there, and see its log",
        failed);
}
