namespace RdmaMigration.Transport;

/// <summary>The time that the peer may take to register all RAM of a machine, beyond the time that it may take to answer.</summary>
internal static class RegistrationTime
{
    /// <summary>Bytes a second that a slow host still registers, with the pages that it has to clear first (PROTOCOL.md, Registration).</summary>
    private const double LeastBytesPerSecond = 256 << 20;

    /// <summary>The time for this much RAM.</summary>
    public static TimeSpan Of(ulong bytes) => TimeSpan.FromSeconds(bytes / LeastBytesPerSecond);
}
