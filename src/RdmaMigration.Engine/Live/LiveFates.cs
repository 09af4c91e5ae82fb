namespace RdmaMigration.Engine;

/// <summary>What becomes of a machine that runs and was to be sent.</summary>
internal enum LiveFate
{
    /// <summary>It was never stopped.</summary>
    StillHere,

    /// <summary>It is started again here.</summary>
    BackHere,

    /// <summary>The destination has it, as far as its protocol can say.</summary>
    AtDestination,

    /// <summary>The destination may have started it, so it stays stopped here.</summary>
    Unknown,
}

/// <summary>Decides what becomes of a machine that runs.</summary>
internal static class LiveFates
{
    /// <summary>What becomes of the machine.</summary>
    /// <param name="arrival">How the delivery ended.</param>
    /// <param name="hasStopped">The machine was asked to stop here.</param>
    /// <param name="mayHaveStarted">The destination may have everything that it needs to start it.</param>
    public static LiveFate After(Arrival arrival, bool hasStopped, bool mayHaveStarted) => arrival switch
    {
        Arrival.Proved or Arrival.Unproved => LiveFate.AtDestination,
        _ when !hasStopped => LiveFate.StillHere,
        Arrival.Refused => LiveFate.BackHere,
        _ when !mayHaveStarted => LiveFate.BackHere,
        _ => LiveFate.Unknown,
    };
}
