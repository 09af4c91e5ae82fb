using System.Diagnostics;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>
/// A soft-RoCE device over a network interface of its own, which a test may delete: no other test holds anything on it. Disposing removes both; whoever uses
/// them must have ended.
/// </summary>
internal sealed class OwnDevice : IAsyncDisposable
{
    private const string Interface = "removable0";
    private const string Address = "10.78.0.1";

    private readonly string _device;

    private OwnDevice(string device) => _device = device;

    public static async Task<OwnDevice> CreateAsync()
    {
        // Found before there is a second device to choose from.
        _ = RdmaAddress.V4;
        await RunAsync("ip", "link", "add", Interface, "type", "dummy");
        await RunAsync("ip", "address", "add", $"{Address}/24", "dev", Interface);
        await RunAsync("ip", "link", "set", Interface, "mtu", "9000", "up");
        OwnDevice created = new("rxe_removable0");
        await created.AddAsync();
        return created;
    }

    /// <summary>Where a receiver listens on it, at a port that no test has used before.</summary>
    public static string NextUri() => FormattableString.Invariant($"rdma:{Address}:{RdmaAddress.NextPort()}");

    /// <summary>Its node in /dev/infiniband.</summary>
    public string Node => Directory.EnumerateDirectories("/sys/class/infiniband_verbs")
        .Where(verbs => File.Exists(Path.Combine(verbs, "ibdev")) && File.ReadAllText(Path.Combine(verbs, "ibdev")).Trim() == _device)
        .Select(verbs => Path.GetFileName(verbs)!)
        .Single();

    /// <summary>Its name.</summary>
    public string Name => _device;

    /// <summary>`ip link set` of its network interface.</summary>
    public static async Task SetLinkAsync(bool up) => await RunAsync("ip", "link", "set", Interface, up ? "up" : "down");

    public async Task AddAsync() => await RunAsync("rdma", "link", "add", _device, "type", "rxe", "netdev", Interface);

    /// <summary>Returns once it is gone, which is when every process has freed what it has on it.</summary>
    public async Task DeleteAsync() => await RunAsync("rdma", "link", "delete", _device);

    public async ValueTask DisposeAsync() => await RunAsync("ip", "link", "delete", Interface);

    /// <summary>A deletion that hangs is an error here; the process is killed, and the kernel goes on waiting.</summary>
    private static async Task RunAsync(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        using CancellationTokenSource deadline = new(Deadlines.Answer);
        try
        {
            await process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw new TimeoutException($"'{program} {string.Join(' ', arguments)}' does not return: a process still holds the device");
        }

        string errors = await process.StandardError.ReadToEndAsync(CancellationToken.None);
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)}: {errors}");
    }
}
