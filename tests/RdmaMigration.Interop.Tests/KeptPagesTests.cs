using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>
/// Sources that keep pages from the main channel: `completed` of rdmamig means that every page has come, or it says which memory has not. The rows with an
/// empty release use this host's QEMU; the others use that of the Debian release.
/// </summary>
[Trait("needs", "qemu")]
public sealed class KeptPagesTests : ReceiverTests
{
    /// <summary>The Debian release whose QEMU CI tests against.</summary>
    private const string Newer = "trixie";

    [Theory]
    [InlineData("", "tcp:127.0.0.1:0", false)]
    [InlineData("", "tcp:127.0.0.1:0", true)]
    [InlineData("", "unix:", false)]
    [InlineData("", "unix:", true)]
    [InlineData(Newer, "tcp:127.0.0.1:0", false)]
    [InlineData(Newer, "tcp:127.0.0.1:0", true)]
    [InlineData(Newer, "unix:", false)]
    [InlineData(Newer, "unix:", true)]
    public async Task A_source_with_multifd_fails_on_both_sides_and_keeps_its_machine(string release, string uri, bool returnPath)
    {
        await using QemuMachine source = await StartSourceAsync(NewMachine(release, "pc", 64));
        await source.SetCapabilitiesAsync(("return-path", returnPath), ("multifd", true));
        string file = Work.File("captured");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(uri == "unix:" ? uri + Work.File("socket") : uri, file, ["--once"]);

        MigrationOutcome outcome = await source.MigrateAsync(receiver.Uri);

        ReceiveResult result = await receiver.ResultAsync();
        Assert.Equal(("failed", "failed"), (outcome.Status, result.Status));
        Assert.Equal("Stream", result.ErrorClass);
        Assert.Contains("multifd", result.Error, StringComparison.Ordinal);
        Assert.Equal(1, await receiver.Process.WaitForExitAsync(Deadlines.Answer));
        Assert.False(File.Exists(file));
        await source.ContinueAsync();
        Assert.Equal("running", await source.RunStateAsync());
    }

    [Theory]
    [InlineData("")]
    [InlineData(Newer)]
    public async Task A_source_with_few_pages_and_multifd_does_not_complete_without_them(string release)
    {
        // 111 pages of data fit into the buffers of the sockets that nobody reads.
        await using QemuMachine source = await StartSparseSourceAsync(release);
        await source.SetCapabilitiesAsync(("multifd", true));
        string file = Work.File("captured");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync("tcp:127.0.0.1:0", file, ["--once"]);

        await source.MigrateAsync(receiver.Uri);

        ReceiveResult result = await receiver.ResultAsync();
        Assert.Equal(("failed", "Stream"), (result.Status, result.ErrorClass));
        Assert.False(File.Exists(file));
    }

    [Fact]
    public async Task Missing_pages_reveal_multifd_behind_a_proxy_of_the_main_channel()
    {
        await using QemuMachine source = await StartSparseSourceAsync();
        await source.SetCapabilitiesAsync(("multifd", true));
        string fifo = await NewFifoAsync();
        string file = Work.File("captured");
        await using RdmamigProcess receiver = RdmamigProcess.Start($"exec:cat '{fifo}'", file);
        using TcpListener proxy = new(IPAddress.Loopback, 0);
        proxy.Start();
        Task passing = PassFirstAsync(proxy, fifo);

        await source.MigrateAsync($"tcp:127.0.0.1:{((IPEndPoint)proxy.LocalEndpoint).Port}");

        ReceiveResult result = await receiver.ResultAsync();
        Assert.Equal(("failed", "Stream"), (result.Status, result.ErrorClass));
        Assert.Contains("multifd", result.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(file));
        await passing;
    }

    [Fact]
    public async Task A_source_with_multifd_is_not_relayed()
    {
        await using QemuMachine source = await StartSparseSourceAsync();
        await source.SetCapabilitiesAsync(("multifd", true));
        await using QemuMachine waiting = await QemuMachine.StartAsync(
            source.Options with { Name = "waiting", MemoryFile = Work.File("waiting.ram"), Incoming = "defer" });
        await using RdmamigProcess relay = await RdmamigProcess.RelayAsync("tcp:127.0.0.1:0", await waiting.ListenAsync("tcp:127.0.0.1:0"), "--once");

        await source.MigrateAsync(relay.Uri);

        ReceiveResult result = await relay.ResultAsync();
        Assert.Equal(("failed", false), (result.Status, result.Confirmed));
        Assert.Contains("multifd", result.Error, StringComparison.Ordinal);
    }

    /// <summary>
    /// QEMU 10.0 and newer: the source hands the descriptors of its memory over a socket of its own, and sends no page.
    /// </summary>
    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task A_source_in_mode_cpr_transfer_fails_and_no_capture_appears(bool returnPath, bool ignoresShared)
    {
        await using QemuMachine source = await StartSourceAsync(NewMachine(Newer, "pc,aux-ram-share=on", 64));
        await source.SetCapabilitiesAsync(("return-path", returnPath), ("x-ignore-shared", ignoresShared));
        string file = Work.File("captured");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync("tcp:127.0.0.1:0", file, ["--once"]);

        string status = await CprTransfer.MigrateAsync(source, receiver.Uri, Work.File("cpr"));

        ReceiveResult result = await receiver.ResultAsync();
        Assert.Equal(("failed", "Stream"), (result.Status, result.ErrorClass));
        Assert.Contains("cpr-transfer", result.Error, StringComparison.Ordinal);
        Assert.Equal(1, await receiver.Process.WaitForExitAsync(Deadlines.Answer));
        Assert.False(File.Exists(file));
        if (returnPath)
        {
            Assert.Equal("failed", status);
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData(Newer)]
    public async Task Postcopy_preempt_keeps_nothing_back_before_postcopy(string release)
    {
        await using QemuMachine source = await StartSourceAsync(NewMachine(release, "pc", 64));
        await source.SetCapabilitiesAsync(("return-path", true), ("postcopy-ram", true), ("postcopy-preempt", true));
        string file = Work.File("captured");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync("tcp:127.0.0.1:0", file, ["--once"]);

        await receiver.TakeAsync(source);

        await Restoration.IsIdenticalAsync(source, file, Work);
    }

    [Fact]
    public async Task Memory_of_virtio_mem_that_is_not_plugged_in_need_not_come()
    {
        await using QemuMachine source = await StartSourceAsync(
            "pc", 64, halfZero: true,
            "-m", "maxmem=1G", "-object", "memory-backend-ram,id=vmem,size=128M", "-device", "virtio-mem-pci,memdev=vmem,requested-size=0");
        string file = Work.File("captured");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync("tcp:127.0.0.1:0", file, ["--once", "-v"]);

        await receiver.TakeAsync(source);

        Assert.Contains("32768 of the 32768 pages of RAM block", receiver.Process.Errors, StringComparison.Ordinal);
        await Restoration.IsIdenticalAsync(source, file, Work);
    }

    [Theory]
    [InlineData("")]
    [InlineData(Newer)]
    public async Task A_block_that_x_ignore_shared_leaves_out_is_named_and_not_counted(string release)
    {
        await using QemuMachine source = await StartSourceAsync(NewMachine(release, "pc", 64));
        await source.SetCapabilitiesAsync(("x-ignore-shared", true));
        string file = Work.File("captured");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync("tcp:127.0.0.1:0", file, ["--once"]);

        (_, ReceiveResult result) = await receiver.TakeAsync(source);

        JsonElement left = Assert.Single(result.Values.GetProperty("left-out").EnumerateArray());
        Assert.Equal((QemuOptions.RamBlockName, 64L << 20), (left.GetProperty("block").GetString(), left.GetProperty("bytes").GetInt64()));
        long total = result.Values.GetProperty("ram").GetProperty("total").GetInt64();
        Assert.InRange(total, 1, 1 << 20);
        Assert.Equal(total, result.RamTransferred);
        Assert.Equal(total, result.Values.GetProperty("saved").GetProperty("ram").GetInt64());
        Assert.Equal(0, await receiver.Process.WaitForExitAsync(Deadlines.Answer));
        Assert.Contains(QemuOptions.RamBlockName, receiver.Process.Errors, StringComparison.Ordinal);
        Assert.Contains("x-ignore-shared", receiver.Process.Errors, StringComparison.Ordinal);
    }

    /// <summary>QEMU 9.0 and newer writes mapped-ram, to files only.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_file_that_QEMU_wrote_with_mapped_ram_is_refused_by_its_name(bool isSent)
    {
        await using QemuMachine source = await StartSourceAsync(NewMachine(Newer, "pc", 64));
        await source.SetCapabilitiesAsync(("mapped-ram", true));
        string written = Work.File("written");
        Assert.Equal("completed", (await source.MigrateAsync($"file:{written}")).Status);
        string file = Work.File("captured");
        await using RdmamigProcess reader = isSent ? RdmamigProcess.Send(written, $"file:{file}") : RdmamigProcess.Start($"file:{written}", file);

        ReceiveResult result = await reader.ResultAsync();

        Assert.Equal(("failed", "Stream"), (result.Status, result.ErrorClass));
        Assert.Contains("mapped-ram", result.Error, StringComparison.Ordinal);
        Assert.Equal(1, await reader.Process.WaitForExitAsync(Deadlines.Answer));
        Assert.False(File.Exists(file));
    }

    private async Task<QemuMachine> StartSparseSourceAsync(string release = "")
    {
        QemuMachine source = await StartSourceAsync(NewMachine(release, "pc", 64));
        await using (FileStream ram = File.OpenWrite(source.Options.MemoryFile))
        {
            ram.SetLength(0);
            ram.SetLength(64 << 20);
            byte[] page = new byte[4096];
            for (int i = 0; i < 111; i++)
            {
                Random.Shared.NextBytes(page);
                ram.Position = (1 << 20) + (i * 32768L);
                ram.Write(page);
            }
        }

        return source;
    }

    /// <summary>Passes the first connection on; the others are accepted and kept.</summary>
    private static async Task PassFirstAsync(TcpListener proxy, string fifo)
    {
        using TcpClient main = await proxy.AcceptTcpClientAsync();
        await using FileStream to = new(fifo, FileMode.Open, FileAccess.Write);
        try
        {
            await main.GetStream().CopyToAsync(to);
        }
        catch (IOException)
        {
            // The receiver has refused the machine and closed its end.
        }
    }
}
