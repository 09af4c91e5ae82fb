using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>The image rdmamig, without RDMA: a container on this machine has no device.</summary>
public sealed class ServiceImageTests
{
    private const int Mebibytes = 32;

    [Fact]
    public async Task The_README_moves_a_machine_between_two_containers()
    {
        using WorkDirectory work = new(Path.Combine(Executables.RepositoryRoot, ".artifacts"));
        await SavedMachine.SaveAsync(work.File("vm.qemu"), work.File("ram"), Mebibytes, seed: 20261128);
        File.SetUnixFileMode(work.File("vm.qemu"), UnixFileMode.UserRead | UnixFileMode.UserWrite); // As rdmamig saves it.
        string output = await ReadmeLines.RunAsync("rdmamig", "docker/service/README.md", work.FullName, "migrations", "machines", "receiver");

        // The sender's result, what docker wait prints, and the content of the arrived machine.
        Assert.Contains("confirmed by the destination", output, StringComparison.Ordinal);
        Assert.Contains("0", output.Split('\n'));
        (int code, string sent) = await ChildProcess.RunAsync(Executables.Rdmamig, "inspect", work.File("vm.qemu"));
        Assert.Equal(0, code);
        string ram = Assert.Single(sent.Split('\n'), line => line.Contains($" {Mebibytes} MiB ", StringComparison.Ordinal));
        Assert.Contains(ram, output.Split('\n'));
    }
}
