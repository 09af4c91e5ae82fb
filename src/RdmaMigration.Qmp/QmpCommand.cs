using System.Text.Json;

namespace RdmaMigration.Qmp;

/// <summary>A row of the table of commands.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Run">The function.</param>
/// <param name="AllowsOob">It may run out of band.</param>
internal sealed record QmpCommand(string Name, QmpFunction Run, bool AllowsOob = false)
{
    /// <summary>Its arguments; null when another process checks them.</summary>
    public QmpObject? Arguments { get; init; } = QmpObject.Empty;

    /// <summary>The value that it returns.</summary>
    public QmpType Returns { get; init; } = QmpObject.Empty;

    /// <summary>
    /// Runs before the command on the client's task, reads the arguments, and may wait; what it returns runs in place of <see cref="Run"/>. Null for nothing to
    /// wait for.
    /// </summary>
    public Func<QmpArguments, CancellationToken, Task<QmpFunction>>? Prepare { get; private init; }

    /// <summary>
    /// Runs in place of <see cref="Run"/>, on the main thread with the big lock held. The reply is sent when the task has ended. Null for a command whose reply
    /// waits for nothing.
    /// </summary>
    public Func<QmpArguments, QmpSession, Task>? Begin { get; private init; }

    /// <summary>A command that waits, for a resolver for example, before it runs on the main loop. It is not allowed out of band.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="prepare">As <see cref="Prepare"/>. It must not use what the big lock protects.</param>
    public static QmpCommand Waiting(string name, Func<QmpArguments, CancellationToken, Task<QmpFunction>> prepare) =>
        new(name, (_, _) => throw new InvalidOperationException($"{name} was not prepared")) { Prepare = prepare };

    /// <summary>
    /// A command that returns {} when what it began on the main loop has succeeded. Further requests of its client wait; those of other clients, and those out
    /// of band, do not. It is not allowed out of band.
    /// </summary>
    /// <param name="name">Its name.</param>
    /// <param name="begin">As <see cref="Begin"/>. The command fails with the task's <see cref="QmpException"/>.</param>
    public static QmpCommand Deferred(string name, Func<QmpArguments, QmpSession, Task> begin) =>
        new(name, (_, _) => throw new InvalidOperationException($"{name} was not begun")) { Begin = begin };

    /// <summary>A command that takes no arguments and returns a value.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="returns">The value's type.</param>
    /// <param name="write">Writes the value.</param>
    /// <param name="allowsOob">It may run out of band.</param>
    public static QmpCommand Query(string name, QmpType returns, Action<Utf8JsonWriter> write, bool allowsOob = false) => new(
        name,
        (arguments, _) =>
        {
            arguments.End();
            return write;
        },
        allowsOob)
    {
        Returns = returns,
    };

    /// <summary>A command that takes no arguments and returns {}.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="act">The function.</param>
    /// <param name="allowsOob">It may run out of band.</param>
    public static QmpCommand Act(string name, Action act, bool allowsOob = false) => new(
        name,
        (arguments, _) =>
        {
            arguments.End();
            act();
            return null;
        },
        allowsOob);
}
