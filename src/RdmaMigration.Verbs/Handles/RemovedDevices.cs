using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs.Handles;

/// <summary>
/// Lets the kernel finish removing a device once nothing of this process is on it. librdmacm opens a device for the first id on it and keeps it open after
/// the last one, and when the host has no device left it never closes it; but <c>rdma link delete</c> and a driver's unload wait until every process has. So
/// the last id that leaves a removed device detaches the library's context from it.
/// </summary>
internal static unsafe class RemovedDevices
{
    private static readonly Lock s_gate = new();
    private static readonly HashSet<nint> s_ids = [];
    private static readonly HashSet<nint> s_removed = [];

    /// <summary>An id was made.</summary>
    public static void Enter(nint id)
    {
        lock (s_gate)
        {
            s_ids.Add(id);
        }
    }

    /// <summary>The device under an id is being removed.</summary>
    public static void Mark(rdma_cm_id* id)
    {
        lock (s_gate)
        {
            if (id->verbs != 0)
            {
                s_removed.Add(id->verbs);
            }
        }
    }

    /// <summary>A device failed or is being removed. Does nothing for a context that no id is on: its owner closes it.</summary>
    public static void Mark(nint context)
    {
        lock (s_gate)
        {
            if (IsUsed(context))
            {
                s_removed.Add(context);
            }
        }
    }

    /// <summary>An id is about to be destroyed; everything made from its device is gone.</summary>
    public static void Leave(nint id)
    {
        lock (s_gate)
        {
            s_ids.Remove(id);
            nint context = ((rdma_cm_id*)id)->verbs;
            if (context != 0 && s_removed.Contains(context) && !IsUsed(context))
            {
                s_removed.Remove(context);
                Shim.rdmamig_detach(context);
            }
        }
    }

    private static bool IsUsed(nint context)
    {
        foreach (nint id in s_ids)
        {
            if (((rdma_cm_id*)id)->verbs == context)
            {
                return true;
            }
        }

        return false;
    }
}
