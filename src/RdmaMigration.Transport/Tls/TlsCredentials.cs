using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>The side of a TLS connection, which decides the names of the files.</summary>
internal enum TlsEndpoint
{
    /// <summary>The destination of a migration.</summary>
    Server,

    /// <summary>The source.</summary>
    Client,
}

/// <summary>This side's certificate and the authorities that it trusts, from a directory with the file names of QEMU's tls-creds-x509. Any thread.</summary>
internal sealed class TlsCredentials
{
    private const string AuthoritiesFile = "ca-cert.pem";
    private const string RevocationsFile = "ca-crl.pem";

    private readonly SslStreamCertificateContext? _own;
    private readonly X509Certificate2Collection _authorities;
    private readonly TlsOptions _options;

    private TlsCredentials(TlsOptions options, TlsEndpoint endpoint)
    {
        string word = endpoint is TlsEndpoint.Server ? "server" : "client";
        _options = options;
        Authorities = Path.Combine(options.Directory, AuthoritiesFile);
        _authorities = Read(Authorities, ReadAll);
        string certificate = Path.Combine(options.Directory, $"{word}-cert.pem");
        string key = Path.Combine(options.Directory, $"{word}-key.pem");

        // As in QEMU, a client may have none. The destination decides whether it takes it.
        if (endpoint is TlsEndpoint.Server || File.Exists(certificate) || File.Exists(key))
        {
            _own = Read(certificate, path => ReadOwn(path, key));
        }

        string revocations = Path.Combine(options.Directory, RevocationsFile);
        Revocations = File.Exists(revocations) ? Read(revocations, TlsRevocations.Load) : null;
    }

    /// <summary>The file of the authorities, for messages.</summary>
    public string Authorities { get; }

    /// <summary>Certificates that are no longer valid; null where there is no list.</summary>
    public TlsRevocations? Revocations { get; }

    /// <summary>The distinguished name that a source must have; null for any.</summary>
    public string? AuthorizedName => _options.AuthorizedName;

    /// <summary>Reads the files.</summary>
    /// <exception cref="ConnectFailedException">
    /// A file is missing or cannot be used, this side's certificate is not valid now, the authorized name cannot be read, or the host has no OpenSSL. The
    /// message names the file.
    /// </exception>
    public static TlsCredentials Load(TlsOptions options, TlsEndpoint endpoint)
    {
        if (!OpenSsl.IsInstalled)
        {
            throw Unusable($"this host has no OpenSSL ({OpenSsl.Libraries[0]}); install it ('rdmamig doctor' prints the command)");
        }

        if (options.AuthorizedName is { } name && TlsNames.Malformed(name) is { } malformed)
        {
            throw Unusable($"'{name}' is no distinguished name such as CN=source,O=Example: {malformed}");
        }

        return new TlsCredentials(options, endpoint);
    }

    /// <summary>What the destination's handshake needs.</summary>
    public SslServerAuthenticationOptions ForServer(TlsPeerCheck check) => new()
    {
        ServerCertificateContext = _own,
        ClientCertificateRequired = true,
        CertificateChainPolicy = Policy(),
        RemoteCertificateValidationCallback = check.IsTrusted,
        AllowRenegotiation = false,
        AllowTlsResume = false,

        // In TLS 1.3 OpenSSL sends session tickets behind the handshake, and .NET cannot turn them off. A QEMU without a return path never reads them, so its
        // close would reset the connection and discard the end of the stream.
        EnabledSslProtocols = SslProtocols.Tls12,
    };

    /// <summary>What the source's handshake needs.</summary>
    public SslClientAuthenticationOptions ForClient(TlsPeerCheck check, string hostname) => new()
    {
        TargetHost = hostname,
        ClientCertificateContext = _own,
        CertificateChainPolicy = Policy(),
        RemoteCertificateValidationCallback = check.IsTrusted,
        AllowRenegotiation = false,
        AllowTlsResume = false,
    };

    /// <summary>Only the directory's authorities count, and nothing is looked up on the network.</summary>
    private X509ChainPolicy Policy()
    {
        X509ChainPolicy policy = new()
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        policy.CustomTrustStore.AddRange(_authorities);
        return policy;
    }

    private static X509Certificate2Collection ReadAll(string path)
    {
        X509Certificate2Collection all = [];
        all.ImportFromPemFile(path);
        return all.Count > 0 ? all : throw Unusable($"'{path}' has no certificate");
    }

    private static SslStreamCertificateContext ReadOwn(string path, string key)
    {
        X509Certificate2 own = X509Certificate2.CreateFromPemFile(path, key);
        if (TlsPeerCheck.OutOfDate(own) is { } outOfDate)
        {
            throw Unusable($"'{path}': {outOfDate}");
        }

        // What follows the first certificate leads from it to an authority.
        X509Certificate2Collection chain = ReadAll(path);
        chain.RemoveAt(0);
        return SslStreamCertificateContext.Create(own, chain, offline: true);
    }

    private static T Read<T>(string path, Func<string, T> read)
    {
        try
        {
            return read(path);
        }
        catch (Exception failed) when (failed is CryptographicException or UnauthorizedAccessException or ArgumentException
            or (IOException and not MigrationException))
        {
            throw Unusable($"'{path}' cannot be used: {failed.Message}", failed);
        }
    }

    private static ConnectFailedException Unusable(string what, Exception? inner = null) => new(FailureReason.Policy, $"TLS: {what}", inner);
}
