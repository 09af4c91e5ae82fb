using System.Text.Json;

namespace RdmaMigration.Qmp;

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
