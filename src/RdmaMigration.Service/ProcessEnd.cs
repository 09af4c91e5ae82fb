using RdmaMigration.Engine;

namespace RdmaMigration.Service;

/// <summary>Ends the process, and keeps the exit code of whoever asked first. Any thread.</summary>
internal sealed class ProcessEnd(MachineProcess process)
{
    private const int None = -1;

    private int _code = None;

    /// <summary>The first exit code that was asked for; null when the process ended by itself.</summary>
    public int? Code => Volatile.Read(ref _code) is not None and int code ? code : null;

    /// <summary>Cancels what runs, tears down, and ends.</summary>
    public void Quit(int code)
    {
        Interlocked.CompareExchange(ref _code, code, None);
        process.Quit();
    }
}
