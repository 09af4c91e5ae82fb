using System.Diagnostics;
using System.Text.Json;
using Nerdbank.Streams;
using RdmaMigration.Linux;
using RdmaMigration.Qmp;
using RdmaMigration.Qmp.Client;

namespace RdmaMigration.Service;

/// <summary>
/// A real QEMU with the machine's own command line, which waits for a migration that never comes. It answers the questions about devices that a client asks of
/// the machine: its CPUs, disks and character devices are those that the machine has in a QEMU. It never runs, and opens no disk for writing.
/// </summary>
internal sealed class DeviceModel : IDisposable
{
    /// <summary>Set in the environment of a real QEMU, so that a program in its place that leads back to rdmamig is noticed.</summary>
    public const string Marker = "RDMAMIG_QEMU";

    private readonly Process _process;
    private QmpClient? _monitor;
    private volatile bool _hasEnded;

    private DeviceModel(Process process) => _process = process;

    /// <summary>True once a command got no answer because QEMU has ended. Any thread.</summary>
    public bool HasEnded => _hasEnded;

    /// <summary>Its version, for the shapes of the monitor.</summary>
    public Version Version { get; private set; } = new();

    /// <summary>The commands that it answers.</summary>
    public IReadOnlyList<QmpCommand> Commands { get; private set; } = [];

    /// <summary>
    /// Starts QEMU, and returns when it answers. Main thread: QEMU is killed when the thread that starts it ends, so that it ends with this process, however
    /// that ends. Other descriptors than the command line's are closed in it.
    /// </summary>
    /// <param name="emulator">QEMU's path.</param>
    /// <param name="arguments">The machine.</param>
    /// <exception cref="MigrationException">It does not start; it has written the reason to stderr.</exception>
    public static DeviceModel Start(string emulator, EmulatorArguments arguments)
    {
        CloseOthersOnExec(arguments.Descriptors);
        ProcessStartInfo start = new("setpriv", ["--pdeathsig", "KILL", "--", emulator, .. arguments.DeviceModel])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        start.Environment[Marker] = "1";
        DeviceModel? model = null;
        try
        {
            model = new DeviceModel(Process.Start(start)!);
            model.Negotiate();
            return model;
        }
        catch (Exception failed) when (failed is System.ComponentModel.Win32Exception or QmpClientException or QmpCommandException)
        {
            model?.Dispose();
            throw new MigrationException(FailureReason.Unreachable, $"{emulator} did not start with this machine: {failed.Message}", failed);
        }
    }

    /// <summary>Ends QEMU.</summary>
    public void Dispose()
    {
        _process.Kill();
        _monitor?.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _process.Dispose();
    }

    /// <summary>A descriptor that QEMU does not know would stay open in it: the other end would not see that this process has closed it.</summary>
    private static void CloseOthersOnExec(IReadOnlySet<int> used)
    {
        foreach (string path in Directory.EnumerateFileSystemEntries("/proc/self/fd"))
        {
            int descriptor = int.Parse(Path.GetFileName(path), System.Globalization.CultureInfo.InvariantCulture);
            if (descriptor >= Descriptor.FirstOwn && !used.Contains(descriptor))
            {
                _ = Descriptor.SetCloseOnExec(descriptor);
            }
        }
    }

    private void Negotiate()
    {
        Stream connection = FullDuplexStream.Splice(_process.StandardOutput.BaseStream, _process.StandardInput.BaseStream);
        _monitor = QmpClient.NegotiateAsync(
            "the device model", connection, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan, CancellationToken.None).GetAwaiter().GetResult();
        Version = Version.Parse(_monitor.Version);
        JsonElement names = _monitor.ExecuteAsync("query-commands").GetAwaiter().GetResult();
        Commands =
        [
            .. names.EnumerateArray().Select(command => command.GetProperty("name").GetString()!).Where(DeviceCommands.IsForwarded)
                .Select(name => QmpCommand.Waiting(name, (arguments, end) => ForwardAsync(name, arguments, end)) with
                {
                    Arguments = null,
                    Returns = QmpType.Any,
                }),
        ];
    }

    private async Task<QmpFunction> ForwardAsync(string command, QmpArguments arguments, CancellationToken end)
    {
        JsonElement? members = arguments.TakeUnchecked();
        try
        {
            JsonElement answer = await _monitor!.ExecuteAsync(command, members is { } given ? Write(given) : null, end).ConfigureAwait(false);
            return (_, _) => answer.WriteTo;
        }
        catch (QmpCommandException refused)
        {
            _ = Enum.TryParse(refused.ErrorClass, out QmpErrorClass errorClass);
            throw new QmpException(errorClass, refused.Description);
        }
        catch (QmpClientException)
        {
            _hasEnded = true;
            throw new QmpException($"{command}: the QEMU that answers for the machine's devices has ended");
        }
    }

    private static Action<Utf8JsonWriter> Write(JsonElement members) => json =>
    {
        foreach (JsonProperty member in members.EnumerateObject())
        {
            member.WriteTo(json);
        }
    };
}
