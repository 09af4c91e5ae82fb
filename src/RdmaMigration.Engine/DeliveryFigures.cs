using System.Diagnostics;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>What a query answers about a delivery. The sending thread writes, any thread reads, under a lock of its own.</summary>
internal sealed class DeliveryFigures
{
    private readonly RankedLock _gate = new(LockRank.Figures);
    private OutgoingChannel? _channel;
    private DeliveryStep _step;
    private long _connectBegan;
    private TimeSpan? _connectTime;
    private long _sendBegan;
    private TimeSpan? _setupTime;
    private TimeSpan? _totalTime;
    private long _ramTotal;
    private long _ramSent;
    private long _ramZero;

    /// <summary>What the delivery is at.</summary>
    public DeliveryStep Step
    {
        get
        {
            using (_gate.Enter())
            {
                return _step;
            }
        }
    }

    /// <summary>How many bytes of RAM the destination has, zero ones included.</summary>
    public long RamDone
    {
        get
        {
            using (_gate.Enter())
            {
                CountRam();
                return _ramSent + _ramZero;
            }
        }
    }

    public void BeginConnect()
    {
        using (_gate.Enter())
        {
            _connectBegan = Stopwatch.GetTimestamp();
        }
    }

    public void EndConnect(OutgoingChannel channel)
    {
        using (_gate.Enter())
        {
            _channel = channel;
            _connectTime = Since(_connectBegan);
        }
    }

    public void BeginSend()
    {
        using (_gate.Enter())
        {
            _sendBegan = Stopwatch.GetTimestamp();
        }
    }

    /// <summary>Goes on to a step; false when it was reached before.</summary>
    public bool TryReach(DeliveryStep step)
    {
        using (_gate.Enter())
        {
            if (step <= _step)
            {
                return false;
            }

            _step = step;
            _setupTime ??= Elapsed();
            return true;
        }
    }

    public void Count(CaptureProgress progress)
    {
        using (_gate.Enter())
        {
            _ramTotal = (long)progress.RamTotal;
            if (_channel is { Ram: null })
            {
                _ramZero = (long)progress.RamZero;
                _ramSent = (long)(progress.RamDone - progress.RamZero);
            }
        }
    }

    /// <summary>Keeps what the channel knows while it is there.</summary>
    public void End()
    {
        using (_gate.Enter())
        {
            CountRam();
            _totalTime ??= Elapsed();
        }
    }

    /// <summary>Adds the figures. Any thread.</summary>
    public MigrationInfo Describe(MigrationInfo info)
    {
        using (_gate.Enter())
        {
            CountRam();
            return info with
            {
                ReturnPath = _channel?.Input is not null,
                RamTotal = Math.Max(info.RamTotal, _ramTotal),
                RamTransferred = _ramSent + _ramZero,
                RamZero = _ramZero,
                TotalTime = _totalTime ?? Elapsed(),
                SetupTime = _setupTime ?? Elapsed(),
            };
        }
    }

    /// <summary>Asks the channel, while it is there, about RAM that goes beside the stream. With the lock held.</summary>
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
