using Microsoft.Win32.SafeHandles;
using Tmds.Linux;

namespace RdmaMigration.Linux;

/// <summary>
/// Bytes of a UNIX domain socket with file descriptors beside them (SCM_RIGHTS of unix(7)). No call blocks: without bytes to read, or room for those to send,
/// it fails with EAGAIN. None throws; each is for any thread.
/// </summary>
public static unsafe class SocketMessage
{
    /// <summary>The most descriptors that one call receives. The kernel closes those above.</summary>
    public const int MostDescriptors = 16;

    /// <summary>
    /// Receives. The value is the bytes read; 0 at the end. One call never reads beyond the bytes that descriptors came with: these are its last ones.
    /// </summary>
    /// <param name="socket">The socket.</param>
    /// <param name="buffer">Takes the bytes.</param>
    /// <param name="descriptors">Takes the descriptors, which are close-on-exec and the caller's.</param>
    public static CallResult Receive(int socket, Span<byte> buffer, ICollection<SafeFileHandle> descriptors)
    {
        ArgumentNullException.ThrowIfNull(descriptors);
        nint* control = stackalloc nint[ControlWords(MostDescriptors)];
        fixed (byte* first = buffer)
        {
            iovec vector = new() { iov_base = first, iov_len = buffer.Length };
            msghdr message = new()
            {
                msg_iov = &vector,
                msg_iovlen = 1,
                msg_control = control,
                msg_controllen = ControlWords(MostDescriptors) * sizeof(nint),
            };
            CallResult received;
            do
            {
                received = CallResult.Of((nint)LibC.recvmsg(socket, &message, LibC.MSG_DONTWAIT | LibC.MSG_CMSG_CLOEXEC));
            }
            while (received.Error is Errno.EINTR);

            for (cmsghdr* header = received.Failed ? null : LibC.CMSG_FIRSTHDR(&message); header is not null; header = LibC.CMSG_NXTHDR(&message, header))
            {
                if (header->cmsg_level == LibC.SOL_SOCKET && header->cmsg_type == LibC.SCM_RIGHTS)
                {
                    int* numbers = (int*)LibC.CMSG_DATA(header);
                    long count = ((nint)header->cmsg_len - ((byte*)numbers - (byte*)header)) / sizeof(int);
                    for (long i = 0; i < count; i++)
                    {
                        descriptors.Add(new SafeFileHandle(numbers[i], ownsHandle: true));
                    }
                }
            }

            return received;
        }
    }

    /// <summary>Sends one or more bytes with one descriptor, which stays open here. The value is the bytes sent, which may be fewer than asked.</summary>
    public static CallResult Send(int socket, ReadOnlySpan<byte> bytes, int descriptor)
    {
        nint* control = stackalloc nint[ControlWords(1)];
        fixed (byte* first = bytes)
        {
            iovec vector = new() { iov_base = first, iov_len = bytes.Length };
            msghdr message = new()
            {
                msg_iov = &vector,
                msg_iovlen = 1,
                msg_control = control,
                msg_controllen = ControlWords(1) * sizeof(nint),
            };
            cmsghdr* header = (cmsghdr*)control;
            header->cmsg_level = LibC.SOL_SOCKET;
            header->cmsg_type = LibC.SCM_RIGHTS;
            header->cmsg_len = sizeof(cmsghdr) + sizeof(int);
            *(int*)LibC.CMSG_DATA(header) = descriptor;
            return CallResult.Of((nint)LibC.sendmsg(socket, &message, LibC.MSG_DONTWAIT | LibC.MSG_NOSIGNAL));
        }
    }

    /// <summary>CMSG_SPACE in words, to which the kernel aligns.</summary>
    private static int ControlWords(int descriptors) => (sizeof(cmsghdr) + (descriptors * sizeof(int)) + sizeof(nint) - 1) / sizeof(nint);
}
