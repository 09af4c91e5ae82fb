using System.Collections.Concurrent;
using System.Text.Json;
using RdmaMigration.Bench.Matrix;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Faults;

/// <summary>One run of the matrix. Several pairs of hosts take the cases from one queue.</summary>
/// <param name="cases">The cells.</param>
/// <param name="patience">How long a QEMU may take to report a fault.</param>
/// <param name="json">The file for the rows, written after each; the table goes beside it.</param>
internal sealed class FaultMatrix(IReadOnlyList<FaultCase> cases, TimeSpan patience, FileInfo json) : IDisposable
{
    private const int Attempts = 3;

    private readonly DateTimeOffset _started = DateTimeOffset.UtcNow;
    private readonly ConcurrentQueue<FaultCase> _waiting = new(cases);
    private readonly SemaphoreSlim _oneWriter = new(1);
    private readonly List<FaultRow> _rows = [];
    private readonly List<string> _failures = [];
    private MeasuredHost? _host;
    private int _beds;

    /// <summary>Runs all cells.</summary>
    /// <param name="beds">How many pairs of hosts work at the same time.</param>
    public async Task<FaultFigures> RunAsync(int beds)
    {
        _host = await MeasuredHost.OfThisAsync();
        await Task.WhenAll(Enumerable.Range(0, Math.Min(beds, cases.Count)).Select(_ => WorkAsync()));
        FaultFigures figures = await WriteAsync();
        Report.Say($"figures: {json.FullName}");
        return figures;
    }

    public void Dispose() => _oneWriter.Dispose();

    private async Task WorkAsync()
    {
        FaultBed? bed = null;
        try
        {
            while (_waiting.TryDequeue(out FaultCase? cell))
            {
                try
                {
                    bed ??= await StartBedAsync();
                    FaultRow row = await RunAsync(bed, cell);
                    await AddAsync(() => _rows.Add(row), row.ToString());
                    if (row.Broken.Count == 0)
                    {
                        continue;
                    }
                }
                catch (Exception e) when (e is IOException or InvalidOperationException or TimeoutException or OperationCanceledException)
                {
                    string failure = $"{cell}: {e.Message}";
                    await AddAsync(() => _failures.Add(failure), failure);
                }

                // The hosts may be in any state.
                await DisposeAsync(bed);
                bed = null;
            }
        }
        finally
        {
            await DisposeAsync(bed);
        }
    }

    private async Task<FaultBed> StartBedAsync()
    {
        // A new name: softroce can still be removing the files of the last wire.
        FaultBed bed = await FaultBed.StartAsync($"faults-{Environment.ProcessId}-{Interlocked.Increment(ref _beds)}");
        _host = _host! with { Rig = await bed.AskAsync("echo $SOFTROCE"), Kernel = await bed.AskAsync("uname -r"), Device = "rxe0" };
        return bed;
    }

    private async Task<FaultRow> RunAsync(FaultBed bed, FaultCase cell)
    {
        FaultRow row = await bed.RunAsync(cell, patience);
        for (int attempt = 2; attempt <= Attempts && row.IsInconclusive; attempt++)
        {
            await Console.Error.WriteLineAsync($"inconclusive: {row}");
            row = await bed.RunAsync(cell, patience);
        }

        return row;
    }

    private async Task AddAsync(Action add, string text)
    {
        await _oneWriter.WaitAsync();
        try
        {
            add();
            await Console.Error.WriteLineAsync($"{_rows.Count + _failures.Count} of {cases.Count}: {text}");
        }
        finally
        {
            _oneWriter.Release();
        }

        await WriteAsync();
    }

    private async Task<FaultFigures> WriteAsync()
    {
        await _oneWriter.WaitAsync();
        try
        {
            FaultRow[] ordered = [.. cases.SelectMany(cell => _rows.Where(row => row.Case == cell))];
            FaultFigures figures = new(_started, _host!, patience.TotalSeconds, ordered, [.. _failures]);
            json.Directory!.Create();
            await File.WriteAllBytesAsync(json.FullName, JsonSerializer.SerializeToUtf8Bytes(figures, Report.Layout));
            await File.WriteAllTextAsync(Path.ChangeExtension(json.FullName, ".md"), FaultMarkdown.Write(figures));
            return figures;
        }
        finally
        {
            _oneWriter.Release();
        }
    }

    private static ValueTask DisposeAsync(FaultBed? bed) => bed?.DisposeAsync() ?? ValueTask.CompletedTask;
}
