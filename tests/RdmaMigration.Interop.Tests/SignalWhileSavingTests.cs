using System.Net.Sockets;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop.Tests;

/// <summary>SIGTERM while a complete machine is written to disk, and its source, which has no return path, counts it as gone.</summary>
public sealed class SignalWhileSavingTests : IDisposable
{
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(30);
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-signal-");

    private string Root => _directory.FullName;

    private string Mount => Path.Combine(Root, "mount");

    private string Capture => Path.Combine(Mount, "capture");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public async Task The_machine_is_saved_before_the_signal_ends_the_receiver()
    {
        await using FrozenDisk disk = await MountAsync();
        await using RdmamigProcess receiver = await SaveToFrozenAsync(disk);

        await receiver.SignalAsync("TERM");
        await SaysAsync(receiver, "saving it before exiting");
        await disk.ThawAsync();

        Assert.Equal(0, await receiver.Process.WaitForExitAsync(s_soon));
        Assert.True((await receiver.ResultAsync()).Completed);
        Assert.Equal(StreamBuilder.SmallMachine().Length, new FileInfo(Capture).Length);
    }

    [Fact]
    public async Task A_second_signal_ends_it_at_once_and_says_that_the_machine_was_not_saved()
    {
        await using FrozenDisk disk = await MountAsync();
        await using RdmamigProcess receiver = await SaveToFrozenAsync(disk);

        await receiver.SignalAsync("TERM");
        await SaysAsync(receiver, "saving it before exiting");
        await receiver.SignalAsync("TERM");
        await SaysAsync(receiver, "before the machine was saved");

        // The kernel ends no thread that waits for a frozen disk.
        await disk.ThawAsync();
        Assert.Equal(128 + 15, await receiver.Process.WaitForExitAsync(s_soon));
        Assert.False(File.Exists(Capture));
    }

    private async Task<FrozenDisk> MountAsync()
    {
        Assert.SkipWhen(FrozenDisk.WhyNot is not null, FrozenDisk.WhyNot ?? "");
        Directory.CreateDirectory(Mount);
        return await FrozenDisk.MountAsync(Mount, Path.Combine(Root, "image"));
    }

    /// <summary>Sends a whole machine, which then waits for the disk.</summary>
    private async Task<RdmamigProcess> SaveToFrozenAsync(FrozenDisk disk)
    {
        RdmamigProcess receiver = await RdmamigProcess.ListenAsync($"unix:{Root}/socket", Capture, ["--interval", "0.02"]);
        using Socket source = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await source.ConnectAsync(new UnixDomainSocketEndPoint(Path.Combine(Root, "socket")));
        byte[] machine = StreamBuilder.SmallMachine();
        source.Send(machine.AsSpan(..100));
        await receiver.Events.FirstAsync(e => e is { Name: "MIGRATION", Status: "active" }, 0, s_soon, "MIGRATION active");
        await disk.FreezeAsync();
        source.Send(machine.AsSpan(100..));
        source.Shutdown(SocketShutdown.Send);
        await receiver.Events.FirstAsync(
            e => e.Name == "PROGRESS" && e.Values.GetProperty("phase").GetString() == "saving", 0, s_soon, "PROGRESS saving");
        return receiver;
    }

    private static async Task SaysAsync(RdmamigProcess receiver, string words)
    {
        using CancellationTokenSource deadline = new(s_soon);
        while (!receiver.Process.Errors.Contains(words, StringComparison.Ordinal))
        {
            await Task.Delay(10, deadline.Token);
        }
    }
}
