using RdmaMigration.Manual;
using RdmaMigration.Testing;

namespace RdmaMigration.Packaging.Tests;

/// <summary>The completions, in the real shells: a line, a tab and Enter are typed, and the shell runs what it has completed.</summary>
public sealed class CompletionTests : IDisposable
{
    private readonly WorkDirectory _work = new();

    public CompletionTests()
    {
        foreach (ManualFile file in ManualFile.All(new DateOnly(2026, 1, 31)))
        {
            File.WriteAllText(_work.File(file.Name), file.Content);
        }

        File.WriteAllText(_work.File("captured.qemu"), "");
    }

    public void Dispose() => _work.Dispose();

    public static TheoryData<string, string, string> Lines
    {
        get
        {
            TheoryData<string, string, string> lines = [];
            foreach (string shell in (string[])["bash", "zsh", "fish"])
            {
                lines.Add(shell, "rece", "receive");
                lines.Add(shell, "--vers", "--version");
                lines.Add(shell, "receive --patt", "receive --pattern");
                lines.Add(shell, "send --pin", "send --pin-all");
                lines.Add(shell, "receive --switchover-ack al", "receive --switchover-ack always");
                lines.Add(shell, "receive --switchover-ack=al", "receive --switchover-ack=always");
                lines.Add(shell, "receive rdma::4444 --to WORK/capt", "receive rdma::4444 --to WORK/captured.qemu");
                lines.Add(shell, "inspect WORK/capt", "inspect WORK/captured.qemu");
            }

            return lines;
        }
    }

    [Theory]
    [MemberData(nameof(Lines))]
    public async Task A_tab_completes(string shell, string typed, string completed)
    {
        (string program, string setup) = shell switch
        {
            "bash" => ("bash --norc --noprofile -i",
                // Without a history: bash writes it when its terminal is gone, into the directory that this test deletes then.
                $"HISTFILE=; rdmamig() {{ echo \"RAN[$*]\"; }}; source {_work.File(ManualFile.Bash)}; PS1=REA''DY"),
            "zsh" => ("zsh -f -i",
                $"fpath=({_work.FullName} $fpath); autoload -Uz compinit; compinit -u -D; rdmamig() {{ echo \"RAN[$*]\" }}; PS1=REA''DY"),
            _ => ("fish --no-config --private -i",
                $"function rdmamig; echo \"RAN[$argv]\"; end; source {_work.File(ManualFile.Fish)}; function fish_prompt; echo REA''DY; end"),
        };
        _ = Executables.OnPath(shell, shell);

        (int exitCode, string output) = await ChildProcess.RunAsync(
            "/usr/bin/env", "TERM=dumb", $"HOME={_work.FullName}", Executables.OnPath("zsh", "zsh"), "-f", Path.Combine(AppContext.BaseDirectory, "type-tab"),
            program, setup, $"rdmamig {typed}".Replace("WORK", _work.FullName, StringComparison.Ordinal));

        Assert.Equal((0, completed.Replace("WORK", _work.FullName, StringComparison.Ordinal)), (exitCode, output.Trim()));
    }
}
