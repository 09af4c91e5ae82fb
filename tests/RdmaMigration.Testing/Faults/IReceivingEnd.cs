namespace RdmaMigration.Testing;

/// <summary>The program that receives. Disposing kills it.</summary>
internal interface IReceivingEnd : IAsyncDisposable
{
    /// <summary>Makes the program listen. Starts it again if it cannot take another machine.</summary>
    /// <returns>Where it listens.</returns>
    Task<string> ListenAsync();

    /// <summary>Waits until the program has accepted a connection.</summary>
    Task AcceptsAsync();

    /// <summary>Stops the program with a signal, or continues it.</summary>
    Task StopAsync(bool stopped);

    /// <summary>Waits for the next result.</summary>
    Task<FaultReport> ReportAsync(DateTimeOffset since, TimeSpan limit);

    /// <summary>Whether the machine that arrived has the source's RAM.</summary>
    Task<bool> IsIdenticalAsync();
}
