using System.Text.Json;

namespace RdmaMigration.Qmp;

/// <summary>A row of the table of commands.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Run">The function.</param>
/// <param name="AllowsOob">It may run out of band.</param>
internal sealed record QmpCommand(string Name, QmpFunction Run, bool AllowsOob = false)
{
    /// <summary>Runs the command outside of the main loop, instead of <see cref="Run"/>; null for most commands.</summary>
    public QmpForward? Forward { get; init; }

    /// <summary>A command that another process answers. It runs in band, and not on the main loop.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="forward">Has it answered.</param>
    public static QmpCommand Forwarded(string name, QmpForward forward) => new(
        name,
        (_, _) => throw new InvalidOperationException($"{name} does not run on the main loop"))
    {
        Forward = forward,
    };

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
