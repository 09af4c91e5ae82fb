namespace RdmaMigration.Testing;

/// <summary>How a source stalls.</summary>
public enum Stall
{
    /// <summary>It sends nothing more, as a process that is stopped by a signal.</summary>
    Silent,

    /// <summary>What it sends stays in the link.</summary>
    CutLink,

    /// <summary>It sends one byte a second.</summary>
    Trickle,
}
