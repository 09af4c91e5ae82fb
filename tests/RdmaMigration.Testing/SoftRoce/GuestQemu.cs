using System.Text.Json;

namespace RdmaMigration.Testing;

/// <summary>A real QEMU in a <see cref="GuestHost"/>. Its monitor is its standard input and output, and answers one command after the other.</summary>
public sealed class GuestQemu
{
    private int _asked;

    private GuestQemu(GuestProgram program) => Program = program;

    public GuestProgram Program { get; }

    public EventLog<QmpEvent> Events => Program.Events;

    /// <summary>Starts QEMU and returns when its monitor answers.</summary>
    /// <param name="host">Where it runs.</param>
    /// <param name="options">The machine; its files are the guest's.</param>
    /// <param name="prefix">Shell commands that run before it.</param>
    public static async Task<GuestQemu> StartAsync(GuestHost host, QemuOptions options, string prefix = "")
    {
        string[] command = [Executables.Qemu, .. options.ArgumentsWithMonitor("stdio,id=qmp,signal=off")];
        GuestQemu qemu = new(await host.StartAsync($"{prefix}exec {string.Join(' ', command.Select(argument => $"'{argument}'"))}"));
        try
        {
            await qemu.ExecuteAsync("qmp_capabilities", null, Deadlines.Start);
            await qemu.SetCapabilitiesAsync(("events", true));
            return qemu;
        }
        catch
        {
            await qemu.KillAsync();
            throw;
        }
    }

    /// <summary>Runs a command and returns its "return" member.</summary>
    /// <exception cref="QmpException">QEMU refused it.</exception>
    /// <exception cref="TimeoutException">QEMU does not answer.</exception>
    /// <exception cref="EndOfStreamException">QEMU has ended.</exception>
    public async Task<JsonElement> ExecuteAsync(string command, object? arguments = null, TimeSpan? limit = null)
    {
        string request = JsonSerializer.Serialize(arguments is null ? new { execute = command } : (object)new { execute = command, arguments });

        // A late answer still comes before those to later commands.
        int number = _asked++;
        await Program.WriteAsync(request);
        JsonElement answer = await Program.Answers.FirstAsync(_ => true, number, limit ?? Deadlines.Answer, $"answer to {command}");
        return answer.TryGetProperty("error", out JsonElement error)
            ? throw new QmpException(command, error.GetProperty("class").GetString()!, error.GetProperty("desc").GetString()!)
            : answer.GetProperty("return");
    }

    public Task SetCapabilitiesAsync(params (string Name, bool On)[] capabilities) => ExecuteAsync(
        "migrate-set-capabilities", new { capabilities = capabilities.Select(c => new { capability = c.Name, state = c.On }).ToArray() });

    public Task KillAsync() => Program.KillAsync();
}
