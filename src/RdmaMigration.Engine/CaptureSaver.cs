using System.Diagnostics;
using RdmaMigration.Streams;

namespace RdmaMigration.Engine;

/// <summary>
/// Saves a machine that arrives as a capture. A source without a return path has ended its machine when it has sent the last byte, so nothing stops the saving
/// of such a machine: it exists nowhere else.
/// </summary>
internal sealed class CaptureSaver(CaptureTarget target, MigrationContext context, IncomingSource source) : IMachineSink
{
    private readonly RankedLock _gate = new(LockRank.Figures);
    private readonly DateTimeOffset _start = DateTimeOffset.UtcNow;
    private CaptureFile? _file;
    private long _began;
    private TimeSpan? _time;
    private long _savedRam;

    public void Begin() => _file = new CaptureFile(target, context.OnLeftBehind);

    public void Announce(StreamConfiguration configuration)
    {
    }

    public void CheckRoom(ulong ramBytes) => target.CheckRoom(ramBytes);

    public void Take(IMachine machine)
    {
        CapturedStream content = machine.Content!;
        context.State.Enter(MigrationPhase.Saving);
        using (_gate.Enter())
        {
            _began = Stopwatch.GetTimestamp();
        }

        if (source.WaitsForResult)
        {
            _file!.Cancellation = context.Cancellation;
        }
        else
        {
            _ = context.State.TryDecide(isFinal: true);
        }

        CaptureWriter.Write(content, _file!, OnProgress, _file!.Cancellation);
        _file.Commit(target, content.Configuration.MachineType, _start, source.Peer, context.State.Decide);
        using (_gate.Enter())
        {
            _time = Stopwatch.GetElapsedTime(_began);
        }
    }

    public void AfterFailure()
    {
    }

    public void Interrupt(string reason)
    {
    }

    public string? Remark(bool isStopped) => null;

    public MigrationInfo Describe(MigrationInfo info)
    {
        using (_gate.Enter())
        {
            return info with
            {
                SavedBytes = _file?.Written ?? 0,
                SavedRam = _savedRam,
                SaveTime = _time ?? (_began == 0 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(_began)),
                File = info.Status.IsFinal() ? _file?.StandsAt : null,
            };
        }
    }

    public void Dispose() => _file?.Dispose();

    private void OnProgress(CaptureProgress progress)
    {
        using (_gate.Enter())
        {
            _savedRam = (long)progress.RamDone;
        }
    }
}
