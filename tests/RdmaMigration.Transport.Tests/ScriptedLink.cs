namespace RdmaMigration.Transport.Tests;

/// <summary>A control link over memory: hands out what the test scripted, remembers what was sent, and keeps the credit rule's books.</summary>
internal sealed class ScriptedLink(IEnumerable<byte[]> messages) : IControlLink
{
    private readonly Queue<byte[]> _messages = new(messages);
    private byte[] _message = [];

    public string Peer => "10.0.0.9:4711";

    public ReadOnlySpan<byte> Message => _message;

    /// <summary>The peer is gone: what had arrived is all there is.</summary>
    public bool IsLost { get; init; }

    /// <summary>The peer lives, and sends nothing after the script: a wait with a limit ends at once.</summary>
    public bool IsSilent { get; init; }

    public List<(ControlHeader Header, byte[] Payload)> Sent { get; } = [];

    public void Add(byte[] message) => _messages.Enqueue(message);

    public bool TryReceive() => _messages.Count > 0 && Receive(TimeSpan.Zero);

    public bool Receive(TimeSpan timeout)
    {
        if (!_messages.TryDequeue(out byte[]? next))
        {
            if (IsSilent && timeout != Timeout.InfiniteTimeSpan)
            {
                Thread.Sleep(timeout);
                return false;
            }

            throw Lost();
        }

        _message = next;
        return true;
    }

    public void Send(ControlHeader header, ReadOnlySpan<byte> payload)
    {
        if (IsLost)
        {
            throw Lost();
        }

        Sent.Add((header, payload.ToArray()));
    }

    private static ConnectionLostException Lost() => new(ConnectionLoss.Disconnected, "the script ends", 0);
}
