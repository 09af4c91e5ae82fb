namespace RdmaMigration.Testing;

/// <summary>The program that sends. Disposing kills it.</summary>
internal interface ISendingEnd : IAsyncDisposable
{
    /// <summary>Makes sure that there is a machine to send. Starts the program again if it does not run or has no machine.</summary>
    Task StartAsync();

    /// <summary>Begins to send.</summary>
    /// <param name="uri">The destination.</param>
    /// <param name="phase">The phase that is to be reached slowly enough for a fault; <see cref="FaultPhase.Throughout"/> for none.</param>
    Task SendAsync(string uri, FaultPhase phase);

    /// <summary>Waits until little RAM is left.</summary>
    Task RamEndsAsync();

    /// <summary>Waits until the migration is in the phase.</summary>
    Task ReachAsync(FaultPhase phase);

    /// <summary>Continues a migration that waits in the phase.</summary>
    Task ContinueAsync(FaultPhase phase);

    /// <summary>The first report from which it is clear that the migration has left the phase; null if there is none.</summary>
    QmpEvent? FirstAfter(FaultPhase phase);

    Task<FaultReport> ReportAsync(DateTimeOffset since, TimeSpan limit);

    /// <summary>Whether it could send the machine again.</summary>
    Task<bool> HasMachineAsync();
}
