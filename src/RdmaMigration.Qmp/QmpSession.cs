using System.Diagnostics.CodeAnalysis;
using System.Net.Sockets;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace RdmaMigration.Qmp;

/// <summary>
/// One client, from the greeting to its end. Three tasks: one reads requests and runs those out of band, one has the main loop run the others in their order,
/// and one sends.
/// </summary>
[SuppressMessage("Reliability", "CA1001", Justification = "RunAsync closes the client, and Stop may come later than its end")]
internal sealed class QmpSession
{
    /// <summary>Requests that may wait while one runs. Then the session reads no further, as QEMU (QMP_REQ_QUEUE_LEN_MAX).</summary>
    public const int MaximumQueued = 8;

    /// <summary>A request above this size is answered before the next is read, so that a client cannot have eight of the largest parsed at once.</summary>
    private const int LargeRequest = 64 << 10;

    /// <summary>At the end, the time for sending the lines that wait. A client that reads needs milliseconds.</summary>
    private static readonly TimeSpan s_flushTime = TimeSpan.FromSeconds(1);

    private readonly QmpMonitor _monitor;
    private readonly NetworkStream _client;
    private readonly QmpReceiver _receiver;
    private readonly ILogger _log;
    private readonly QmpFramer _framer = new();
    private readonly QmpOutput _output;
    private readonly Channel<Queued> _queue =
        Channel.CreateBounded<Queued>(new BoundedChannelOptions(MaximumQueued) { SingleReader = true, SingleWriter = true });

    // Ends reading. A request that has begun is answered.
    private readonly CancellationTokenSource _stop = new();

    // Ends everything.
    private readonly CancellationTokenSource _end = new();
    private volatile bool _isNegotiated;
    private volatile bool _isOobEnabled;
    private volatile bool _takesEvents;

    // Of the request that runs in band.
    private volatile QmpDescriptors? _descriptors;

    /// <param name="monitor">Answers the requests.</param>
    /// <param name="socket">Connected; the session closes it.</param>
    /// <param name="peer">The client's name in the log.</param>
    /// <param name="log">The log.</param>
    public QmpSession(QmpMonitor monitor, Socket socket, string peer, ILogger log)
    {
        _monitor = monitor;
        _client = new NetworkStream(socket, ownsSocket: true);
        _receiver = new QmpReceiver(socket);
        Peer = peer;
        _log = log;
        _output = new QmpOutput(OnOverflow);
    }

    /// <summary>The client's name in the log.</summary>
    public string Peer { get; }

    /// <summary>The client has negotiated.</summary>
    public bool IsNegotiated => _isNegotiated;

    /// <summary>The client has enabled out-of-band execution.</summary>
    public bool IsOobEnabled => _isOobEnabled;

    /// <summary>Ends negotiation: commands are allowed from now on, and events follow behind the next reply.</summary>
    public void Negotiate(bool isOobEnabled)
    {
        _isOobEnabled = isOobEnabled;
        _isNegotiated = true;
    }

    /// <summary>
    /// A file descriptor that came with the request that runs in band; the caller's from now on. Null when there is none, or all are taken.
    /// </summary>
    public SafeFileHandle? TakeDescriptor() => _descriptors?.Take();

    /// <summary>Adds a reply. Any thread.</summary>
    public void SendReply(byte[] line)
    {
        _output.Enqueue(line);

        // Some clients take the first line behind qmp_capabilities for its reply.
        _takesEvents = _isNegotiated;
    }

    /// <summary>Adds an event, unless the client has not negotiated yet. Any thread.</summary>
    public void SendEvent(byte[] line)
    {
        if (_takesEvents)
        {
            _output.Enqueue(line);
        }
    }

    /// <summary>Ends the session: no further request is read or begun, and the lines that wait are sent within a second. Any thread; does not block.</summary>
    public void Stop()
    {
        _end.CancelAfter(s_flushTime);
        _ = _stop.CancelAsync();
    }

    /// <summary>Serves the client to its end.</summary>
    public async Task RunAsync()
    {
        try
        {
            _output.Enqueue(_monitor.Greeting);
            await Task.WhenAll(ReadAsync(), AnswerAsync(), SendAsync()).ConfigureAwait(false);
        }
        catch (Exception defect)
        {
            QmpLog.SessionDefect(_log, Peer, defect);
        }
        finally
        {
            while (_queue.Reader.TryRead(out Queued unanswered))
            {
                unanswered.Dispose();
            }

            await _client.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task ReadAsync()
    {
        byte[] buffer = new byte[16 << 10];
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token, _end.Token);
        try
        {
            while (await _receiver.ReceiveAsync(buffer, either.Token).ConfigureAwait(false) is int received and > 0)
            {
                for (int taken = 0; taken < received;)
                {
                    taken += _framer.Read(buffer.AsSpan(taken, received - taken), out QmpText? text);
                    if (text is { } complete && !await TakeAsync(complete, either.Token).ConfigureAwait(false))
                    {
                        return;
                    }
                }

                if (!_framer.IsWithinText)
                {
                    _receiver.EndRead();
                }
            }
        }
        catch (Exception ended) when (ended is IOException or SocketException or OperationCanceledException)
        {
            // The client is gone, or the session ends.
        }
        catch
        {
            Abort();
            throw;
        }
        finally
        {
            _receiver.Dispose();
            _queue.Writer.TryComplete();
        }
    }

    /// <returns>False when nothing more may be read.</returns>
    private async Task<bool> TakeAsync(QmpText text, CancellationToken end)
    {
        QmpRequest request = QmpRequest.Parse(text);
        if (request.IsOutOfBand && _isOobEnabled)
        {
            SendReply(QmpLine.Reply(_monitor.RunOutOfBand(request, this), request.Id));
            request.Dispose();
            return true;
        }

        TaskCompletionSource answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Queued queued = new(request, _receiver.Share(), answered);
        try
        {
            await _queue.Writer.WriteAsync(queued, end).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            queued.Dispose();
            throw;
        }

        if (text.Json is { Length: > LargeRequest })
        {
            await answered.Task.WaitAsync(end).ConfigureAwait(false);
        }

        if (text.IsLast)
        {
            QmpLog.LimitExceeded(_log, Peer, text.Error!);
        }

        return !text.IsLast;
    }

    /// <summary>Answers requests in their order. The last one that has begun when the session stops is answered too.</summary>
    private async Task AnswerAsync()
    {
        try
        {
            await foreach (Queued next in _queue.Reader.ReadAllAsync(_end.Token).ConfigureAwait(false))
            {
                if (_stop.IsCancellationRequested)
                {
                    next.Dispose();
                    break;
                }

                await AnswerAsync(next).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            // The session or the main loop ends. A request that the main loop still has keeps its document.
            _ = _stop.CancelAsync();
        }
        catch
        {
            Abort();
            throw;
        }
        finally
        {
            _output.Complete();
        }
    }

    private async Task AnswerAsync(Queued next)
    {
        _descriptors = next.Descriptors;
        try
        {
            await _monitor.AnswerAsync(next.Request, this, _end.Token).ConfigureAwait(false);
            next.Request.Dispose();
            next.Answered.SetResult();
        }
        finally
        {
            next.Descriptors?.Release();
        }
    }

    private async Task SendAsync()
    {
        try
        {
            await _output.SendAsync(_client, _end.Token).ConfigureAwait(false);
        }
        catch (Exception ended) when (ended is IOException or OperationCanceledException)
        {
            // The client is gone, or the session ends.
        }
        finally
        {
            // Also when all lines are sent: nothing further is read.
            Abort();
        }
    }

    private void OnOverflow(long waiting)
    {
        QmpLog.NotReading(_log, Peer, waiting, QmpOutput.MaximumWaiting);
        Abort();
    }

    private void Abort() => _ = _end.CancelAsync();

    private readonly record struct Queued(QmpRequest Request, QmpDescriptors? Descriptors, TaskCompletionSource Answered) : IDisposable
    {
        /// <summary>It is not answered.</summary>
        public void Dispose()
        {
            Request.Dispose();
            Descriptors?.Release();
        }
    }
}
