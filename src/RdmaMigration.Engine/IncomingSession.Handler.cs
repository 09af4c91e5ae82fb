using System.Buffers.Binary;
using RdmaMigration.Memory;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <content>What the stream finds, on the receive thread.</content>
internal sealed partial class IncomingSession : IIncomingHandler
{
    /// <summary>How often room is looked for while RAM comes. It is looked for at the end of RAM in any case.</summary>
    private const long RoomCheckMilliseconds = 1000;

    private volatile bool _streamBegun;

    // By the coarse clock, which costs next to nothing: it is looked at after each message.
    private long _roomCheckedAt = Environment.TickCount64;
    private StreamConfiguration? _configuration;
    private readonly RepeatedPasses _repeatedPasses = new();
    private SwitchoverReply _switchoverReply;

    /// <inheritdoc/>
    public void OnConfiguration(StreamConfiguration configuration)
    {
        _streamBegun = true;
        _configuration = configuration;
        lock (Gate)
        {
            _machine = configuration.MachineType;
        }
    }

    /// <inheritdoc/>
    public RamBlockList OnRamBlocks(IReadOnlyList<RamBlockDescription> blocks)
    {
        _sink.Announce(_configuration!);

        // A machine that is captured or relayed does not run here.
        RamBlockList allocated = RamBlockList.Allocate(blocks, _options.Parameters.RamLimit()).AllowDiscardingZeros();
        lock (Gate)
        {
            _blocks = allocated;
            _ramTotal = (long)allocated.TotalLength;
            _arrival = _channel.Ram is { PinAll: true } ? new RamArrival(allocated) : null;
        }

        _channel.Ram?.SetBlocks(allocated);
        return allocated;
    }

    /// <inheritdoc/>
    public void OnRamStart() => _channel.RamBegins();

    /// <inheritdoc/>
    public void OnRamPart()
    {
        if (_switchoverReply is SwitchoverReply.WhenTheSourceWaits
            && _repeatedPasses.Count(TimeSpan.FromMilliseconds(Environment.TickCount64))
            && _returnPath is { } path)
        {
            path.SendSwitchoverAck();
            _switchoverReply = SwitchoverReply.Never;
        }
    }

    /// <inheritdoc/>
    public void OnCommand(MigrationCommand command, ReadOnlySpan<byte> payload)
    {
        switch (command)
        {
            case MigrationCommand.OpenReturnPath:
                ChannelOutput output = _channel.WaitForOutput(_options.Parameters.Get(MigrationParameters.ReturnPathTimeout))
                    ?? throw new ControlProtocolException($"OPEN_RETURN_PATH: {WhyNoReturnPath}");
                _returnPath = new ReturnPath(output, _options.Parameters.Get(MigrationParameters.ReportTimeout));
                _switchoverReply = SwitchoverReplies.For(_options.Parameters.Get(MigrationParameters.SwitchoverAck), _configuration?.MachineType);
                if (_switchoverReply is SwitchoverReply.AtOnce)
                {
                    _returnPath.SendSwitchoverAck();
                }

                break;
            case MigrationCommand.Ping:
                ReturnPath path = _returnPath ?? throw new ControlProtocolException($"PING: the source {_channel.Peer} has opened no return path");
                path.SendPong(BinaryPrimitives.ReadUInt32BigEndian(payload));
                break;
            case MigrationCommand.EnableColo:
                throw new ControlProtocolException($"ENABLE_COLO: the source {_channel.Peer} asks for COLO, which a capture cannot give; turn x-colo off there");
            default:
                // The others say what the rest of the stream looks like, which the stream's reader has noted.
                break;
        }
    }

    /// <inheritdoc/>
    public void OnHook()
    {
        if (_channel.Ram is null)
        {
            throw new ControlProtocolException($"HOOK: the source {_channel.Peer} announces pages by RDMA, which cannot come by {_channel.Device}");
        }

        CheckRoomIfDue();
    }

    /// <inheritdoc/>
    public void OnRamComplete() => CheckRoom();

    private string WhyNoReturnPath => _channel.Ram is null
        ? $"{_channel.Peer} has no way back to the source; turn return-path off there, or migrate over a socket"
        : $"the source {_channel.Peer} has opened no second connection";

    private void CheckRoomIfDue()
    {
        if (_blocks is not null && Environment.TickCount64 - _roomCheckedAt >= RoomCheckMilliseconds)
        {
            CheckRoom();
            _roomCheckedAt = Environment.TickCount64;
        }
    }

    private void CheckRoom()
    {
        // Refused here, the source still runs its machine; refused after its last byte, it may have let go of it.
        _sink.CheckRoom(_blocks!.ResidentBytes);
    }
}
