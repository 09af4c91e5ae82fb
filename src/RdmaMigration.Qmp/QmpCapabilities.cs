namespace RdmaMigration.Qmp;

/// <summary>What a client may enable with qmp_capabilities.</summary>
internal static class QmpCapabilities
{
    /// <summary>Out-of-band execution.</summary>
    public const string Oob = "oob";
}
