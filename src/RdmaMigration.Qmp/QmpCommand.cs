using System.Text.Json;

namespace RdmaMigration.Qmp;

/// <summary>
/// Runs a command: reads the arguments, calls <see cref="QmpArguments.End"/>, then acts. In band it runs on the main thread with the big lock held. Out of band
/// it runs on the session's reader, with the main loop possibly stuck, and must not need the lock.
/// </summary>
/// <param name="arguments">The arguments.</param>
/// <param name="session">The client.</param>
/// <returns>Writes the value of the reply's member "return"; called at once on the same thread. Null for {}.</returns>
/// <exception cref="QmpException">The command fails.</exception>
internal delegate Action<Utf8JsonWriter>? QmpFunction(QmpArguments arguments, QmpSession session);

/// <summary>A row of the table of commands.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Run">The function.</param>
/// <param name="AllowsOob">It may run out of band.</param>
internal sealed record QmpCommand(string Name, QmpFunction Run, bool AllowsOob = false)
{
    /// <summary>A command that takes no arguments and returns a value.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="write">Writes the value.</param>
    /// <param name="allowsOob">It may run out of band.</param>
    public static QmpCommand Query(string name, Action<Utf8JsonWriter> write, bool allowsOob = false) => new(
        name,
        (arguments, _) =>
        {
            arguments.End();
            return write;
        },
        allowsOob);

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
