using System.Diagnostics;
using RdmaMigration.Memory;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>What a query answers about a machine that arrives. The migration's thread writes, any thread reads, under a lock of its own.</summary>
internal sealed class ReceiveFigures(IncomingChannel channel)
{
    private readonly RankedLock _gate = new(LockRank.Figures);
    private readonly long _connectedAt = Stopwatch.GetTimestamp();
    private IncomingStream? _stream;
    private RamArrival? _arrival;
    private string? _machine;
    private TimeSpan? _totalTime;
    private IReadOnlyList<RamBlockDescription> _leftOut = [];
    private long _ramTotal;
    private long _ramTransferred;
    private bool _isVerified;

    /// <summary>The stream is being read.</summary>
    public void Follow(IncomingStream stream) => Volatile.Write(ref _stream, stream);

    /// <summary>The stream has named the machine.</summary>
    public void OnMachine(string? type)
    {
        using (_gate.Enter())
        {
            _machine = type;
        }
    }

    /// <summary>RAM is there.</summary>
    /// <param name="ram">The blocks.</param>
    /// <param name="isFresh">They read as zero: what arrives in them shows.</param>
    public void OnRam(RamBlockList ram, bool isFresh)
    {
        using (_gate.Enter())
        {
            _ramTotal = (long)ram.TotalLength;
            _arrival = isFresh && channel.Ram is { PinAll: true } ? new RamArrival(ram) : null;
        }
    }

    /// <summary>The stream is complete.</summary>
    /// <param name="loaded">The machine; null for one that keeps no bytes.</param>
    public void OnLoaded(CapturedStream? loaded)
    {
        using (_gate.Enter())
        {
            if (loaded is not null)
            {
                _leftOut = loaded.LeftOut;
                _ramTotal = (long)loaded.RamLength;
            }

            _totalTime = Stopwatch.GetElapsedTime(_connectedAt);
            _ramTransferred = _ramTotal;
            _isVerified = _stream is { VerifiedBlocks: > 0 };
        }
    }

    /// <summary>The migration has failed.</summary>
    public void OnFailed()
    {
        using (_gate.Enter())
        {
            _totalTime = Stopwatch.GetElapsedTime(_connectedAt);
        }
    }

    /// <summary>Does not look at RAM any more: it is about to be freed.</summary>
    public void ReleaseRam()
    {
        using (_gate.Enter())
        {
            _arrival = null;
        }
    }

    /// <summary>Adds the figures. Any thread.</summary>
    /// <param name="info">With status and phase.</param>
    /// <param name="returnPath">There is a return path.</param>
    public MigrationInfo Describe(MigrationInfo info, bool returnPath)
    {
        long zeroBeside = channel.Ram?.ZeroBytes ?? 0;
        using (_gate.Enter())
        {
            if (info.Phase is MigrationPhase.Ram && _totalTime is null)
            {
                long inStream = _stream?.RamBytes ?? 0;
                _ramTransferred = Math.Min(_ramTotal, _arrival?.Estimate() ?? ((channel.Ram?.RegisteredBytes ?? 0) + zeroBeside + inStream));
            }

            return info with
            {
                Peer = channel.Peer,
                Mode = RamModes.Of(channel),
                ReturnPath = returnPath,
                Machine = _machine,
                RamTotal = _ramTotal,
                LeftOut = _leftOut,
                IsVerified = _isVerified,
                RamTransferred = _ramTransferred,
                RamZero = Math.Min(_ramTotal, zeroBeside + (_stream?.RamZeroBytes ?? 0)),
                TotalTime = _totalTime ?? Stopwatch.GetElapsedTime(_connectedAt),
            };
        }
    }
}
