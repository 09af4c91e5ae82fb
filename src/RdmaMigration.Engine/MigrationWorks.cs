using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>Puts together the works of migrations: where a machine comes from, and where it goes.</summary>
/// <param name="connect">Opens the channels to destinations.</param>
internal sealed class MigrationWorks(Func<OutgoingOptions, CancellationToken, OutgoingChannel> connect)
{
    /// <summary>Sends a capture.</summary>
    public IMigrationWork Send(MigrationContext context, string path, OutgoingOptions options) =>
        Send(context, new CaptureOrigin(path, options.Parameters, context.Cancellation), options);

    /// <summary>Sends a machine that is kept, with its own run state if none is given.</summary>
    public IMigrationWork Send(MigrationContext context, KeptMachine machine, string? runState, OutgoingOptions options) =>
        Send(context, new KeptOrigin(machine, runState), options);

    /// <summary>Sends a machine that runs. Unless the options rule that out there is a return path: only with one is a failure known.</summary>
    public IMigrationWork Send(MigrationContext context, ILiveMachine machine, OutgoingOptions options)
    {
        ParameterSet parameters = options.Parameters;
        OutgoingOptions provable = parameters.IsSet(MigrationParameters.ReturnPath)
            ? options
            : options with { Parameters = parameters.With(MigrationParameters.ReturnPath, true) };
        return new LiveSendWork(context, provable, machine, new Delivery(provable, connect, context));
    }

    /// <summary>Receives a machine.</summary>
    /// <param name="context">The migration.</param>
    /// <param name="port">Where the source came in.</param>
    /// <param name="channel">To the source.</param>
    /// <param name="keep">Takes a machine that is kept, on the migration's thread.</param>
    /// <param name="isLast">The process ends after this migration.</param>
    public ReceiveWork Receive(MigrationContext context, SourcePort port, IncomingChannel channel, Action<KeptMachine> keep, bool isLast)
    {
        ParameterSet parameters = port.Options.Parameters;
        IncomingSource source = new(channel);
        if (port.Options.Target is LiveTarget live)
        {
            ArrivingMachine arriving = new(live.Machine);
            return Work(arriving, new MachineStarter(live.Machine, arriving, context));
        }

        CapturedMachine captured = new(parameters.RamLimit());
        return Work(captured, port.Options.Target switch
        {
            CaptureTarget capture => new CaptureSaver(capture, context, source),
            RelayTarget relay => new MachineRelay(relay, new Delivery(relay.Outgoing, connect, context), context, source, port.File),
            KeepTarget => new MachineKeeper(captured, keep, context, source),
            _ => throw new InvalidOperationException($"no machine goes to {port.Options.Target}"),
        });

        ReceiveWork Work(IMachine machine, IMachineSink sink) => new(context, parameters, channel, source, machine, sink) { IsLast = isLast };
    }

    private SendWork Send(MigrationContext context, IMachineOrigin origin, OutgoingOptions options) =>
        new(context, origin, options, new Delivery(options, connect, context));
}
