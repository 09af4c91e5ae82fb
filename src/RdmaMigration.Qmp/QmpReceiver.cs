using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using RdmaMigration.Linux;

namespace RdmaMigration.Qmp;

/// <summary>Reads a client's bytes and the file descriptors that come with them. One reader.</summary>
/// <param name="socket">Connected; not owned.</param>
internal sealed class QmpReceiver(Socket socket) : IDisposable
{
    private readonly List<SafeFileHandle> _received = [];

    /// <summary>The descriptors for the request that ends next; null for none.</summary>
    public QmpDescriptors? Descriptors { get; private set; }

    /// <summary>Waits for bytes. Returns 0 at the end.</summary>
    /// <exception cref="SocketException">The client is gone.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public async ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken end)
    {
        while (true)
        {
            // .NET cannot receive descriptors: it only waits.
            await socket.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None, end).ConfigureAwait(false);
            CallResult received = SocketMessage.Receive((int)socket.Handle, buffer.Span, _received);
            if (_received.Count > 0)
            {
                Forget();
                Descriptors = new QmpDescriptors(_received);
                _received.Clear();
            }

            if (!received.Failed)
            {
                return (int)received.Value;
            }

            if (received.Error is not Errno.EAGAIN)
            {
                throw new IOException($"recvmsg: {received.Error.Text()}");
            }
        }
    }

    /// <summary>The bytes that the descriptors came with hold no further request.</summary>
    public void Forget()
    {
        Descriptors?.Release();
        Descriptors = null;
    }

    /// <summary>Closes descriptors that no request has.</summary>
    public void Dispose() => Forget();
}
