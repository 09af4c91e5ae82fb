using RdmaMigration.Linux;
using RdmaMigration.Memory;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>A capture cannot be read, or not be sent in the way that was asked. The message names the file and what to do.</summary>
internal sealed class CaptureException : MigrationException
{
    /// <summary>Creates the exception.</summary>
    public CaptureException(string message, Exception? inner = null) : base(FailureReason.Stream, message, inner) { }
}

/// <summary>
/// Reads a capture from its file into a machine. Zero pages become holes that nobody touches. One thread loads; the figures are for any thread.
/// </summary>
internal sealed class CaptureLoad : IIncomingHandler, IStreamSource, IDisposable
{
    /// <summary>How many bytes may be read between two looks at what they take here.</summary>
    private const long MemoryCheckInterval = 1 << 20;

    private readonly CaptureSource _source;
    private readonly ParameterSet _parameters;
    private readonly ulong _maxRam;
    private readonly IMachine _machine;
    private IncomingStream? _stream;
    private long _nextMemoryCheck;

    /// <param name="path">The file.</param>
    /// <param name="parameters">Limits.</param>
    /// <param name="machine">Takes what the file has; not owned.</param>
    /// <param name="cancel">Ends the load between two reads.</param>
    /// <exception cref="StorageException">The file cannot be opened.</exception>
    public CaptureLoad(string path, ParameterSet parameters, IMachine machine, CancellationToken cancel)
    {
        _machine = machine;
        _parameters = parameters;
        _maxRam = parameters.RamLimit();
        _nextMemoryCheck = (long)Math.Min(_maxRam, long.MaxValue);
        _source = new CaptureSource(path, cancel);
    }

    /// <summary>Bytes read from the file.</summary>
    public long BytesRead => _source.BytesRead;

    /// <summary>Bytes in the file; null for a pipe.</summary>
    public long? Length => _source.Length;

    /// <summary>Which file it is.</summary>
    public FileNode? Node => _source.Node;

    /// <summary>Reads the whole file.</summary>
    /// <exception cref="CaptureException">It is no capture, is cut off, or uses what cannot be sent.</exception>
    /// <exception cref="RamAllocationException">There is not enough memory for it.</exception>
    /// <exception cref="StorageException">The file cannot be read.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public CapturedStream Load()
    {
        try
        {
            _stream = new IncomingStream(this, this, _parameters.ForStream(ramIsFresh: true) with { MayBeDisk = true });
            return _machine.Load(_stream, BigLockState.NotHeld) ?? throw new InvalidOperationException("a machine out of a file keeps its bytes");
        }
        catch (StreamFormatException unreadable)
        {
            throw new CaptureException($"{_source.Name} cannot be read as a migration stream: {unreadable.Message}", unreadable);
        }
        catch (RamAllocationException refused)
        {
            throw new RamAllocationException(refused.BlockName, $"{_source.Name}: {refused.Message}");
        }
    }

    /// <inheritdoc/>
    int IStreamSource.Read(Span<byte> buffer)
    {
        int read = _source.Read(buffer, _stream!.IsComplete ? _parameters.Get(MigrationParameters.SilenceTimeout) : Timeout.InfiniteTimeSpan);
        if (_source.BytesRead > _nextMemoryCheck)
        {
            // The stream may be a small part of the file, holes take no memory, and a page may come more than once: what was read says only when to look.
            _nextMemoryCheck = _source.BytesRead + MemoryCheckInterval;
            if (_machine.Ram?.ResidentBytes > _maxRam)
            {
                throw new RamAllocationException(
                    null, $"the machine needs more than {_maxRam} bytes of memory; free memory, raise --max-ram, or send from a larger host");
            }
        }

        return read;
    }

    /// <inheritdoc/>
    public void OnConfiguration(StreamConfiguration configuration) => _machine.Configure(configuration);

    /// <inheritdoc/>
    public RamBlockList OnRamBlocks(IReadOnlyList<RamBlockDescription> blocks) => _machine.AllocateRam(blocks);

    /// <inheritdoc/>
    public void OnCommand(MigrationCommand command, ReadOnlySpan<byte> payload)
    {
        if (command is MigrationCommand.EnableColo)
        {
            throw new CaptureException(
                $"{_source.Name} was written by a source with x-colo on (ENABLE_COLO), which rdmamig does not support; turn it off there");
        }
    }

    /// <inheritdoc/>
    public void OnHook() => throw new CaptureException(
        $"{_source.Name} contains the stream of an RDMA migration (HOOK) without its RAM; receive the machine with 'rdmamig receive'");

    /// <inheritdoc/>
    public void OnRamComplete()
    {
    }

    /// <summary>Closes the file. What was loaded is the machine's.</summary>
    public void Dispose()
    {
        _stream?.Dispose();
        _source.Dispose();
    }
}
