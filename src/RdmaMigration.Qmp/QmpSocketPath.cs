using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using RdmaMigration.Linux;

namespace RdmaMigration.Qmp;

/// <summary>
/// Listens at a path in the file system. Only this user can open the socket's file, from its first moment. .NET removes the file when the socket is disposed.
/// </summary>
internal static class QmpSocketPath
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Clients that connect while none is accepted.</summary>
    private const int Backlog = 16;

    /// <summary>Listens. The socket of a process that has ended is replaced.</summary>
    /// <exception cref="MigrationException">The path cannot be listened at; the message says what to do.</exception>
    public static Socket Listen(string path)
    {
        try
        {
            UnixDomainSocketEndPoint address = new(path);
            try
            {
                return Listen(address);
            }
            catch (SocketException taken) when (taken.SocketErrorCode is SocketError.AddressAlreadyInUse && IsAbandoned(path, address))
            {
                File.Delete(path);
                return Listen(address);
            }
        }
        catch (Exception failed) when (failed is SocketException or ArgumentException or IOException or UnauthorizedAccessException)
        {
            throw new MigrationException(FailureReason.Unreachable, $"cannot listen for QMP clients on '{path}': {Explain(path, failed)}", failed);
        }
    }

    private static Socket Listen(UnixDomainSocketEndPoint address)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            // The kernel gives the file the socket's own mode, so there is no moment in which others can connect, and umask stays as it is.
            using SafeFileHandle descriptor = new(socket.Handle, ownsHandle: false);
            File.SetUnixFileMode(descriptor, OwnerOnly);
            socket.Bind(address);
            socket.Listen(Backlog);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>
    /// No process has the socket any more. A datagram socket cannot connect to one of streams, so a process that listens is not disturbed: the kernel refuses
    /// for the wrong type while the socket lives, and the connection when it is gone.
    /// </summary>
    private static bool IsAbandoned(string path, UnixDomainSocketEndPoint address)
    {
        using Socket probe = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        try
        {
            probe.Connect(address);
            return false;
        }
        catch (SocketException refused)
        {
            return refused.SocketErrorCode is SocketError.ConnectionRefused && FileStatus.Named(path) is { Type: FileStatus.Socket };
        }
    }

    private static string Explain(string path, Exception failed) => failed switch
    {
        SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse } => FileStatus.Named(path) is { Type: not FileStatus.Socket }
            ? "the file exists and is not a socket; choose another path"
            : "another process listens there; stop that process, or choose another path",
        ArgumentOutOfRangeException => "the path is empty or too long for a UNIX domain socket (107 bytes); choose another path",
        SocketException { SocketErrorCode: SocketError.AccessDenied } => "this user may not create the file; choose another path",
        _ when !Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path))) => "the directory does not exist; create it first",
        _ => failed.Message,
    };
}
