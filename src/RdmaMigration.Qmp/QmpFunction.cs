using System.Text.Json;

namespace RdmaMigration.Qmp;

/// <summary>
/// Runs a command: reads all arguments that it declares, calls <see cref="QmpArguments.End"/>, then acts. In band it runs on the main thread with the big lock
/// held. Out of band it runs on the session's reader, with the main loop possibly stuck, and must not need the lock.
/// </summary>
/// <param name="arguments">The arguments.</param>
/// <param name="session">The client.</param>
/// <returns>Writes the value of the reply's member "return"; called at once on the same thread. Null for {}.</returns>
/// <exception cref="QmpException">The command fails.</exception>
internal delegate Action<Utf8JsonWriter>? QmpFunction(QmpArguments arguments, QmpSession session);
