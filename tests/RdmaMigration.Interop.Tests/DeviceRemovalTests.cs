using System.Globalization;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>`rdma link delete` under a receiver and its source: it returns, both say what happened, and the receiver serves again with the device.</summary>
[Trait("needs", "rdma")]
public sealed class DeviceRemovalTests : ReceiverTests
{
    /// <summary>The transport's retries alone take some 13 s.</summary>
    private static readonly TimeSpan s_atOnce = TimeSpan.FromSeconds(3);

    /// <summary>A listener at every address has an id of its own for each device, and no event when one of them is removed.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_receiver_that_waits_serves_again_once_its_device_is_back(bool atEveryAddress)
    {
        await using OwnDevice device = await OwnDevice.CreateAsync();
        string uri = OwnDevice.NextUri();
        await using RdmamigProcess receiver = await ListenAsync(uri, atEveryAddress);
        for (int i = 0; i < 2; i++)
        {
            await device.DeleteAsync();
            await device.AddAsync();
        }

        await ServesAgainAsync(receiver, uri);
        if (atEveryAddress)
        {
            // The other device was not removed.
            await ServesAgainAsync(receiver, RdmaAddress.Uri(PortOf(uri)));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Both_ends_fail_when_the_device_is_deleted_amid_RAM(bool atEveryAddress)
    {
        (QemuMachine source, string capture) = await CaptureAsync($"unix:{Work.File("socket")}", "pc", 32, halfZero: false);
        await source.DisposeAsync();
        await using OwnDevice device = await OwnDevice.CreateAsync();
        string uri = OwnDevice.NextUri();
        await using RdmamigProcess receiver = await ListenAsync(uri, atEveryAddress);
        await using RdmamigProcess sender = RdmamigProcess.Send(capture, uri, ["--max-bandwidth", "4M", "--return-path"]);
        await RamMovesAsync(sender);

        await device.DeleteAsync();

        ReceiveResult sent = await sender.ResultAsync();
        ReceiveResult received = await receiver.ResultAsync();
        Measured($"{sent.ErrorClass}: {sent.Error}\n{received.ErrorClass}: {received.Error}");
        Assert.Contains(received.ErrorClass, (string[])["Unreachable", "Disconnected"]);

        // Refused: the destination learns of it first, and can still report that.
        Assert.Contains(sent.ErrorClass, (string[])["Unreachable", "Disconnected", "Refused"]);
        Assert.Equal(1, await sender.Process.WaitForExitAsync(Deadlines.Answer));
        Assert.Empty(Directory.GetFiles(Work.File("captures")));
        await device.AddAsync();
        await ServesAgainAsync(receiver, uri);
    }

    /// <summary>The kernel removes the device for a receiver that has ended its migration there, and for one that has not used it.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_receiver_whose_migration_is_over_does_not_hold_the_device(bool atEveryAddress)
    {
        await using OwnDevice device = await OwnDevice.CreateAsync();
        string uri = OwnDevice.NextUri();
        await using RdmamigProcess receiver = await ListenAsync(uri, atEveryAddress);
        await ServesAgainAsync(receiver, uri);

        await device.DeleteAsync();

        await device.AddAsync();
        await ServesAgainAsync(receiver, uri);
    }

    /// <summary>
    /// Both sides use the device, and the kernel reports the port to both. rxe accepts no connection after one has ended while the link was down, so the device
    /// is added again.
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_link_that_goes_down_is_reported_at_once(bool atEveryAddress)
    {
        (QemuMachine source, string capture) = await CaptureAsync($"unix:{Work.File("socket")}", "pc", 32, halfZero: false);
        await source.DisposeAsync();
        await using OwnDevice device = await OwnDevice.CreateAsync();
        string uri = OwnDevice.NextUri();
        await using RdmamigProcess receiver = await ListenAsync(uri, atEveryAddress);
        await using RdmamigProcess sender = RdmamigProcess.Send(capture, uri, ["--max-bandwidth", "4M", "--return-path"]);
        await RamMovesAsync(sender);
        DateTimeOffset since = DateTimeOffset.UtcNow;

        await OwnDevice.SetLinkAsync(up: false);

        ReceiveResult sent = await sender.ResultAsync();
        ReceiveResult received = await receiver.ResultAsync();
        Measured($"{(sent.Time - since).TotalSeconds:0.00} s, {sent.ErrorClass}: {sent.Error}");
        Measured($"{(received.Time - since).TotalSeconds:0.00} s, {received.ErrorClass}: {received.Error}");
        Assert.All([sent, received], result => Assert.InRange(result.Time - since, TimeSpan.Zero, s_atOnce));
        Assert.Equal("Unreachable", received.ErrorClass);
        Assert.Contains($"port 1 of the device {device.Name} ", received.Error, StringComparison.Ordinal);
        Assert.Equal(1, await sender.Process.WaitForExitAsync(Deadlines.Answer));
        Assert.Empty(Directory.GetFiles(Work.File("captures")));
        await OwnDevice.SetLinkAsync(up: true);
        await device.DeleteAsync();
        await device.AddAsync();
        await ServesAgainAsync(receiver, uri);
    }

    /// <summary>QEMU 7.2 keeps the device for as long as it runs, so the kernel deletes it only after that. The receiver does not wait for either.</summary>
    [Fact]
    public async Task A_receiver_lets_go_of_a_deleted_device_that_its_source_QEMU_keeps()
    {
        await using OwnDevice device = await OwnDevice.CreateAsync();
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(OwnDevice.NextUri(), NewFolder("captures"));
        await using QemuMachine source = await StartSourceAsync("pc", 32, halfZero: false);
        await source.SetLimitsAsync(4 << 20);
        await source.StartMigrationAsync(receiver.Uri);
        await RamMovesAsync(receiver);

        Task deletion = device.DeleteAsync();

        ReceiveResult received = await receiver.ResultAsync();
        Measured($"{received.ErrorClass}: {received.Error}");
        Assert.Contains(received.ErrorClass, (string[])["Unreachable", "Disconnected"]);
        source.Process.KillNow();
        await deletion;
        await device.AddAsync();
        await ServesAgainAsync(receiver, receiver.Uri);
    }

    /// <summary>A receiver at the address, or at every address with its port.</summary>
    private Task<RdmamigProcess> ListenAsync(string uri, bool atEveryAddress) =>
        RdmamigProcess.ListenAsync(atEveryAddress ? $"rdma::{PortOf(uri)}" : uri, NewFolder("captures"));

    private static int PortOf(string uri) => int.Parse(uri.AsSpan(uri.LastIndexOf(':') + 1), CultureInfo.InvariantCulture);

    private static async Task RamMovesAsync(RdmamigProcess process) => await process.Events.FirstAsync(
        e => e.Name == "PROGRESS" && e.Values.GetProperty("ram").GetProperty("transferred").GetInt64() > 0, 0, Deadlines.Migration, "RAM");

    private async Task ServesAgainAsync(RdmamigProcess receiver, string uri)
    {
        await using QemuMachine source = await StartSourceAsync("pc", 8);
        using CancellationTokenSource deadline = new(Deadlines.Start);
        int from = receiver.Events.Count;
        while (!await TryMigrateAsync(source, uri))
        {
            Assert.False(deadline.IsCancellationRequested, $"the receiver does not listen again: {receiver.Process.Errors}");
        }

        ReceiveResult result = await receiver.ResultAsync(from);
        Assert.True(result.Completed, $"{result}");
        await Restoration.IsIdenticalAsync(source, result.File, Work);
    }

    /// <summary>The receiver listens again within a second or so; until then QEMU cannot connect, which its monitor says at once.</summary>
    private static async Task<bool> TryMigrateAsync(QemuMachine source, string uri)
    {
        try
        {
            return (await source.MigrateAsync(uri)).Status == "completed";
        }
        catch (QmpException refused) when (refused.Message.Contains("connecting to destination", StringComparison.Ordinal))
        {
            return false;
        }
    }
}
