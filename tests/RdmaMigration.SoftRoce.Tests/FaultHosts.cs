using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>The two hosts that all rows share.</summary>
public sealed class FaultHosts : IAsyncLifetime
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(1);
    private FaultBed? _bed;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    /// <summary>Runs a row. A row that fails leaves the hosts in an unknown state, so the next row gets new ones.</summary>
    public async Task<FaultRow> RunAsync(FaultCase fault)
    {
        _bed ??= await FaultBed.StartAsync($"faults-{Environment.ProcessId}");
        try
        {
            FaultRow row = await _bed.RunAsync(fault, s_patience);
            if (row.Broken.Count > 0)
            {
                await DisposeAsync();
            }

            return row;
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
