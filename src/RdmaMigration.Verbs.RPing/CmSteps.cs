namespace RdmaMigration.Verbs.RPing;

/// <summary>Waiting for the outcome of a connection manager's step.</summary>
internal static class CmSteps
{
    /// <summary>Waits for an event of the given type; anything else is a failure. The caller disposes it.</summary>
    internal static CmEvent Expect(this EventChannel channel, CmEventType expected)
    {
        CmEvent cmEvent = channel.GetEvent();
        if (cmEvent.Type == expected)
        {
            return cmEvent;
        }

        using (cmEvent)
        {
            throw cmEvent.ToException();
        }
    }
}
