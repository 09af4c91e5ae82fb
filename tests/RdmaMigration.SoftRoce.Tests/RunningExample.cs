using System.Threading.Channels;
using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>A program from a README, while it runs. Its standard input is empty.</summary>
internal sealed class RunningExample : IAsyncDisposable
{
    private readonly Channel<string> _lines = Channel.CreateUnbounded<string>();
    private readonly ChildProcess _process;

    public RunningExample(string program, params string[] arguments) =>
        _process = ChildProcess.Start(Path.GetFileName(program), "dotnet", [program, .. arguments], line => _lines.Writer.TryWrite(line));

    /// <summary>The next line that it prints.</summary>
    public async Task<string> Line()
    {
        try
        {
            return await _lines.Reader.ReadAsync().AsTask().WaitAsync(Deadlines.Migration);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"{_process.Name} printed no line within {Deadlines.Migration.TotalSeconds} s\n{_process.Errors}");
        }
    }

    public Task<int> ExitCode() => _process.WaitForExitAsync(Deadlines.Answer);

    public ValueTask DisposeAsync() => _process.DisposeAsync();
}
