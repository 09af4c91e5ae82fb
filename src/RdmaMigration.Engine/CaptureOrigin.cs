using System.Diagnostics;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>A capture, which is read from its file into memory before it is sent.</summary>
/// <param name="path">The file.</param>
/// <param name="parameters">Limits.</param>
/// <param name="cancel">Ends the load.</param>
internal sealed class CaptureOrigin(string path, ParameterSet parameters, CancellationToken cancel) : IMachineOrigin
{
    private readonly RankedLock _gate = new(LockRank.Figures);
    private readonly long _began = Stopwatch.GetTimestamp();

    // A sparse machine may be far larger than this host's memory; the load bounds what it takes.
    private readonly CapturedMachine _machine = new(maxRam: ulong.MaxValue);
    private CaptureLoad? _load;
    private TimeSpan? _time;

    public string Name => path;

    public MigrationPhase Phase => MigrationPhase.Loading;

    public FileNode? File => _load!.Node;

    public CapturedStream Load()
    {
        CaptureLoad load = new(path, parameters, _machine, cancel);
        using (_gate.Enter())
        {
            _load = load;
        }

        return load.Load();
    }

    public void EndLoad()
    {
        using (_gate.Enter())
        {
            _time ??= Stopwatch.GetElapsedTime(_began);
        }
    }

    public MigrationInfo Describe(MigrationInfo info)
    {
        using (_gate.Enter())
        {
            return info with
            {
                File = path,
                LoadTime = _time ?? Stopwatch.GetElapsedTime(_began),
                LoadedBytes = _load?.BytesRead ?? 0,
                FileBytes = _load?.Length ?? 0,
            };
        }
    }

    public void Dispose()
    {
        _load?.Dispose();
        _machine.Dispose();
    }
}
