using RdmaMigration.Linux;

namespace RdmaMigration.Verbs;

/// <summary>The file descriptor of a completion channel or an event channel.</summary>
internal static class PollableDescriptor
{
    /// <summary>Waits until the descriptor can be read. False when the time is up; an infinite or negative time never is.</summary>
    internal static bool Wait(int descriptor, TimeSpan timeout)
    {
        try
        {
            return Poll.Wait(descriptor, PollEvents.Readable, Deadline.After(timeout)) != PollEvents.None;
        }
        catch (LinuxException failed)
        {
            throw new VerbsException(failed.Call, (int)failed.Error);
        }
    }

    internal static void SetNonBlocking(int descriptor)
    {
        CallResult set = Descriptor.SetNonBlocking(descriptor);
        if (set.Failed)
        {
            throw new VerbsException("fcntl", (int)set.Error);
        }
    }
}
