namespace RdmaMigration.Transport;

/// <summary>The way back: stream bytes from destination to source (protocol D.2). One thread at a time writes; the caller serialises.</summary>
public abstract class ReturnPathChannel
{
    /// <summary>Called before each write. The engine asserts here that the big lock is not held.</summary>
    public Action? BeforeIo { get; set; }

    /// <summary>Sends stream bytes and waits until the source's side has them.</summary>
    /// <param name="bytes">1 to 524,272 bytes.</param>
    /// <param name="timeout">The longest wait for the source to take them; over RDMA for its READY, and again for the acknowledgement.</param>
    /// <exception cref="TransportException">The source did not take them in time, broke the protocol, or the channel is lost.</exception>
    public abstract void Write(ReadOnlySpan<byte> bytes, TimeSpan timeout);
}
