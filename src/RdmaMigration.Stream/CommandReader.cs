using System.Buffers.Binary;

namespace RdmaMigration.Streams;

/// <summary>Reads commands: their code, their length, which must be the code's, and their payload.</summary>
/// <param name="reader">The stream.</param>
/// <param name="target">Takes them.</param>
/// <param name="takesPackages">A package is read, not refused.</param>
internal sealed class CommandReader(SourceReader reader, IStreamTarget target, bool takesPackages)
{
    private const int MaxPayload = 16;

    /// <summary>SWITCHOVER_START was among them.</summary>
    public bool HasSwitchoverStart { get; private set; }

    /// <summary>OPEN_RETURN_PATH was among them: the source waits for the destination's result before it closes.</summary>
    public bool HasReturnPath { get; private set; }

    /// <summary>Reads what follows the type byte.</summary>
    /// <param name="at">Offset in the stream of the type byte.</param>
    /// <returns>The length of the package that follows; null if the command is another one.</returns>
    public uint? Read(ulong at)
    {
        reader.Step = "command";
        ushort code = reader.ReadUInt16();
        ushort length = reader.ReadUInt16();
        MigrationCommand command = (MigrationCommand)code;
        Check(command, length, at);
        Span<byte> payload = stackalloc byte[MaxPayload];
        payload = payload[..length];
        reader.ReadExactly(payload);
        HasSwitchoverStart |= command == MigrationCommand.SwitchoverStart;
        HasReturnPath |= command == MigrationCommand.OpenReturnPath;
        target.OnCommand(command, payload);
        return command == MigrationCommand.Packaged ? BinaryPrimitives.ReadUInt32BigEndian(payload) : null;
    }

    private void Check(MigrationCommand command, ushort length, ulong at)
    {
        switch (command)
        {
            case MigrationCommand.OpenReturnPath or MigrationCommand.EnableColo or MigrationCommand.SwitchoverStart when length == 0:
            case MigrationCommand.Ping when length == 4:
            case MigrationCommand.PostcopyAdvise when length is 0 or MaxPayload:
                return;
            case MigrationCommand.Packaged when reader.IsInPackage:
                throw reader.Malformed(at, "a package within a package");
            case MigrationCommand.Packaged when takesPackages && length == sizeof(uint):
                return;
            case MigrationCommand.Packaged when takesPackages:
            case MigrationCommand.OpenReturnPath or MigrationCommand.EnableColo or MigrationCommand.SwitchoverStart:
            case MigrationCommand.Ping or MigrationCommand.PostcopyAdvise:
                throw reader.Malformed(at, $"command {command} has a payload of {length} bytes, which is wrong for this command");
            case MigrationCommand.PostcopyListen or MigrationCommand.PostcopyRun or MigrationCommand.PostcopyRamDiscard:
            case MigrationCommand.Packaged or MigrationCommand.PostcopyResume or MigrationCommand.ReceiveBitmap:
                throw reader.Unsupported(
                    at, $"command {command}: the source switched to postcopy, which rdmamig does not support; migrate without migrate-start-postcopy");
            default:
                throw reader.Malformed(at, $"unknown command {(ushort)command}");
        }
    }
}
