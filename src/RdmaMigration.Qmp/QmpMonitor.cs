using System.Collections.Immutable;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;

namespace RdmaMigration.Qmp;

/// <summary>The table of commands and the clients that use it. Commands run on the main loop, in the order in which a client sends them.</summary>
internal sealed class QmpMonitor
{
    private const string Negotiate = "qmp_capabilities";
    private const string QueryCommands = "query-commands";
    private const string QueryVersion = "query-version";
    private const string QuerySchema = "query-qmp-schema";

    /// <summary>The place in the metric of the big lock's hold time.</summary>
    private const string Site = "qmp";

    private static readonly QmpObject s_version = new(
        new("qemu", new QmpObject(new("major", QmpType.Integer), new("minor", QmpType.Integer), new("micro", QmpType.Integer))),
        new("package", QmpType.String));

    private readonly MainLoop _loop;
    private readonly Dictionary<string, QmpCommand> _commands = new(StringComparer.Ordinal);
    private readonly IReadOnlyList<QmpEventType> _events;
    private readonly ILogger _log;
    private ImmutableArray<QmpSession> _sessions = [];

    /// <param name="loop">Runs the commands.</param>
    /// <param name="version">Writes the value of query-version, which the greeting has too.</param>
    /// <param name="commands">The table, without <see cref="OwnCommands"/>.</param>
    /// <param name="events">The events that are sent.</param>
    /// <param name="log">The log.</param>
    public QmpMonitor(
        MainLoop loop, Action<Utf8JsonWriter> version, IEnumerable<QmpCommand> commands, IReadOnlyList<QmpEventType> events, ILogger log)
    {
        _loop = loop;
        _events = events;
        _log = log;
        Greeting = QmpLine.Greeting(version);
        QmpCommand[] own =
        [
            new(Negotiate, NegotiateCapabilities)
            {
                Arguments = new QmpObject(QmpMember.Optional("enable", new QmpArray(new QmpEnum(QmpCapabilities.Oob)))),
            },
            QmpCommand.Query(QueryCommands, new QmpArray(new QmpObject(new QmpMember("name", QmpType.String))), WriteCommands),
            QmpCommand.Query(QuerySchema, QmpSchema.Type, writer => QmpSchema.Write(writer, _commands.Values, _events)),
            QmpCommand.Query(QueryVersion, s_version, version),
        ];
        QmpCommand[] given = [.. commands];

        // A device model describes its own commands.
        foreach (QmpCommand command in given.Concat(own.Where(command => command.Name != QuerySchema || given.All(other => other.Name != QuerySchema))))
        {
            _commands.Add(command.Name, command);
        }
    }

    /// <summary>The commands that every monitor answers itself. It also answers query-qmp-schema, unless the table has it.</summary>
    public static IReadOnlyList<string> OwnCommands { get; } = [Negotiate, QueryCommands, QueryVersion];

    /// <summary>Clients that are served now. Any thread.</summary>
    public int Clients => _sessions.Length;

    /// <summary>The first line of a session.</summary>
    public byte[] Greeting { get; }

    /// <summary>Serves a client to its end. It gets events from its negotiation on.</summary>
    public async Task ServeAsync(QmpSession session)
    {
        ImmutableInterlocked.Update(ref _sessions, static (sessions, added) => sessions.Add(added), session);
        QmpLog.Connected(_log, session.Peer);
        await session.RunAsync().ConfigureAwait(false);
        ImmutableInterlocked.Update(ref _sessions, static (sessions, ended) => sessions.Remove(ended), session);
        QmpLog.Disconnected(_log, session.Peer);
    }

    /// <summary>Sends an event to every client that has negotiated. Any thread; does not block.</summary>
    /// <param name="name">The event.</param>
    /// <param name="write">Writes its data; null for none.</param>
    public void Broadcast(string name, Action<Utf8JsonWriter>? write = null)
    {
        ImmutableArray<QmpSession> sessions = _sessions;
        if (!sessions.IsEmpty)
        {
            byte[] line = QmpLine.Event(name, write, DateTimeOffset.UtcNow);
            foreach (QmpSession session in sessions)
            {
                session.SendEvent(line);
            }
        }
    }

    /// <summary>
    /// Answers a request in band. The command runs in one bottom half, and the reply is sent in a later one, so that it comes behind the events that the
    /// command has scheduled. Lines are made outside of the big lock. No thread waits meanwhile.
    /// </summary>
    /// <exception cref="OperationCanceledException">The session or the main loop has ended.</exception>
    public async Task AnswerAsync(QmpRequest request, QmpSession session, CancellationToken end)
    {
        QmpReply reply;
        try
        {
            (QmpCommand command, QmpArguments arguments) = Find(request, session);
            reply = await ExecuteAsync(command, arguments, session, end).ConfigureAwait(false);
        }
        catch (QmpException error)
        {
            reply = QmpReply.Fail(error);
        }

        byte[] line = QmpLine.Reply(reply, request.Id);
        Task sent = _loop.InvokeAsync(
            () =>
            {
                session.SendReply(line);
                return true;
            },
            Site);
        if (sent.IsCanceled)
        {
            // The command has ended the main loop.
            session.SendReply(line);
        }
        else
        {
            await sent.WaitAsync(end).ConfigureAwait(false);
        }
    }

    /// <summary>Runs a command out of band, on this thread.</summary>
    public QmpReply RunOutOfBand(QmpRequest request, QmpSession session)
    {
        try
        {
            (QmpCommand command, QmpArguments arguments) = Find(request, session);
            return Run(command.Name, command.Run, arguments, session);
        }
        catch (QmpException error)
        {
            return QmpReply.Fail(error);
        }
    }

    private (QmpCommand Command, QmpArguments Arguments) Find(QmpRequest request, QmpSession session)
    {
        (string name, JsonElement? arguments) = request.Read(session.IsOobEnabled);
        if (!session.IsNegotiated && name != Negotiate)
        {
            throw new QmpException(QmpErrorClass.CommandNotFound, $"Expecting capabilities negotiation with '{Negotiate}'");
        }

        if (!_commands.TryGetValue(name, out QmpCommand? command))
        {
            throw new QmpException(QmpErrorClass.CommandNotFound, $"The command {name} has not been found");
        }

        return request.IsOutOfBand && !command.AllowsOob
            ? throw new QmpException($"The command {name} does not support OOB")
            : (command, new QmpArguments(arguments, command.Arguments));
    }

    /// <summary>Executes a command in band: what it waits for before, the command on the main loop, and what its reply waits for.</summary>
    private async Task<QmpReply> ExecuteAsync(QmpCommand command, QmpArguments arguments, QmpSession session, CancellationToken end)
    {
        try
        {
            QmpFunction run = command.Prepare is { } prepare ? await prepare(arguments, end).ConfigureAwait(false) : command.Run;
            Task begun = Task.CompletedTask;
            if (command.Begin is { } begin)
            {
                run = (given, client) =>
                {
                    begun = begin(given, client);
                    return null;
                };
            }

            QmpReply reply = await _loop.InvokeAsync(() => Run(command.Name, run, arguments, session), Site).WaitAsync(end).ConfigureAwait(false);
            await begun.WaitAsync(end).ConfigureAwait(false);
            return reply;
        }
        catch (Exception defect) when (defect is not (QmpException or OperationCanceledException))
        {
            QmpLog.CommandDefect(_log, command.Name, session.Peer, defect);
            throw new QmpException(defect.Message);
        }
    }

    private QmpReply Run(string name, QmpFunction run, QmpArguments arguments, QmpSession session)
    {
        try
        {
            Action<Utf8JsonWriter>? write = run(arguments, session);
            return arguments.HasEnded ? QmpReply.Return(write) : throw new InvalidOperationException($"{name} does not check its arguments");
        }
        catch (QmpException error)
        {
            return QmpReply.Fail(error);
        }
        catch (Exception defect)
        {
            QmpLog.CommandDefect(_log, name, session.Peer, defect);
            return QmpReply.Fail(new QmpException(defect.Message));
        }
    }

    private static Action<Utf8JsonWriter>? NegotiateCapabilities(QmpArguments arguments, QmpSession session)
    {
        IReadOnlyList<string> enabled = arguments.OptionalStrings("enable") ?? [];
        arguments.End();
        if (session.IsNegotiated)
        {
            throw new QmpException(QmpErrorClass.CommandNotFound, "Capabilities negotiation is already complete, command ignored");
        }

        session.Negotiate(enabled.Count > 0);
        return null;
    }

    private void WriteCommands(Utf8JsonWriter writer)
    {
        writer.WriteStartArray();
        foreach (string name in _commands.Keys)
        {
            writer.WriteStartObject();
            writer.WriteString("name", name);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }
}
