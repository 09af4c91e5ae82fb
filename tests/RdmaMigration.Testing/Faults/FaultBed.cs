namespace RdmaMigration.Testing;

/// <summary>Two hosts and a machine to move between them, for any number of faults one after the other. Host a receives, host b sends.</summary>
public sealed class FaultBed : IAsyncDisposable
{
    /// <summary>The machine's RAM. With <see cref="SlowBytesPerSecond"/>, sending it takes a quarter of a minute.</summary>
    public const int Mebibytes = 32;

    internal const long SlowBytesPerSecond = 2 << 20;
    internal const string SourceRam = "/tmp/source.ram";
    internal const string SourceCapture = "/tmp/source.capture";

    internal const string ArrivedRam = "/tmp/arrived.ram";

    /// <summary>A file system of its own, which a fault makes small.</summary>
    internal const string Captures = "/tmp/captures";

    /// <summary>The memory cgroup of the destination's program.</summary>
    internal const string Group = "/sys/fs/cgroup/fault";

    private const ulong Seed = 20261128;
    private const int HostMebibytes = 1536;

    private readonly WorkDirectory _shared = new(Path.Combine(Executables.RepositoryRoot, ".artifacts"));
    private readonly SoftRoceWire _wire;
    private GuestHost? _source;
    private GuestHost? _destination;

    private FaultBed(string wire) => _wire = new SoftRoceWire(wire);

    internal GuestHost Source => _source ?? throw new InvalidOperationException("the source's host does not run");

    internal GuestHost Destination => _destination ?? throw new InvalidOperationException("the destination's host does not run");

    internal SoftRoceWire Wire => _wire;

    internal IReadOnlyList<GuestHost> Hosts => [Destination, Source];

    /// <summary>Boots both hosts, and saves the machine in a file.</summary>
    public static async Task<FaultBed> StartAsync(string wire)
    {
        FaultBed bed = new(wire);
        try
        {
            await SavedMachine.SaveAsync(bed._shared.File("capture"), bed._shared.File("ram"), Mebibytes, Seed);
            await Task.WhenAll(bed.BootAsync(FaultSide.Destination), bed.BootAsync(FaultSide.Source));
            return bed;
        }
        catch
        {
            await bed.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs one case. The bed is as before when it returns.</summary>
    /// <param name="fault">The case.</param>
    /// <param name="patience">How long a QEMU may take to report the fault.</param>
    public Task<FaultRow> RunAsync(FaultCase fault, TimeSpan patience) => new FaultRun(this, fault, patience).RunAsync();

    /// <summary>Runs a shell command on the source's host, and returns what it wrote.</summary>
    public Task<string> AskAsync(string command) => Source.RunAsync(command);

    public async ValueTask DisposeAsync()
    {
        foreach (GuestHost? host in (GuestHost?[])[_source, _destination])
        {
            if (host is not null)
            {
                await host.DisposeAsync();
            }
        }

        _shared.Dispose();
    }

    /// <summary>Boots a host that was killed. It has lost everything that was in its memory.</summary>
    internal async Task RebootAsync(FaultSide side)
    {
        await HostAt(side).DisposeAsync();
        await BootAsync(side);
    }

    internal GuestHost HostAt(FaultSide side) => side is FaultSide.Source ? Source : Destination;

    /// <summary>Where the destination listens, at a port that was not used before.</summary>
    internal static string NextUri(bool isIpv6 = false) =>
        FormattableString.Invariant($"rdma:{(isIpv6 ? "[fd77::1]" : "10.77.0.1")}:{RdmaAddress.NextPort()}");

    /// <summary>The last number of the host's addresses.</summary>
    internal static int NumberOf(GuestHost host) => host.Letter[0] - 'a' + 1;

    private async Task BootAsync(FaultSide side)
    {
        bool isSource = side is FaultSide.Source;
        GuestHost host = await GuestHost.BootAsync(_wire, isSource ? "b" : "a", HostMebibytes);
        if (isSource)
        {
            _source = host;
            await host.RunAsync($"cp '{_shared.File("ram")}' {SourceRam} && cp '{_shared.File("capture")}' {SourceCapture}");
            return;
        }

        _destination = host;
        await host.RunAsync(
            $"mkdir {Captures} && mount -t tmpfs tmpfs {Captures} && mount -t cgroup2 cgroup2 /sys/fs/cgroup && "
            + $"echo +memory > /sys/fs/cgroup/cgroup.subtree_control && mkdir {Group}");
    }

    /// <summary>Whether a capture, or the memory file of a QEMU, on the destination's host has the source's RAM. Removes it.</summary>
    internal async Task<bool> IsIdenticalAsync(string arrived, bool isCapture)
    {
        string copy = _shared.File("arrived");
        await Destination.RunAsync($"cp '{arrived}' '{copy}' && rm '{arrived}'");
        try
        {
            if (!isCapture)
            {
                return GuestMemory.FirstDifference(_shared.File("ram"), copy) == -1;
            }

            using MigrationFile file = MigrationFile.Open(copy);
            string block = file.Blocks.Keys.Single(name => name.EndsWith(QemuOptions.RamBlockName, StringComparison.Ordinal));
            return file.FirstDifference(block, _shared.File("ram")) == -1;
        }
        finally
        {
            File.Delete(copy);
        }
    }
}
