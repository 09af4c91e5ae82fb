using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using RdmaMigration.Engine;
using RdmaMigration.Testing;

namespace RdmaMigration.Qmp.Tests;

/// <summary>A main loop on a thread of its own, a monitor with a few commands, and a listener.</summary>
internal sealed class RunningMonitor : IAsyncDisposable
{
    private static readonly QmpArray s_instances = new(new QmpObject(new QmpMember("type", QmpType.String)));

    private readonly WorkDirectory _directory = new();
    private readonly Thread _main;

    public RunningMonitor()
    {
        Monitor = new QmpMonitor(Loop, WriteVersion, Commands(), [new QmpEventType("STOP", QmpObject.Empty)], Log);
        Path = _directory.File("qmp");
        Listener = QmpListener.Listen(Path, Monitor, Log);
        _main = new Thread(Loop.Run) { Name = "main", IsBackground = true };
        _main.Start();
    }

    public MainLoop Loop { get; } = new();

    public LogLines Log { get; } = new();

    public QmpMonitor Monitor { get; }

    public QmpListener Listener { get; }

    public string Path { get; }

    /// <summary>The command "hang" waits for this on the main thread.</summary>
    public ManualResetEventSlim Released { get; } = new();

    /// <summary>The command "wait" waits for this beside the main thread, and so does the reply of "begin".</summary>
    public TaskCompletionSource Awaited { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<RawClient> ConnectAsync() => RawClient.ConnectAsync(Path);

    public async Task<RawClient> NegotiateAsync(bool isOob = false)
    {
        RawClient client = await ConnectAsync();
        await client.NegotiateAsync(isOob);
        return client;
    }

    /// <summary>The main loop has ended.</summary>
    public void WaitForEnd() => _main.Join();

    /// <summary>Another client gets an answer.</summary>
    public async Task AssertAnswersAsync()
    {
        await using RawClient client = await NegotiateAsync();
        await client.SendAsync("""{"execute":"query-status","id":"next"}""");
        Assert.Equal("next", (await client.ReadAsync()).GetProperty("id").GetString());
    }

    public async ValueTask DisposeAsync()
    {
        Released.Set();
        Loop.Quit();
        _main.Join();
        await Listener.DisposeAsync();
        Released.Dispose();
        _directory.Dispose();
    }

    private static void WriteVersion(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteStartObject("qemu");
        writer.WriteNumber("micro", 0);
        writer.WriteNumber("minor", 1);
        writer.WriteNumber("major", 0);
        writer.WriteEndObject();
        writer.WriteString("package", "test");
        writer.WriteEndObject();
    }

    private static void WriteStatus(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("status", "prelaunch");
        writer.WriteBoolean("running", false);
        writer.WriteEndObject();
    }

    private static void WriteInstances(Utf8JsonWriter writer)
    {
        writer.WriteStartArray();
        writer.WriteEndArray();
    }

    private IEnumerable<QmpCommand> Commands() =>
    [
        QmpCommand.Query("query-status", QmpType.Any, WriteStatus),
        QmpCommand.Query("query-yank", s_instances, WriteInstances, allowsOob: true),
        QmpCommand.Act("stop", () => Loop.Schedule(() => Monitor.Broadcast("STOP"))),
        QmpCommand.Act("hang", Released.Wait),
        QmpCommand.Waiting("wait", async (arguments, end) =>
        {
            bool fails = arguments.OptionalBoolean("fails") ?? false;
            arguments.End();
            await Awaited.Task.WaitAsync(end);
            return fails ? throw new InvalidDataException("it broke") : (_, _) =>
            {
                Loop.Lock.AssertHeld();
                return null;
            };
        }) with
        {
            Arguments = new QmpObject(QmpMember.Optional("fails", QmpType.Boolean)),
        },
        QmpCommand.Deferred("begin", (arguments, _) =>
        {
            arguments.End();
            Loop.Lock.AssertHeld();
            Loop.Schedule(() => Monitor.Broadcast("STOP"));
            return Awaited.Task;
        }),
        QmpCommand.Act("fail", () => throw new InvalidDataException("it broke")),
        QmpCommand.Act("quit", () =>
        {
            Loop.Schedule(() => Monitor.Broadcast("SHUTDOWN"));
            Loop.Quit();
        }),
        QmpCommand.Query("write-nothing", QmpType.Any, _ => { }),
        new("ignore-arguments", (_, _) => null),
        new("migrate-set-capabilities", (arguments, _) =>
        {
            foreach (QmpArguments capability in arguments.RequiredObjects("capabilities"))
            {
                capability.RequiredString("capability");
                capability.RequiredBoolean("state");
            }

            arguments.End();
            return null;
        })
        {
            Arguments = new QmpObject(new QmpMember(
                "capabilities", new QmpArray(new QmpObject(new("capability", QmpType.String), new("state", QmpType.Boolean))))),
        },
        new("yank", (arguments, _) =>
        {
            arguments.RequiredObjects("instances");
            arguments.End();
            return null;
        }, AllowsOob: true)
        {
            Arguments = new QmpObject(new QmpMember("instances", s_instances)),
        },
        new("take", (arguments, session) =>
        {
            arguments.End();
            using SafeFileHandle? taken = session.TakeDescriptor();
            int count = taken is null ? 0 : 1;
            return writer => writer.WriteNumberValue(count);
        }),
        new("flood", (arguments, _) =>
        {
            long events = arguments.RequiredInteger("events");
            arguments.End();
            for (long pass = 1; pass <= events; pass++)
            {
                long number = pass;
                Monitor.Broadcast("MIGRATION_PASS", writer =>
                {
                    writer.WriteStartObject();
                    writer.WriteNumber("pass", number);
                    writer.WriteEndObject();
                });
            }

            return null;
        })
        {
            Arguments = new QmpObject(new QmpMember("events", QmpType.Integer)),
        },
    ];
}
