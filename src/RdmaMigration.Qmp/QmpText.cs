namespace RdmaMigration.Qmp;

/// <summary>One JSON text that a client sent, or the error in its place.</summary>
/// <param name="Json">The text, with double quotes only; null with an error. Its brackets match, but nothing else has been checked.</param>
/// <param name="Error">The description of the error; null with a text.</param>
/// <param name="IsLast">The client broke a limit: it gets the error, then the connection is closed.</param>
internal readonly record struct QmpText(byte[]? Json, string? Error, bool IsLast);
