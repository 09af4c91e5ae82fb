using System.Buffers;
using System.Diagnostics;
using System.Text.Json;
using RdmaMigration.Linux;
using RdmaMigration.Qmp;

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
    private readonly SemaphoreSlim _turn = new(1);
    private long _lastId;

    private DeviceModel(Process process) => _process = process;

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
        catch (Exception failed) when (failed is IOException or System.ComponentModel.Win32Exception or JsonException or QmpException)
        {
            model?.Dispose();
            throw new MigrationException(FailureReason.Unreachable, $"{emulator} did not start with this machine: {failed.Message}", failed);
        }
    }

    /// <summary>Ends QEMU.</summary>
    public void Dispose()
    {
        _process.Kill();
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
        using (JsonDocument greeting = ReadAsync().GetAwaiter().GetResult())
        {
            JsonElement version = greeting.RootElement.GetProperty("QMP").GetProperty("version").GetProperty("qemu");
            Version = new Version(
                version.GetProperty("major").GetInt32(), version.GetProperty("minor").GetInt32(), version.GetProperty("micro").GetInt32());
        }

        _ = Ask("qmp_capabilities");
        JsonElement names = Ask("query-commands");
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

    private JsonElement Ask(string command) => AskAsync(command, arguments: null).GetAwaiter().GetResult();

    private async Task<QmpFunction> ForwardAsync(string command, QmpArguments arguments, CancellationToken end)
    {
        JsonElement answer = await AskAsync(command, arguments.TakeUnchecked()).WaitAsync(end).ConfigureAwait(false);
        return (_, _) => answer.WriteTo;
    }

    /// <summary>One question at a time. An answer is read to its end, also when the client that asked is gone.</summary>
    /// <exception cref="QmpException">QEMU refuses, or has ended.</exception>
    private async Task<JsonElement> AskAsync(string command, JsonElement? arguments)
    {
        await _turn.WaitAsync().ConfigureAwait(false);
        try
        {
            long id = ++_lastId;
            Stream input = _process.StandardInput.BaseStream;
            await input.WriteAsync(Request(command, arguments, id)).ConfigureAwait(false);
            await input.FlushAsync().ConfigureAwait(false);
            while (true)
            {
                using JsonDocument line = await ReadAsync().ConfigureAwait(false);
                if (line.RootElement.TryGetProperty("id", out JsonElement answered) && answered.TryGetInt64(out long number) && number == id)
                {
                    return Answer(line.RootElement);
                }
            }
        }
        catch (Exception lost) when (lost is IOException or JsonException)
        {
            throw new QmpException($"{command}: the QEMU that answers for the machine's devices has ended");
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task<JsonDocument> ReadAsync() => await _process.StandardOutput.ReadLineAsync().ConfigureAwait(false) is { } line
        ? JsonDocument.Parse(line)
        : throw new EndOfStreamException("it has ended");

    private static JsonElement Answer(JsonElement line)
    {
        if (!line.TryGetProperty("error", out JsonElement error))
        {
            return line.GetProperty("return").Clone();
        }

        _ = Enum.TryParse(error.GetProperty("class").GetString(), out QmpErrorClass errorClass);
        throw new QmpException(errorClass, error.GetProperty("desc").GetString()!);
    }

    private static ReadOnlyMemory<byte> Request(string command, JsonElement? arguments, long id)
    {
        ArrayBufferWriter<byte> request = new();
        using Utf8JsonWriter writer = new(request);
        writer.WriteStartObject();
        writer.WriteString("execute", command);
        if (arguments is { } members)
        {
            writer.WritePropertyName("arguments");
            members.WriteTo(writer);
        }

        writer.WriteNumber("id", id);
        writer.WriteEndObject();
        writer.Flush();
        request.Write("\n"u8);
        return request.WrittenMemory;
    }
}
