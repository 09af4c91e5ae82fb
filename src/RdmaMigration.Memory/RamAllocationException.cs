using RdmaMigration.Linux;

namespace RdmaMigration.Memory;

/// <summary>RAM that a peer asked for is refused, or the host cannot give it. The message names the block, the value and the bound.</summary>
internal sealed class RamAllocationException : MigrationException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="blockName">The RAM block that failed, or null if the whole list is at fault.</param>
    /// <param name="message">What was asked, and what the bound is.</param>
    /// <param name="inner">The failed call, where there is one.</param>
    public RamAllocationException(string? blockName, string message, Exception? inner = null)
        : base(FailureReason.Memory, message, inner) => BlockName = blockName;

    /// <summary>The RAM block that failed, or null if the whole list is at fault.</summary>
    public string? BlockName { get; }
}
