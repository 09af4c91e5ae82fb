using System.Diagnostics;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <content>The figures, under a small lock that nobody keeps.</content>
internal sealed partial class Delivery
{
    private readonly object _gate = new();
    private long _connectBegan;
    private TimeSpan? _connectTime;
    private long _sendBegan;
    private TimeSpan? _setupTime;
    private TimeSpan? _totalTime;
    private long _ramTotal;
    private long _ramSent;
    private long _ramZero;

    /// <summary>What it is at.</summary>
    public DeliveryStep Step { get; private set; }

    /// <summary>The destination has said, or shown, that it has the machine.</summary>
    public bool IsConfirmed { get; private set; }

    /// <summary>Whether the destination can say so, on a return path or by its exit code; null before the connection.</summary>
    public bool? IsProvable => _channel is { } channel ? channel.ProvesArrival : null;

    /// <summary>The destination, for messages.</summary>
    public string Peer => _channel?.Peer ?? options.Uri.ToString();

    /// <summary>Adds what it knows. Any thread.</summary>
    public MigrationInfo Describe(MigrationInfo info)
    {
        OutgoingChannel? channel = _channel;
        lock (_gate)
        {
            CountRam();
            return info with
            {
                Peer = Peer,
                Mode = channel?.Ram switch
                {
                    { PinAll: true } => RamMode.PinAll,
                    { } => RamMode.Dynamic,
                    null when channel is null && options.Uri is RdmaUri => options.Parameters.Get(MigrationParameters.PinAll) ? RamMode.PinAll : RamMode.Dynamic,
                    _ => RamMode.Stream,
                },
                ReturnPath = channel?.Input is not null,
                RamTotal = Math.Max(info.RamTotal, _ramTotal),
                RamTransferred = _ramSent + _ramZero,
                RamZero = _ramZero,
                TotalTime = _totalTime ?? Elapsed(),
                SetupTime = _setupTime ?? Elapsed(),
                Confirmed = info.Status is MigrationStatus.Completed ? IsConfirmed : null,
            };
        }
    }

    private void BeginSetup()
    {
        lock (_gate)
        {
            _connectBegan = Stopwatch.GetTimestamp();
        }

        if (options.Parameters.Get(MigrationParameters.Timeout) is { } timeout)
        {
            session.StopAfter(timeout, $"the migration to {options.Uri} did not end within {timeout.TotalSeconds:0.#} s");
        }

        session.OnStep(DeliveryStep.Setup);
    }

    private void EndConnect()
    {
        lock (_gate)
        {
            _connectTime = Since(_connectBegan);
        }
    }

    private void BeginSend()
    {
        lock (_gate)
        {
            _sendBegan = Stopwatch.GetTimestamp();
        }
    }

    private void Reach(DeliveryStep step)
    {
        lock (_gate)
        {
            if (step <= Step)
            {
                return;
            }

            Step = step;
            _setupTime ??= Elapsed();
        }

        if (step is DeliveryStep.Done)
        {
            EndFigures();
        }
        else
        {
            session.OnStep(step);
        }
    }

    private void Count(CaptureProgress progress)
    {
        lock (_gate)
        {
            _ramTotal = (long)progress.RamTotal;
            if (_channel is { Ram: null })
            {
                _ramZero = (long)progress.RamZero;
                _ramSent = (long)(progress.RamDone - progress.RamZero);
            }
        }
    }

    /// <summary>Takes what the channel knows while it is there.</summary>
    private void EndFigures()
    {
        lock (_gate)
        {
            CountRam();
            _totalTime ??= Elapsed();
        }
    }

    /// <summary>How many bytes of RAM the destination has, zero ones included.</summary>
    private long RamDone()
    {
        lock (_gate)
        {
            CountRam();
            return _ramSent + _ramZero;
        }
    }

    /// <summary>Asks an RDMA channel, as long as it is there. Under <see cref="_gate"/>.</summary>
    private void CountRam()
    {
        if (_totalTime is null && _channel?.Ram is { } ram)
        {
            (_ramSent, _ramZero) = (ram.SentBytes, ram.ZeroBytes);
        }
    }

    /// <summary>Connecting and sending; the time between, in which a machine to be sent on arrives, is not this side's.</summary>
    private TimeSpan Elapsed() => (_connectTime ?? Since(_connectBegan)) + Since(_sendBegan);

    private static TimeSpan Since(long began) => began == 0 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(began);
}
