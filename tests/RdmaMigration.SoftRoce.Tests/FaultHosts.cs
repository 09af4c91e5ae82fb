using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>The two hosts of all rows.</summary>
public sealed class FaultHosts : IAsyncLifetime
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(1);
    private FaultBed? _bed;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    /// <summary>Runs a row. A row that cannot be run leaves the hosts in any state, so the next row gets new ones.</summary>
    public async Task<FaultRow> RunAsync(FaultCase fault)
    {
        _bed ??= await FaultBed.StartAsync($"faults-{Environment.ProcessId}");
        try
        {
            return await _bed.RunAsync(fault, s_patience);
        }
        catch
        {
            await DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_bed is not null)
        {
            await _bed.DisposeAsync();
            _bed = null;
        }
    }
}
