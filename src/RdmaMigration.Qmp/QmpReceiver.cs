using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using RdmaMigration.Linux;

namespace RdmaMigration.Qmp;

/// <summary>Reads a client's bytes and the file descriptors that come with them. One reader.</summary>
/// <param name="socket">Connected; not owned.</param>
internal sealed class QmpReceiver(Socket socket) : IDisposable
{
    private readonly List<SafeFileHandle> _received = [];
    private QmpDescriptors? _descriptors;
    private bool _isShared;

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
                Release();
                _descriptors = new QmpDescriptors(_received);
                _isShared = false;
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

    /// <summary>The descriptors for a request that has ended, which releases them; null for none.</summary>
    public QmpDescriptors? Share()
    {
        _isShared = true;
        return _descriptors?.Share();
    }

    /// <summary>The bytes that were read hold no further request. Descriptors that came without a request stay for the next one.</summary>
    public void EndRead()
    {
        if (_isShared)
        {
            Release();
        }
    }

    /// <summary>Closes descriptors that no request has.</summary>
    public void Dispose() => Release();

    private void Release()
    {
        _descriptors?.Release();
        _descriptors = null;
    }
}
