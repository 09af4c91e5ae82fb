using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>A source that stalls does not stall the monitor of `rdmamig serve`. Its stream is a QEMU's.</summary>
[Trait("needs", "qemu")]
public sealed class ServeStallTests : ReceiverTests
{
    private static readonly TimeSpan s_bound = TimeSpan.FromMilliseconds(10);

    /// <summary>A QEMU 7.2 in the destination's place is measured beside it. Each stall has one connection for all places.</summary>
    [Theory]
    [InlineData(Stall.Silent, 400)]
    [InlineData(Stall.CutLink, 400)]
    [InlineData(Stall.Trickle, 1200)]
    public async Task Clients_are_answered_within_10_ms_at_each_place_where_a_source_stalls(Stall stall, int milliseconds)
    {
        TimeSpan time = TimeSpan.FromMilliseconds(milliseconds);
        string capture = Work.File("capture");
        await using (QemuMachine source = await StartSourceAsync("pc", 16))
        {
            Assert.Equal("completed", (await source.MigrateAsync($"exec:cat > '{capture}'")).Status);
        }

        (string Name, int At)[] places = Places(capture);
        byte[] stream = await File.ReadAllBytesAsync(capture);
        AnswerTimes[] ours = await FiveClients.MeasureAsync(
            async () =>
            {
                await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
                using FiveClients clients = new(service.Socket);
                return await StallAsync(service.Monitor, clients, Connect, time);
            },
            s_bound,
            Measured);

        string[] sockets = FiveClients.Sockets(Work);
        await using QemuMachine qemu = await QemuMachine.StartAsync((NewMachine("pc", 16) with { Incoming = "defer" }).WithSockets(sockets));
        using FiveClients clientsOfQemu = new(sockets);
        AnswerTimes[] theirs = await StallAsync(qemu.Monitor, clientsOfQemu, Connect, time);

        for (int i = 0; i < places.Length; i++)
        {
            Measured($"{places[i].Name}: {ours[i]}; QEMU 7.2: {theirs[i]}");
        }

        Assert.All(ours, answers => Assert.InRange(answers.P99, TimeSpan.Zero, s_bound));

        StalledSource Connect(string uri) => new(uri, stream, stall, [.. places.Select(place => place.At)]);
    }

    /// <summary>Has a source stall at each place, asks the destination, and lets the source finish.</summary>
    private static async Task<AnswerTimes[]> StallAsync(QmpClient destination, FiveClients clients, Func<string, StalledSource> connect, TimeSpan time)
    {
        await QmpMove.EnableAsync(destination, "events");
        await using StalledSource source = connect(await QmpMove.ListenAsync(destination, "tcp:127.0.0.1:0"));
        List<AnswerTimes> answers = [];
        while (source.HasPlace)
        {
            await source.StallAsync();
            await destination.Events.FirstAsync(said => said.Status == "active", 0, Deadlines.Answer, "active");
            answers.Add(await clients.AskAsync(time));
        }

        await source.FinishAsync();
        await QmpMove.EndAsync(destination);
        Assert.Equal("completed", await QmpMove.StatusAsync(destination));
        return [.. answers];
    }

    /// <summary>Where a source stalls: in a name of the block list, in the content of a page, in a field of the first device, before the end marker.</summary>
    private static (string Name, int At)[] Places(string capture)
    {
        using MigrationFile file = MigrationFile.Open(capture);
        byte[] stream = File.ReadAllBytes(capture);
        int devices = stream.Length - file.DeviceState.Length;
        StreamedBlock ram = file.Blocks.Values.Single(block => block.Name.EndsWith(QemuOptions.RamBlockName, StringComparison.Ordinal));
        int nameLength = file.DeviceState[5];
        return
        [
            ("block list", stream.AsSpan().IndexOf("ram0"u8) + 2),
            ("page", (int)ram.Pages.First(at => at > devices / 2) + 2000),
            ("device field", devices + 14 + nameLength + 2),
            ("end marker", devices + DeviceSections.LastDescription(file.DeviceState) - 1),
        ];
    }
}
