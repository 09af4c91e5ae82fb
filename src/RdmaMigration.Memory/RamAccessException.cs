using RdmaMigration.Linux;

namespace RdmaMigration.Memory;

/// <summary>The kernel refuses a call on the memory of a RAM block.</summary>
internal sealed class RamAccessException : MigrationException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="blockName">The RAM block.</param>
    /// <param name="what">What cannot be done, as a clause about the block.</param>
    /// <param name="call">The call.</param>
    /// <param name="error">The kernel's answer.</param>
    public RamAccessException(string blockName, string what, string call, Errno error)
        : base(FailureReason.Memory, $"RAM block '{blockName}': {what} ({call}): {error.Describe()}")
    {
        BlockName = blockName;
        Call = call;
        Error = error;
    }

    /// <summary>The RAM block.</summary>
    public string BlockName { get; }

    /// <summary>The call.</summary>
    public string Call { get; }

    /// <summary>The kernel's answer.</summary>
    public Errno Error { get; }
}
