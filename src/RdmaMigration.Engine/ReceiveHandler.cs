using System.Buffers.Binary;
using System.Diagnostics;
using RdmaMigration.Memory;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>What an incoming stream finds, on the migration's thread: the machine, its RAM, commands, control phases, the big lock.</summary>
internal sealed class ReceiveHandler(
    MigrationContext context,
    ParameterSet parameters,
    IncomingChannel channel,
    IncomingSource source,
    IMachine machine,
    IMachineSink sink,
    ReceiveFigures figures) : IIncomingHandler
{
    /// <summary>How often room is looked for while RAM comes. It is looked for at the end of RAM in any case.</summary>
    private const long RoomCheckMilliseconds = 1000;

    private readonly RepeatedPasses _repeatedPasses = new();
    private SwitchoverReply _switchoverReply;
    private bool _isAnnouncing;
    private long _announcedAt;

    // By the coarse clock, which costs next to nothing: it is read after each message.
    private long _roomCheckedAt = Environment.TickCount64;

    /// <inheritdoc/>
    public void OnConfiguration(StreamConfiguration configuration)
    {
        machine.Configure(configuration);
        figures.OnMachine(configuration.MachineType);
    }

    /// <summary>The time since this side last kept the source waiting: a relay connects to its destination, which may take a while. Any thread.</summary>
    public TimeSpan SinceHeldUp => Volatile.Read(ref _isAnnouncing) ? TimeSpan.Zero
        : Volatile.Read(ref _announcedAt) is not 0 and long at ? Stopwatch.GetElapsedTime(at)
        : TimeSpan.MaxValue;

    /// <inheritdoc/>
    public RamBlockList OnRamBlocks(IReadOnlyList<RamBlockDescription> blocks)
    {
        Volatile.Write(ref _isAnnouncing, true);
        sink.Announce(machine.Configuration!);
        Volatile.Write(ref _announcedAt, Stopwatch.GetTimestamp());
        Volatile.Write(ref _isAnnouncing, false);
        RamBlockList ram = machine.AllocateRam(blocks);
        figures.OnRam(ram, machine.IsRamFresh);
        channel.Ram?.SetBlocks(ram);
        return ram;
    }

    /// <inheritdoc/>
    public void OnRamStart() => channel.RamBegins();

    /// <inheritdoc/>
    public void OnRamPart()
    {
        if (_switchoverReply is SwitchoverReply.WhenTheSourceWaits
            && _repeatedPasses.Count(TimeSpan.FromMilliseconds(Environment.TickCount64))
            && source.WaitsForResult)
        {
            source.AcknowledgeSwitchover();
            _switchoverReply = SwitchoverReply.Never;
        }
    }

    /// <inheritdoc/>
    public void OnSectionHeader(in SectionHeader header)
    {
        if (header.Type is SectionType.Start or SectionType.Full)
        {
            context.Trace.SectionOpened(header.Id, header.Name, header.InstanceId, header.Version);
        }
        else
        {
            context.Trace.SectionContinued(header.Id);
        }
    }

    /// <inheritdoc/>
    public void OnPackageReceived(int length) => context.Trace.PackageReceived(length);

    /// <inheritdoc/>
    public void OnPackageEnd(bool isLoaded) => context.Trace.PackageEnd(isLoaded);

    /// <summary>On the main thread, as everything that holds the lock.</summary>
    public void WithBigLock(BigLockState state, Action<BigLockState> step)
    {
        context.Lock.Assert(state);
        context.OnMain(
            () =>
            {
                context.Lock.Assert(BigLockState.Held);
                context.Cancellation.ThrowIfCancellationRequested();
                step(BigLockState.Held);
                return true;
            },
            "decode");
        context.Lock.Assert(state);
    }

    /// <inheritdoc/>
    public void OnCommand(MigrationCommand command, ReadOnlySpan<byte> payload)
    {
        context.Trace.Command(command, payload.Length);
        switch (command)
        {
            case MigrationCommand.OpenReturnPath:
                source.OpenReturnPath(parameters.Get(MigrationParameters.ReturnPathTimeout), parameters.Get(MigrationParameters.ReportTimeout));
                _switchoverReply = SwitchoverReplies.For(parameters.Get(MigrationParameters.SwitchoverAck), machine.Configuration?.MachineType);
                if (_switchoverReply is SwitchoverReply.AtOnce)
                {
                    source.AcknowledgeSwitchover();
                }

                break;
            case MigrationCommand.Ping:
                source.Answer(BinaryPrimitives.ReadUInt32BigEndian(payload));
                break;
            case MigrationCommand.Packaged:
                context.Trace.Package(BinaryPrimitives.ReadUInt32BigEndian(payload));
                break;
            case MigrationCommand.EnableColo:
                throw new ControlProtocolException(
                    $"ENABLE_COLO: the source {source.Peer} asks for COLO, which rdmamig does not support; turn x-colo off there");
            default:
                // The others say what the rest of the stream looks like, which the stream's reader has noted.
                break;
        }
    }

    /// <inheritdoc/>
    public void OnHook()
    {
        if (channel.Ram is null)
        {
            throw new ControlProtocolException($"HOOK: the source {source.Peer} announces pages by RDMA, which {channel.Device} cannot carry");
        }

        CheckRoomIfDue();
    }

    /// <inheritdoc/>
    public void OnRamComplete() => CheckRoom();

    /// <summary>Looks for room if it is time. After each read.</summary>
    public void CheckRoomIfDue()
    {
        if (machine.Ram is not null && Environment.TickCount64 - _roomCheckedAt >= RoomCheckMilliseconds)
        {
            CheckRoom();
            _roomCheckedAt = Environment.TickCount64;
        }
    }

    private void CheckRoom()
    {
        // Refused here, the source still runs its machine; refused after its last byte, it may have deleted the machine.
        sink.CheckRoom(machine.Ram!.ResidentBytes);
    }
}
