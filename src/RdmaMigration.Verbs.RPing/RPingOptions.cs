using System.Net;

namespace RdmaMigration.Verbs.RPing;

/// <summary>What a run does.</summary>
internal sealed record RPingOptions(IPEndPoint EndPoint, int Size, int Count, bool Verify, bool Verbose, bool Persistent);
