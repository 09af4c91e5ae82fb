namespace RdmaMigration.Testing;

/// <summary>The program that sends. Disposing kills it.</summary>
internal interface ISendingEnd : IAsyncDisposable
{
    /// <summary>Makes sure that there is a machine to send. Starts the program again if it does not run or has no machine.</summary>
    Task StartAsync();

    /// <summary>Begins to send.</summary>
    Task SendAsync(string uri, long? bytesPerSecond);

    /// <summary>Waits until a part of RAM was sent.</summary>
    Task RamMovesAsync();

    Task<FaultReport> ReportAsync(DateTimeOffset since, TimeSpan limit);

    /// <summary>Whether it could send the machine again.</summary>
    Task<bool> HasMachineAsync();
}
