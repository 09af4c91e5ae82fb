using System.Globalization;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>`rdmamig qemu` beside the QEMU that it stands in for. LibvirtTests puts it under libvirt.</summary>
[Trait("needs", "qemu")]
public sealed class EmulatorTests : ReceiverTests
{
    [Fact]
    public async Task Without_incoming_the_program_is_QEMU()
    {
        (int exitCode, string version) = await ChildProcess.RunAsync(Executables.Rdmamig, "qemu", "--emulator", Executables.Qemu, "--", "-version");
        Assert.Equal((0, version), await ChildProcess.RunAsync(Executables.Qemu, "-version"));
        Assert.Equal(0, exitCode);

        string[] wrong = ["-machine", "no-such-machine"];
        (int failed, string output) = await ChildProcess.RunAsync(Executables.Rdmamig, ["qemu", "--emulator", Executables.Qemu, "--", .. wrong]);
        Assert.Equal((failed, output), await ChildProcess.RunAsync(Executables.Qemu, wrong));
        Assert.Equal(1, failed);
    }

    /// <summary>As dpkg-divert and Debian's package leave them: qemu-system-amd64 is a link to qemu-system-x86_64.</summary>
    [Theory]
    [InlineData("qemu-system-x86_64")]
    [InlineData("qemu-system-amd64")]
    public async Task The_script_finds_the_diverted_QEMU_under_each_of_its_names(string name)
    {
        File.Copy(Path.Combine(Executables.RepositoryRoot, "src", "RdmaMigration.Service", "libvirt", "rdmamig-qemu"), Work.File("rdmamig-qemu"));
        File.CreateSymbolicLink(Work.File("qemu-system-x86_64"), "rdmamig-qemu");
        File.CreateSymbolicLink(Work.File("qemu-system-amd64"), "qemu-system-x86_64");
        File.CreateSymbolicLink(Work.File("qemu-system-x86_64.distrib"), Executables.Qemu);

        (int exitCode, string version) = await ChildProcess.RunAsync(
            Executables.OnPath("env", "coreutils"), $"RDMAMIG={Executables.Rdmamig}", $"PATH={Work.FullName}:/usr/bin:/bin", Work.File(name), "-version");

        Assert.Equal((0, version), await ChildProcess.RunAsync(Executables.Qemu, "-version"));
        Assert.Equal(0, exitCode);
    }

    [Theory]
    [InlineData("query-name")]
    [InlineData("query-hotpluggable-cpus")]
    [InlineData("query-iothreads")]
    [InlineData("query-block")]
    [InlineData("query-named-block-nodes")]
    [InlineData("query-machines")]
    [InlineData("query-status")]
    [InlineData("query-memory-size-summary")]
    public async Task A_question_on_the_machine_has_QEMU_s_answer(string question)
    {
        QemuOptions machine = NewMachine("pc", 64) with { Incoming = "defer", Paused = true };
        await using ServeProcess qemu = await ServeProcess.StartEmulatorAsync(machine, isQemu: true);
        await using ServeProcess emulator = await ServeProcess.StartEmulatorAsync(machine, isQemu: false);

        string expected = (await qemu.Monitor.ExecuteAsync(question)).GetRawText();
        Assert.Equal(expected, (await emulator.Monitor.ExecuteAsync(question)).GetRawText());
    }

    [Fact]
    public async Task An_error_of_QEMU_is_the_emulator_s()
    {
        QemuOptions machine = NewMachine("pc", 64) with { Incoming = "defer", Paused = true };
        await using ServeProcess emulator = await ServeProcess.StartEmulatorAsync(machine, isQemu: false);

        QmpException refused = await Assert.ThrowsAsync<QmpException>(() => emulator.Monitor.ExecuteAsync("qom-list", new { path = "/machine/none" }));
        Assert.Contains("/machine/none", refused.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_QEMU_that_answers_ends_with_a_killed_emulator()
    {
        QemuOptions machine = NewMachine("pc", 64) with { Incoming = "defer", Paused = true };
        await using ServeProcess emulator = await ServeProcess.StartEmulatorAsync(machine, isQemu: false);
        string children = await File.ReadAllTextAsync($"/proc/{emulator.Process.Id}/task/{emulator.Process.Id}/children");
        int answering = int.Parse(children, CultureInfo.InvariantCulture);
        using System.Diagnostics.Process device = System.Diagnostics.Process.GetProcessById(answering);

        emulator.Process.KillNow();

        using CancellationTokenSource deadline = new(Deadlines.Answer);
        await device.WaitForExitAsync(deadline.Token);
    }

    [Fact]
    public async Task A_machine_that_QEMU_cannot_start_ends_the_emulator()
    {
        string[] arguments = ["-chardev", $"socket,id=m,path={Work.File("m")},server=on,wait=off", "-mon", "chardev=m,mode=control", "-incoming", "defer"];
        (int exitCode, string output) = await ChildProcess.RunAsync(
            Executables.Rdmamig, ["qemu", "--emulator", Executables.Qemu, "--", "-machine", "no-such-machine", .. arguments]);

        Assert.Equal(3, exitCode);
        Assert.Contains("machine type", output, StringComparison.Ordinal);
    }
}
