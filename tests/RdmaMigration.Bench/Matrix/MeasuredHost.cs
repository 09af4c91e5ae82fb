using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Matrix;

/// <summary>What a run ran on and with. No names of hosts or people.</summary>
/// <param name="Kernel">Its release.</param>
/// <param name="Processor">The model's name, as the kernel gives it.</param>
/// <param name="Processors">How many there are.</param>
/// <param name="Rig">kvm or tcg in the soft-RoCE guest, else host.</param>
/// <param name="Device">The RDMA device, or null.</param>
/// <param name="Qemu">QEMU's version.</param>
/// <param name="Rdmamig">rdmamig's version.</param>
internal sealed partial record MeasuredHost(
    string Kernel, string Processor, int Processors, string Rig, string? Device, string Qemu, string Rdmamig)
{
    private const string Devices = "/sys/class/infiniband";

    public static bool HasDevice => Directory.Exists(Devices) && Directory.EnumerateFileSystemEntries(Devices).Any();

    public static async Task<MeasuredHost> OfThisAsync() => new(
        (await File.ReadAllTextAsync("/proc/sys/kernel/osrelease")).Trim(),
        ModelName().Match(await File.ReadAllTextAsync("/proc/cpuinfo")).Groups["name"].Value,
        Environment.ProcessorCount,
        Environment.GetEnvironmentVariable("SOFTROCE") is { Length: > 0 } rig ? rig : "host",
        HasDevice ? Path.GetFileName(Directory.EnumerateFileSystemEntries(Devices).Order().First()) : null,
        await VersionAsync(Executables.Qemu),
        await VersionAsync(Executables.Rdmamig));

    /// <summary>A few words for the caption of a picture.</summary>
    [JsonIgnore]
    public string Short => $"{(Rig == "host" ? Device ?? "no RDMA device" : $"soft-RoCE in a guest ({Rig})")}, QEMU {Qemu}, rdmamig {Rdmamig}";

    /// <summary>One line for people.</summary>
    public override string ToString() => $"{Short}; {(Rig == "host" ? "" : $"{Device}, ")}{Processors} × {Processor}, Linux {Kernel}";

    private static async Task<string> VersionAsync(string program)
    {
        (_, string output) = await ChildProcess.RunAsync(program, "--version");
        return VersionNumber().Match(output).Value;
    }

    [GeneratedRegex(@"^model name\s*:\s*(?<name>.+?)\s*$", RegexOptions.Multiline)]
    private static partial Regex ModelName();

    [GeneratedRegex(@"\d+\.\d+[^\s()+]*")]
    private static partial Regex VersionNumber();
}
