using System.Globalization;

namespace RdmaMigration.Testing;

/// <summary>What decides whether two QEMU processes are the same machine, and how one of them starts.</summary>
public sealed record QemuOptions(string Name, string MachineType, int RamMebibytes)
{
    /// <summary>The RAM block's name in the stream; the backend's id decides it, so both ends use this one.</summary>
    public const string RamBlockName = "ram0";

    /// <summary>The file that is the machine's RAM; shared, so what the guest writes is in the file at once.</summary>
    public required string MemoryFile { get; init; }

    /// <summary>RAM is the machine's own block, and no file.</summary>
    public bool HasPlainRam { get; init; }

    /// <summary>Start with -S: nothing runs until `cont`.</summary>
    public bool Paused { get; init; } = true;

    /// <summary>URI of -incoming, or null for a machine that starts by itself.</summary>
    public string? Incoming { get; init; }

    /// <summary>A raw disk to boot from; every process needs a copy of its own.</summary>
    public string? BootImage { get; init; }

    /// <summary>Further arguments, the same on both ends.</summary>
    public IReadOnlyList<string> Extra { get; init; } = [];

    /// <summary>A program and its arguments that ends in exec of what follows.</summary>
    public string[] Wrapper { get; init; } = [];

    /// <summary>The QEMU to run; null for <see cref="Executables.Qemu"/>.</summary>
    public string? Executable { get; init; }

    public IEnumerable<string> Arguments(string monitorSocket, string? serialSocket) =>
        ArgumentsWithMonitor($"socket,id=qmp,path={monitorSocket}", serialSocket);

    /// <summary>The same with any character device as the monitor; its id is qmp.</summary>
    public IEnumerable<string> ArgumentsWithMonitor(string monitor, string? serialSocket = null)
    {
        List<string> arguments =
        [
            "-name", Name, "-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg,tb-size=32",
            "-M", HasPlainRam ? MachineType : $"{MachineType},memory-backend={RamBlockName}", "-m", RamMebibytes.ToString(CultureInfo.InvariantCulture),
            // The clock stands while the machine is paused: device state is then a function of the command line alone.
            "-rtc", "base=2026-01-01T00:00:00,clock=vm",
            "-chardev", monitor, "-mon", "chardev=qmp,mode=control",
        ];
        if (!HasPlainRam)
        {
            arguments.AddRange(["-object", $"memory-backend-file,id={RamBlockName},share=on,size={RamMebibytes}M,mem-path={MemoryFile}"]);
        }

        if (Paused)
        {
            arguments.Add("-S");
        }

        if (Incoming is not null)
        {
            arguments.AddRange(["-incoming", Incoming]);
        }

        if (BootImage is not null)
        {
            arguments.AddRange(["-drive", $"file={BootImage},format=raw,if=ide"]);
        }

        if (serialSocket is not null)
        {
            arguments.AddRange(["-chardev", $"socket,id=com1,path={serialSocket}", "-serial", "chardev:com1"]);
        }

        arguments.AddRange(Extra);
        return arguments;
    }
}
