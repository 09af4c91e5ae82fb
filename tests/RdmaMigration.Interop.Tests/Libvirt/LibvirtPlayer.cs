using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>Plays libvirt's part at a monitor: <see cref="LibvirtSequences"/>. No command may be refused, and events come in the order of the lines.</summary>
internal sealed class LibvirtPlayer(QmpClient monitor)
{
    private JsonElement _before;
    private int _seen;

    /// <summary>Talks to a process. What it has reported so far is left out.</summary>
    public static LibvirtPlayer From(ServeProcess process) => new(process.Monitor) { _seen = process.Monitor.Events.Count };

    /// <summary>Sends the commands and awaits the events.</summary>
    public async Task PlayAsync(params string[] sequences)
    {
        foreach (string line in sequences.SelectMany(sequence => sequence.Split('\n')))
        {
            string[] words = line.Trim().Split(' ', 2);
            string rest = words.ElementAtOrDefault(1) ?? "";
            await (words[0] switch
            {
                "*" => AwaitAsync(rest),
                "capabilities" => SetCapabilitiesAsync(rest.Split(' ')),
                "parameters" => SetBackAsync(),
                _ => ExecuteAsync(words[0], rest),
            });
        }
    }

    private async Task ExecuteAsync(string command, string arguments)
    {
        using JsonDocument? document = arguments.Length == 0 ? null : JsonDocument.Parse(arguments);
        JsonElement value = await monitor.ExecuteAsync(command, document?.RootElement);
        if (command == "query-migrate-parameters")
        {
            _before = value;
        }
    }

    private async Task AwaitAsync(string name)
    {
        QmpEvent next;
        do
        {
            next = await monitor.Events.FirstAsync(_ => true, _seen++, Deadlines.Migration, name);
        }
        while (next.Name == "MIGRATION_PASS");

        Assert.Equal(name, next.Status ?? next.Name);
    }

    private async Task SetCapabilitiesAsync(string[] enabled) => await monitor.ExecuteAsync(
        "migrate-set-capabilities",
        new { capabilities = LibvirtSequences.Capabilities.Select(name => new { capability = name, state = enabled.Contains(name) }).ToArray() });

    private async Task SetBackAsync()
    {
        await monitor.ExecuteAsync(
            "migrate-set-parameters", LibvirtSequences.Parameters.ToDictionary(name => name, name => _before.GetProperty(name)));
        Assert.Equal(_before.GetRawText(), (await monitor.ExecuteAsync("query-migrate-parameters")).GetRawText());
    }
}
