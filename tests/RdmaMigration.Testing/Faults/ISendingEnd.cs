namespace RdmaMigration.Testing;

/// <summary>The program that sends. Disposing kills it.</summary>
internal interface ISendingEnd : IAsyncDisposable
{
    /// <summary>Makes sure that the machine is there to be sent: a program that has none, or does not run, is started again.</summary>
    Task StartAsync();

    /// <summary>Begins to send.</summary>
    Task SendAsync(string uri, long? bytesPerSecond);

    /// <summary>Waits until a part of RAM was sent.</summary>
    Task RamMovesAsync();

    Task<FaultReport> ReportAsync(DateTimeOffset since, TimeSpan limit);

    /// <summary>Whether it could send the machine again.</summary>
    Task<bool> HasMachineAsync();

    Task KillAsync();
}
