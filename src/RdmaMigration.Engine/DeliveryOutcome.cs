using System.Runtime.ExceptionServices;

namespace RdmaMigration.Engine;

/// <summary>Whether a machine that was sent has arrived.</summary>
internal enum Arrival
{
    /// <summary>The destination has proved that it has the machine.</summary>
    Proved,

    /// <summary>The destination took everything, and its protocol cannot prove more.</summary>
    Unproved,

    /// <summary>The destination has reported that it failed, so it does not start the machine.</summary>
    Refused,

    /// <summary>It has not arrived, as far as this side knows.</summary>
    Failed,
}

/// <summary>How a delivery ended.</summary>
/// <param name="Arrival">Whether the machine has arrived.</param>
/// <param name="Failure">Why not.</param>
internal readonly record struct DeliveryOutcome(Arrival Arrival, Exception? Failure = null)
{
    /// <summary>Throws why the machine has not arrived, if it has not.</summary>
    public void ThrowIfFailed()
    {
        if (Failure is not null)
        {
            ExceptionDispatchInfo.Throw(Failure);
        }
    }
}

/// <summary>What becomes of a machine that was sent on.</summary>
internal enum MachineFate
{
    /// <summary>The destination has it.</summary>
    AtDestination,

    /// <summary>The destination took it without a proof; it is saved here too.</summary>
    AlsoSaved,

    /// <summary>The source learns of the failure and goes on with it.</summary>
    AtSource,

    /// <summary>Nobody else may have it any more: it is saved here.</summary>
    Saved,

    /// <summary>Nobody else may have it any more, and there is no place to save it.</summary>
    Unsaved,
}

/// <summary>Decides what becomes of a machine.</summary>
internal static class MachineFates
{
    /// <summary>What becomes of a machine that was sent on.</summary>
    /// <param name="arrival">How that ended.</param>
    /// <param name="sourceWaits">The source keeps its machine until it is told the result, and is there.</param>
    /// <param name="canSave">There is a place to save it.</param>
    public static MachineFate After(Arrival arrival, bool sourceWaits, bool canSave) => (arrival, sourceWaits, canSave) switch
    {
        (Arrival.Proved, _, _) or (Arrival.Unproved, _, false) => MachineFate.AtDestination,
        (Arrival.Unproved, _, true) => MachineFate.AlsoSaved,
        (_, true, _) => MachineFate.AtSource,
        (_, false, true) => MachineFate.Saved,
        (_, false, false) => MachineFate.Unsaved,
    };
}
