namespace RdmaMigration.Bench.Guests;

/// <summary>A thread that uses a processor until it is disposed.</summary>
internal sealed class Spinner : IDisposable
{
    private readonly Thread _thread;
    private volatile bool _ends;

    public Spinner()
    {
        _thread = new Thread(Run) { Name = "spin", IsBackground = true };
        _thread.Start();
    }

    public void Dispose()
    {
        _ends = true;
        _thread.Join();
    }

    private void Run()
    {
        while (!_ends)
        {
            // Nothing: a virtual processor in a delay loop does the same.
        }
    }
}
