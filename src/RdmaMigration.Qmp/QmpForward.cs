using System.Text.Json;

namespace RdmaMigration.Qmp;

/// <summary>Has a command answered by another process. Called on a session's task; the session answers nothing else meanwhile.</summary>
/// <param name="arguments">The arguments as the client sent them, valid until <paramref name="end"/> is cancelled; null for none.</param>
/// <param name="end">Cancelled when the session ends.</param>
internal delegate Task<QmpReply> QmpForward(JsonElement? arguments, CancellationToken end);
