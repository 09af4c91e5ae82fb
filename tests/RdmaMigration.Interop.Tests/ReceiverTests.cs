using System.Globalization;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>What all tests of `rdmamig receive` share: a folder, machines of known memory, and a place to say what was measured.</summary>
public abstract class ReceiverTests : IDisposable
{
    private int _machines;

    private protected WorkDirectory Work { get; } = new();

    public void Dispose()
    {
        Work.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Starts a paused machine whose RAM is random, with zero pages.</summary>
    private protected Task<QemuMachine> StartSourceAsync(string machineType, int mebibytes, bool halfZero = true, params string[] extra) =>
        StartSourceAsync(NewMachine(machineType, mebibytes) with { Extra = extra }, halfZero);

    /// <summary>As above, for a machine of <see cref="NewMachine(string, int)"/>.</summary>
    private protected async Task<QemuMachine> StartSourceAsync(QemuOptions options, bool halfZero = true)
    {
        GuestMemory.Fill(options.MemoryFile, options.RamMebibytes, seed: (ulong)(1000 + _machines), halfZero);
        return await StartAsync(options);
    }

    /// <summary>Starts a running machine that dirties 8 MiB of its RAM for ever; it does so when this returns. It has a monitor at each socket.</summary>
    private protected async Task<QemuMachine> StartDirtyingSourceAsync(string machineType, int mebibytes, params string[] sockets)
    {
        QemuOptions options = NewMachine(machineType, mebibytes).WithSockets(sockets);
        options = options with { Paused = false, BootImage = Work.File($"{options.Name}.boot") };
        DirtyingGuest.WriteImage(options.BootImage!, first: 16 << 20, end: 24 << 20);
        GuestMemory.Fill(options.MemoryFile, mebibytes, seed: (ulong)(1000 + _machines), halfZero: true);
        QemuMachine machine = await StartAsync(options);
        await machine.GuestWritesAsync();
        return machine;
    }

    /// <summary>A paused machine and its capture, which rdmamig received at the URI.</summary>
    private protected async Task<(QemuMachine Source, string Capture)> CaptureAsync(string uri, string machineType, int mebibytes, bool halfZero = true)
    {
        QemuMachine source = await StartSourceAsync(machineType, mebibytes, halfZero);
        string file = Work.File("captured");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(uri, file, ["--once"]);
        await receiver.TakeAsync(source);
        return (source, file);
    }

    /// <summary>A FIFO for two programs to meet at.</summary>
    private protected async Task<string> NewFifoAsync()
    {
        string path = Work.File("fifo");
        (int exitCode, string output) = await ChildProcess.RunAsync(Executables.OnPath("mkfifo", "coreutils"), path);
        return exitCode == 0 ? path : throw new InvalidOperationException(output);
    }

    /// <summary>A folder to receive into, as the command line wants it.</summary>
    private protected string NewFolder(string name) => Directory.CreateDirectory(Work.File(name)).FullName + "/";

    /// <summary>Migrates a small machine and checks it: what a receiver must still be able to do after whatever happened before.</summary>
    private protected async Task NextMigrationWorksAsync(RdmamigProcess receiver, int mebibytes = 8)
    {
        await using QemuMachine source = await StartSourceAsync("pc", mebibytes);
        (_, ReceiveResult result) = await receiver.TakeAsync(source);
        await Restoration.IsIdenticalAsync(source, result.File, Work);
        File.Delete(result.File);
        File.Delete(source.Options.MemoryFile);
    }

    /// <summary>Sends a capture, which must succeed in just this way and leave the file as it is.</summary>
    private protected static async Task SendAsync(
        string file, string uri, string mode, bool confirmed, bool returnPath, string[]? options = null, string[]? wrapper = null)
    {
        byte[] before = await File.ReadAllBytesAsync(file);
        await using RdmamigProcess sender = RdmamigProcess.Send(file, uri, options, wrapper);
        ReceiveResult result = await sender.ResultAsync();
        Assert.True(result.Completed, $"{result}\n{sender.Process.Errors}");
        Assert.Equal(0, await sender.Process.WaitForExitAsync(Deadlines.Answer));
        Assert.Equal((mode, confirmed, returnPath), (result.Mode, result.Confirmed, result.ReturnPath));
        Assert.Equal(before, await File.ReadAllBytesAsync(file));
    }

    /// <summary>Sends a machine through a relay into a second QEMU, which must then have it.</summary>
    /// <param name="source">The machine.</param>
    /// <param name="from">Where the relay takes it.</param>
    /// <param name="to">Where the second QEMU takes it.</param>
    /// <param name="modes">How RAM travels, on the way in and out.</param>
    /// <param name="confirmed">Whether the second QEMU can say that it has it.</param>
    /// <param name="options">Further options of `rdmamig relay`.</param>
    private protected async Task PassesAsync(
        QemuMachine source, string from, string to, (string In, string Out) modes, bool confirmed, params string[] options)
    {
        await using QemuMachine arrived = await Restoration.StartLikeAsync(source, Work.File("arrived.ram"), Work, "arrived", machine =>
            QemuMachine.TakeAsync(machine, to, async uri =>
            {
                await using RdmamigProcess relay = await RdmamigProcess.RelayAsync(from, uri, options);
                (_, ReceiveResult result) = await relay.TakeAsync(source);
                Assert.Equal(0, await relay.Process.WaitForExitAsync(Deadlines.Answer));
                JsonElement destination = result.Values.GetProperty("destination");
                Assert.Equal(
                    (modes.In, modes.Out, confirmed), (result.Mode, destination.GetProperty("mode").GetString()!, result.Confirmed));
                Assert.Equal(uri, destination.GetProperty("uri").GetString());
            }));
        await Restoration.HasArrivedAsync(source, arrived, Work);
    }

    /// <summary>Prints a line beside the test's result.</summary>
    private protected static void Measured(string line) => TestContext.Current.TestOutputHelper?.WriteLine(line);

    private static async Task<QemuMachine> StartAsync(QemuOptions options)
    {
        QemuMachine machine = await QemuMachine.StartAsync(options);
        await machine.SetLimitsAsync(RdmaAddress.Unlimited);
        return machine;
    }

    /// <summary>A machine with memory of its own in the test's folder.</summary>
    private protected QemuOptions NewMachine(string machineType, int mebibytes)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"source{++_machines}");
        return new QemuOptions(name, machineType, mebibytes) { MemoryFile = Work.File($"{name}.ram") };
    }

    /// <summary>As above, run by the QEMU of a Debian release; by this host's if the name is empty. Without that release the test is skipped.</summary>
    private protected QemuOptions NewMachine(string release, string machineType, int mebibytes)
    {
        QemuOptions machine = NewMachine(machineType, mebibytes);
        if (release.Length == 0)
        {
            return machine;
        }

        Peer peer = new(release);
        Assert.SkipUnless(peer.Exists, peer.HowToMake);
        return peer.Run(machine);
    }
}
