using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>File → rdmamig → QEMU over the channels that need no RDMA: the machine that QEMU then has is the one in the file.</summary>
[Trait("needs", "qemu")]
public sealed class OtherChannelSendTests : ReceiverTests
{
    [Theory]
    [InlineData("tcp:127.0.0.1:0", "pc")]
    [InlineData("tcp:127.0.0.1:0", "q35")]
    [InlineData("tcp:[::1]:0", "pc")]
    [InlineData("unix:", "pc")]
    public async Task QEMU_has_the_machine_that_was_sent_over_a_socket_and_says_so(string incoming, string machineType)
    {
        (QemuMachine source, string capture) = await CaptureAsync(machineType, 128);
        await using (source)
        {
            await Restoration.IsIdenticalAsync(source, capture, Work, options => QemuMachine.TakeAsync(
                options, incoming == "unix:" ? incoming + Work.File("socket") : incoming, uri => SendAsync(capture, uri, confirmed: true, returnPath: true)));
        }
    }

    [Fact]
    public async Task Send_gives_up_a_QEMU_with_multifd_which_waits_for_more_connections()
    {
        (QemuMachine source, string capture) = await CaptureAsync("pc", 16);
        await using (source)
        {
            QemuOptions options = source.Options with { Name = "multifd", MemoryFile = Work.File("multifd-ram"), Incoming = "defer", BootImage = null };
            await using QemuMachine destination = await QemuMachine.StartAsync(options);
            await destination.SetCapabilitiesAsync(("multifd", true));
            string uri = await destination.ListenAsync("tcp:127.0.0.1:0");
            await using RdmamigProcess sender = RdmamigProcess.Send(capture, uri, ["--answer-timeout", "2"]);
            Assert.Equal(1, await sender.Process.WaitForExitAsync(Deadlines.Migration));
            ReceiveResult result = await sender.ResultAsync();
            Assert.Equal((false, "Timeout"), (result.Completed, result.ErrorClass));
        }
    }

    [Fact]
    public async Task QEMU_has_the_machine_that_was_sent_through_two_commands()
    {
        (QemuMachine source, string capture) = await CaptureAsync("pc", 64);
        await using (source)
        {
            string fifo = await NewFifoAsync();
            await Restoration.IsIdenticalAsync(source, capture, Work, options => QemuMachine.TakeAsync(
                options, $"exec:gzip -dc < '{fifo}'", _ => SendAsync(capture, $"exec:gzip -1c > '{fifo}'", confirmed: true, returnPath: false)));
        }
    }

    [Fact]
    public async Task QEMU_starts_from_the_file_that_was_sent_to_at_an_offset()
    {
        (QemuMachine source, string capture) = await CaptureAsync("pc", 64);
        await using (source)
        {
            string file = Work.File("sent");
            File.WriteAllBytes(file, new byte[4096]);
            await SendAsync(capture, $"file:{file},offset=4K", confirmed: true, returnPath: false);
            await Restoration.IsIdenticalAsync(source, capture, Work, options => QemuMachine.TakeAsync(
                options, $"exec:tail -c +4097 '{file}'", static _ => Task.CompletedTask));
        }
    }

    [Fact]
    public async Task QEMU_has_the_machine_that_was_sent_on_a_socket_that_the_shell_opened()
    {
        (QemuMachine source, string capture) = await CaptureAsync("pc", 64);
        await using (source)
        {
            await Restoration.IsIdenticalAsync(source, capture, Work, options => QemuMachine.TakeAsync(options, "tcp:127.0.0.1:0", uri =>
                SendAsync(capture, "fd:5", confirmed: true, returnPath: true, Opening($"5<>/dev/tcp/127.0.0.1/{uri[(uri.LastIndexOf(':') + 1)..]}"))));
        }
    }

    [Fact]
    public async Task A_file_that_the_shell_opened_holds_the_machine_and_a_pipe_proves_nothing()
    {
        (QemuMachine source, string capture) = await CaptureAsync("pc", 16);
        await using (source)
        {
            string file = Work.File("by-file");
            await SendAsync(capture, "fd:5", confirmed: true, returnPath: false, Opening($"5>'{file}'"));
            Restoration.AreTheSame(capture, file);

            string piped = Work.File("by-pipe");
            await SendAsync(capture, "fd:5", confirmed: false, returnPath: false, Opening($"5> >(cat > '{piped}')"));
            await Task.Run(() => Assert.True(SpinWait.SpinUntil(() => new FileInfo(piped).Length == new FileInfo(file).Length, Deadlines.Answer)));
            Restoration.AreTheSame(capture, piped);
        }
    }

    [Fact]
    public async Task A_machine_that_goes_from_file_to_QEMU_to_file_is_still_the_same()
    {
        (QemuMachine source, string first) = await CaptureAsync("q35", 128);
        string second = Work.File("second");
        await using (source)
        {
            await using QemuMachine between = await Restoration.StartLikeAsync(
                source, Work.File("between.ram"), Work, "between",
                options => QemuMachine.TakeAsync(options, "tcp:127.0.0.1:0", uri => SendAsync(first, uri, confirmed: true, returnPath: true)));
            await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync($"unix:{Work.File("socket")}", second, ["--once"]);
            await between.SetLimitsAsync(RdmaAddress.Unlimited);
            await receiver.TakeAsync(between);
        }

        Restoration.AreTheSame(first, second);
    }

    [Fact]
    public async Task A_machine_goes_from_rdmamig_to_rdmamig_and_the_second_file_is_the_first()
    {
        (QemuMachine source, string first) = await CaptureAsync("pc", 64);
        await source.DisposeAsync();
        string second = Work.File("second");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync("tcp:127.0.0.1:0", second, ["--once"]);

        await SendAsync(first, receiver.Uri, confirmed: true, returnPath: true);

        Assert.True((await receiver.ResultAsync()).Completed);
        Assert.Equal(File.ReadAllBytes(first), File.ReadAllBytes(second));
    }

    /// <summary>A stopped machine and its capture, which rdmamig received by a UNIX domain socket.</summary>
    private Task<(QemuMachine Source, string Capture)> CaptureAsync(string machineType, int mebibytes) =>
        CaptureAsync($"unix:{Work.File("captured.sock")}", machineType, mebibytes);

    private static Task SendAsync(string file, string uri, bool confirmed, bool returnPath, string[]? wrapper = null) =>
        SendAsync(file, uri, "stream", confirmed, returnPath, wrapper: wrapper);

    /// <summary>A shell that opens something and then becomes the program.</summary>
    private static string[] Opening(string redirection) => [Executables.OnPath("bash", "bash"), "-c", $"exec \"$@\" {redirection}", "bash"];
}
