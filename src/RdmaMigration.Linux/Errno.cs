using System.Runtime.InteropServices;

namespace RdmaMigration.Linux;

/// <summary>The kernel's error numbers that this project looks at, under their C names.</summary>
public enum Errno
{
#pragma warning disable CS1591 // errno(3) documents them.
    None = 0,
    EPERM = 1,
    ENOENT = 2,
    ESRCH = 3,
    EINTR = 4,
    EIO = 5,
    ENXIO = 6,
    EBADF = 9,
    EAGAIN = 11,
    ENOMEM = 12,
    EACCES = 13,
    EFAULT = 14,
    EBUSY = 16,
    EEXIST = 17,
    ENODEV = 19,
    ENOTDIR = 20,
    EISDIR = 21,
    EINVAL = 22,
    ENFILE = 23,
    EMFILE = 24,
    EFBIG = 27,
    ENOSPC = 28,
    ESPIPE = 29,
    EROFS = 30,
    EPIPE = 32,
    ENOSYS = 38,
    ENODATA = 61,
    EPROTO = 71,
    EPROTONOSUPPORT = 93,
    EOPNOTSUPP = 95,
    EAFNOSUPPORT = 97,
    EADDRINUSE = 98,
    EADDRNOTAVAIL = 99,
    ENETDOWN = 100,
    ENETUNREACH = 101,
    ECONNABORTED = 103,
    ECONNRESET = 104,
    ENOBUFS = 105,
    EISCONN = 106,
    ENOTCONN = 107,
    ETIMEDOUT = 110,
    ECONNREFUSED = 111,
    EHOSTDOWN = 112,
    EHOSTUNREACH = 113,
    EALREADY = 114,
    EINPROGRESS = 115,
    EDQUOT = 122,
#pragma warning restore CS1591
}

/// <summary>Error numbers as text.</summary>
public static class ErrnoText
{
    /// <summary>The C library's text, such as "No space left on device".</summary>
    public static string Text(this Errno errno) => Marshal.GetPInvokeErrorMessage((int)errno);

    /// <summary>The text and the number, such as "No space left on device (errno 28)".</summary>
    public static string Describe(this Errno errno) => $"{errno.Text()} (errno {(int)errno})";
}
