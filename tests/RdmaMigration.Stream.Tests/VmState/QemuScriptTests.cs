using System.Diagnostics;
using System.Text.Json;
using RdmaMigration.Testing;
using RdmaMigration.VmState;

namespace RdmaMigration.Streams.Tests.VmState;

/// <summary>
/// QEMU's own analysis script reads what is written here. The script is not ours to carry, so the test runs by hand: name the script of QEMU 10.0 or newer
/// (apt-get source qemu, scripts/analyze-migration.py) in ANALYZE_MIGRATION and run ./build.sh test Stream -- -explicit only.
/// </summary>
public sealed class QemuScriptTests
{
    private const string Variable = "ANALYZE_MIGRATION";

    [Fact(Explicit = true)]
    [Trait("needs", "qemu")]
    public async Task The_analysis_script_of_QEMU_reads_typed_devices()
    {
        string script = Environment.GetEnvironmentVariable(Variable) ?? "";
        Assert.True(File.Exists(script), $"{Variable} names no file: apt-get source qemu (10.0 or newer), and name its scripts/analyze-migration.py");
        Device[] devices =
        [
            Device.Create(SampleDevice.Description, SampleDevice.Filled()),
            Device.Create(Pit.Description, new Pit()),
            Device.Create(Keyboard.Description, new Keyboard()),
        ];
        Typed.Load(QemuRecording.Default.StreamOf([.. devices.Skip(1)]), Typed.List([.. devices.Skip(1)]));
        using WorkDirectory work = new();
        string file = work.File("stream");
        await File.WriteAllBytesAsync(file, Typed.Stream(devices));
        using Process python = Process.Start(
            new ProcessStartInfo("python3", [script, "-f", file]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> errors = python.StandardError.ReadToEndAsync();
        string output = await python.StandardOutput.ReadToEndAsync();
        await python.WaitForExitAsync();
        Assert.True(python.ExitCode == 0, await errors);

        using JsonDocument values = JsonDocument.Parse(output);
        JsonElement sample = values.RootElement.GetProperty("sample (5)");
        Assert.Equal("0xfffffffffffffffb (-5)", sample.GetProperty("int64").GetString());
        Assert.True(sample.GetProperty("bool").GetBoolean());
        Assert.Equal(["0x0001", "0x0002", "0x0003"], sample.GetProperty("fixed").EnumerateArray().Select(e => e.GetString()));
        Assert.Equal("0x000000000000000b", sample.GetProperty("sample/extra").GetProperty("extra").GetString());
        Assert.Equal("0x00010000", values.RootElement.GetProperty("i8254 (6)").GetProperty("channels")[0].GetProperty("count").GetString());
        Assert.True(values.RootElement.GetProperty("pckbd (7)").GetProperty("kbd").TryGetProperty("pckbd/extended_state", out _));
    }
}
