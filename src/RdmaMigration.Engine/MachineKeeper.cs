using RdmaMigration.Streams;

namespace RdmaMigration.Engine;

/// <summary>
/// Keeps a machine that arrives in the memory of this process. A source without a return path has ended its machine when it has sent the last byte, so no stop
/// ends the keeping of such a machine: it exists nowhere else.
/// </summary>
/// <param name="arriving">The machine.</param>
/// <param name="keep">Takes the machine, and owns it from then on.</param>
/// <param name="context">The migration.</param>
/// <param name="source">The source.</param>
internal sealed class MachineKeeper(CapturedMachine arriving, Action<KeptMachine> keep, MigrationContext context, IncomingSource source) : IMachineSink
{
    public void Begin()
    {
    }

    public void Announce(StreamConfiguration configuration)
    {
    }

    public void CheckRoom(ulong ramBytes)
    {
    }

    public void Take(IMachine machine)
    {
        if (source.WaitsForResult)
        {
            context.State.Decide();
        }
        else
        {
            _ = context.State.TryDecide(isFinal: true);
        }

        keep(arriving.HandOver());
    }

    public void AfterFailure()
    {
    }

    public void Interrupt(string reason)
    {
    }

    public string? Remark(bool isStopped) => null;

    public MigrationInfo Describe(MigrationInfo info) => info;

    public void Dispose()
    {
    }
}
