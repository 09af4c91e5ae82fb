using RdmaMigration.Testing;

namespace RdmaMigration.Bench;

/// <summary>Moves the machine of a workbench once from one program to another, and measures both.</summary>
internal static class Crossing
{
    /// <param name="bench">The machine; saved already if rdmamig sends it.</param>
    /// <param name="workload">What that machine's RAM is.</param>
    /// <param name="route">Who sends to whom.</param>
    /// <param name="mode">How.</param>
    /// <param name="compare">Whether to compare the RAM that arrived in a QEMU, byte for byte: a fast wrong copy is no result.</param>
    /// <param name="options">Further options of `rdmamig send`.</param>
    /// <exception cref="InvalidOperationException">The migration failed, or what arrived is not what was sent.</exception>
    public static async Task<Passage> RunAsync(Workbench bench, Workload workload, Route route, Mode mode, bool compare = false, params string[] options)
    {
        string uri = mode == Mode.Tcp ? $"tcp:127.0.0.1:{RdmaAddress.NextPort()}" : RdmaAddress.NextUri();
        await using Destination destination = route.To == Peer.Qemu
            ? await QemuDestination.ListenAsync(bench, uri)
            : await RdmamigDestination.ListenAsync(bench, uri);
        ProcessorTime before = ProcessorTime.OfProcess(destination.Pid);
        Sent sent;
        try
        {
            sent = route.From == Peer.Qemu
                ? await Source.SendFromQemuAsync(bench, uri, mode == Mode.PinAll)
                : await Source.SendFromRdmamigAsync(bench.SavedMachine, uri, [.. mode == Mode.PinAll ? (string[])["--pin-all"] : [], .. options]);
        }
        catch (InvalidOperationException failed)
        {
            throw new InvalidOperationException($"{failed.Message}\nthe destination: {destination.Errors}", failed);
        }

        await destination.ArrivedAsync();
        ProcessorTime loaded = await destination.LoadedAsync();
        ProcessorTime after = ProcessorTime.OfProcess(destination.Pid) - loaded;
        if (compare && destination is QemuDestination && GuestMemory.FirstDifference(bench.SourceMemory, bench.RestoredMemory) is >= 0 and long at)
        {
            throw new InvalidOperationException($"{route}, {Words.Of(mode)}: the RAM that arrived differs at offset 0x{at:x}");
        }

        return new Passage(
            route, mode, workload, sent.TotalMilliseconds, sent.SetupMilliseconds, sent.RamMilliseconds, sent.Cpu, sent.CpuBefore, loaded - before, after);
    }
}
