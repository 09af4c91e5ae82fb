using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>`rdmamig send --max-bandwidth`: what really goes out, over the time in which RAM goes out.</summary>
public sealed class SendRateTests : ReceiverTests
{
    private const int Mebibytes = 64;
    private const int MebibytesPerSecond = 6;

    [Fact]
    [Trait("needs", "rdma")]
    public Task Over_RDMA_the_limit_holds_within_5_percent_over_10_seconds() => HoldsAsync(RdmaAddress.NextUri(), ["--return-path"]);

    [Fact]
    [Trait("needs", "qemu")]
    public Task Over_TCP_the_limit_holds_within_5_percent_over_10_seconds() => HoldsAsync("tcp:127.0.0.1:0", []);

    private async Task HoldsAsync(string uri, string[] options)
    {
        (QemuMachine source, string capture) = await CaptureAsync($"unix:{Work.File("socket")}", "pc", Mebibytes, halfZero: false);
        await source.DisposeAsync();
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(uri, Work.File("received"), ["--once"]);
        await using RdmamigProcess sender = RdmamigProcess.Send(capture, receiver.Uri, ["--max-bandwidth", $"{MebibytesPerSecond}M", .. options]);

        ReceiveResult result = await sender.ResultAsync();

        Assert.True(result.Completed && result.Confirmed, $"{result}");
        JsonElement ram = result.Values.GetProperty("ram");
        double sent = ram.GetProperty("transferred").GetInt64() - ram.GetProperty("zero").GetInt64();
        Assert.InRange(sent, Mebibytes << 20, (Mebibytes << 20) + (2 << 20));
        TimeSpan took = await WhenAsync(sender, "device") - await WhenAsync(sender, "active");
        double rate = sent / took.TotalSeconds / (1 << 20);
        Measured($"{rate:0.000} MiB/s over {took.TotalSeconds:0.00} s; the limit is {MebibytesPerSecond} MiB/s");
        Assert.InRange(rate, 0.95 * MebibytesPerSecond, 1.05 * MebibytesPerSecond);
    }

    private static async Task<DateTimeOffset> WhenAsync(RdmamigProcess sender, string status) =>
        (await sender.Events.FirstAsync(e => e.Name == "MIGRATION" && e.Status == status, 0, Deadlines.Answer, status)).Time;
}
