using RdmaMigration.Transport;

namespace RdmaMigration.Bench.Micro;

/// <summary>
/// A connection to a destination that answers at once, over a send queue whose writes are done when they are posted: what is left is what the page path
/// itself costs. It allocates nothing.
/// </summary>
internal sealed class ImmediateLink : IControlLink, IWriteLane, ILaneWait
{
    private const int RemoteKey = 7;
    private static readonly byte[] s_ready = Encode(ControlMessageType.Ready, []);
    private static readonly byte[] s_registered = Registered();
    private readonly Queue<byte[]> _arriving = new([s_ready]);
    private byte[] _message = [];

    public string Peer => "memory";

    public ReadOnlySpan<byte> Message => _message;

    public long PostedBytes { get; private set; }

    public long WrittenBytes => PostedBytes;

    public long Progress => PostedBytes;

    public bool TryWrite(nint address, uint length, uint localKey, ulong remoteAddress, uint remoteKey, bool last)
    {
        PostedBytes += length;
        return true;
    }

    public bool TryReceive() => _arriving.TryDequeue(out byte[]? message) && (_message = message).Length > 0;

    public bool Receive(TimeSpan timeout) => TryReceive();

    public void Send(ControlHeader header, ReadOnlySpan<byte> payload)
    {
        if (header.Type == ControlMessageType.RegisterRequest)
        {
            _arriving.Enqueue(s_registered);
        }

        _arriving.Enqueue(s_ready);
    }

    public void Park(long progress, TimeSpan timeout) => throw new InvalidOperationException("everything is done at once, and yet the page path waits");

    private static byte[] Registered()
    {
        byte[] payload = new byte[RegisterResult.Size];
        new RegisterResult(RemoteKey, BlockAddress: 0).Write(payload);
        return Encode(ControlMessageType.RegisterResult, payload);
    }

    private static byte[] Encode(ControlMessageType type, byte[] payload)
    {
        byte[] message = new byte[ControlHeader.Size + payload.Length];
        new ControlHeader((uint)payload.Length, type, 1).Write(message);
        payload.CopyTo(message, ControlHeader.Size);
        return message;
    }
}
