namespace RdmaMigration.Linux;

/// <summary>A system call failed where the caller cannot go on.</summary>
public sealed class LinuxException : IOException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="call">The call's name.</param>
    /// <param name="error">What it answered.</param>
    public LinuxException(string call, Errno error)
        : base($"{error.Text()} ({call}){Advice(error)}")
    {
        Call = call;
        Error = error;
    }

    /// <summary>The call's name.</summary>
    public string Call { get; }

    /// <summary>What it answered.</summary>
    public Errno Error { get; }

    private static string Advice(Errno error) => error switch
    {
        Errno.EMFILE => "; raise this process's limit of open files (ulimit -n, or LimitNOFILE of its unit)",
        Errno.ENFILE => "; raise this host's limit of open files (sysctl fs.file-max)",
        _ => "",
    };
}
