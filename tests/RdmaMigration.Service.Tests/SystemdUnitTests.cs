using System.Globalization;
using System.Text.RegularExpressions;
using RdmaMigration.Testing;

namespace RdmaMigration.Service.Tests;

/// <summary>The unit file, as systemd reads it.</summary>
public sealed class SystemdUnitTests : IDisposable
{
    private static readonly string s_folder = Path.Combine(Executables.RepositoryRoot, "src/RdmaMigration.Service/systemd");

    private readonly WorkDirectory _work = new();

    public void Dispose() => _work.Dispose();

    [Fact]
    public async Task Systemd_finds_no_fault_in_the_unit()
    {
        (int exitCode, string output) = await AnalyzeAsync("verify");

        Assert.Equal((0, ""), (exitCode, output));
    }

    [Fact]
    public async Task The_units_exposure_is_at_most_2_of_10()
    {
        (int exitCode, string output) = await AnalyzeAsync("security", "--offline=true", "--no-pager");

        Assert.Equal(0, exitCode);
        string exposure = Regex.Match(output, @"Overall exposure level for .*: ([0-9.]+) ").Groups[1].Value;
        Assert.InRange(double.Parse(exposure, CultureInfo.InvariantCulture), 0, 2);
    }

    /// <summary>systemd-analyze reports a program that is not there as a fault, so another one stands for rdmamig.</summary>
    private async Task<(int ExitCode, string Output)> AnalyzeAsync(params string[] command)
    {
        const string program = "/usr/bin/rdmamig ";
        string unit = await File.ReadAllTextAsync(Path.Combine(s_folder, "rdmamig@.service"));
        Assert.Contains($"ExecStart={program}", unit, StringComparison.Ordinal);
        string copy = _work.File("rdmamig@.service");
        await File.WriteAllTextAsync(copy, unit.Replace(program, "/bin/true ", StringComparison.Ordinal));
        return await ChildProcess.RunAsync(Executables.OnPath("systemd-analyze", "systemd"), [.. command, copy]);
    }
}
