namespace RdmaMigration.Transport;

/// <summary>
/// A migration address as QEMU writes it: <c>rdma:HOST:PORT</c>, <c>tcp:HOST:PORT</c>, <c>unix:PATH</c>, <c>file:PATH[,offset=N]</c>, <c>exec:COMMAND</c>
/// or <c>fd:N</c>. <see cref="object.ToString"/> gives that text.
/// </summary>
internal abstract record MigrationUri
{
    /// <summary>What stands before the first colon.</summary>
    public abstract string Scheme { get; }

    /// <summary>RAM goes by RDMA, beside the stream.</summary>
    public virtual bool IsRdma => false;

    /// <summary>Reads an address of any kind.</summary>
    /// <exception cref="FormatException">The text has another form; the message names the part and what is expected.</exception>
    public static MigrationUri Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        return text[..Math.Max(colon, 0)] switch
        {
            RdmaUri.SchemeName => RdmaUri.Parse(text),
            TcpUri.SchemeName => TcpUri.Parse(text),
            UnixUri.SchemeName => UnixUri.Parse(text),
            FileUri.SchemeName => FileUri.Parse(text),
            ExecUri.SchemeName => ExecUri.Parse(text),
            DescriptorUri.SchemeName => DescriptorUri.Parse(text),
            _ => throw new FormatException($"'{text}' is not a migration address; expected {RdmaUri.Form}, {TcpUri.Form}, {UnixUri.Form}, {FileUri.Form}, "
                + $"{ExecUri.Form} or {DescriptorUri.Form}"),
        };
    }

    /// <summary>What stands behind the scheme's colon.</summary>
    /// <exception cref="FormatException">The text has another scheme.</exception>
    private protected static string AfterScheme(string text, string scheme, string form)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.StartsWith(scheme, StringComparison.Ordinal) && text.Length > scheme.Length && text[scheme.Length] == ':'
            ? text[(scheme.Length + 1)..]
            : throw new FormatException($"'{text}' does not start with '{scheme}:'; expected {form}");
    }
}
