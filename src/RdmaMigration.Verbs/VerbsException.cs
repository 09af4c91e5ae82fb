using RdmaMigration.Linux;

namespace RdmaMigration.Verbs;

/// <summary>
/// A verb failed. The message names the call and the error as C knows them, what the call was about, and what a person can do.
/// </summary>
public class VerbsException : IOException
{
    /// <summary>Creates the exception of a failed call.</summary>
    /// <param name="call">The C function, or the connection event, that failed.</param>
    /// <param name="errno">The positive error number.</param>
    /// <param name="detail">What the call was about, for example an address; null when there is nothing to add.</param>
    /// <param name="advice">What to do next; null for the general advice on this call and error.</param>
    public VerbsException(string call, int errno, string? detail = null, string? advice = null)
        : base(Compose(call, errno, detail, advice ?? VerbsAdvice.For(call, (Errno)errno)))
    {
        Call = call;
        Errno = errno;
    }

    /// <summary>The C function, or the connection event, that failed.</summary>
    public string Call { get; }

    /// <summary>The positive error number; zero when the failure has none.</summary>
    public int Errno { get; }

    /// <summary>The C name of <see cref="Errno"/>, for example ENOMEM.</summary>
    public string ErrnoName => NameOf(Errno);

    internal static string NameOf(int errno) => Enum.GetName((Errno)errno) ?? $"errno {errno}";

    private static string Compose(string call, int errno, string? detail, string? advice)
    {
        string message = errno == 0 ? call : $"{call}: {NameOf(errno)}";
        if (detail is not null)
        {
            message += $" ({detail})";
        }

        return advice is null ? message : $"{message}. {advice}";
    }
}
