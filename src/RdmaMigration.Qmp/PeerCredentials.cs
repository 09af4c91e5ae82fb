using System.Net.Sockets;
using System.Runtime.InteropServices;
using RdmaMigration.Linux;

namespace RdmaMigration.Qmp;

/// <summary>
/// A client's process and effective user when it called connect(2), as the kernel reports them. The layout is struct ucred of unix(7).
/// </summary>
/// <param name="Process">The process.</param>
/// <param name="User">Its user.</param>
/// <param name="Group">Its group.</param>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct PeerCredentials(int Process, uint User, uint Group)
{
    private const int SocketLevel = 1; // SOL_SOCKET
    private const int Credentials = 17; // SO_PEERCRED
    private const uint Root = 0;

    /// <summary>Of the other end of a UNIX domain socket.</summary>
    /// <exception cref="SocketException">It cannot be read.</exception>
    public static PeerCredentials Of(Socket socket)
    {
        PeerCredentials peer = default;
        socket.GetRawSocketOption(SocketLevel, Credentials, MemoryMarshal.AsBytes(new Span<PeerCredentials>(ref peer)));
        return peer;
    }

    /// <summary>The effective user of this process: the kernel makes it the owner of each socket that the process accepts.</summary>
    /// <param name="accepted">A socket that this process has accepted.</param>
    public static uint OwnerOf(Socket accepted) =>
        FileStatus.Of((int)accepted.Handle)?.Owner ?? throw new SocketException((int)SocketError.NotSocket);

    /// <summary>The user may give commands to a process of <paramref name="owner"/>.</summary>
    public bool MayCommand(uint owner) => User == owner || User == Root;

    /// <inheritdoc/>
    public override string ToString() => $"process {Process} of user {User}";
}
