using System.Globalization;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace RdmaMigration.Transport;

/// <summary>Decides whether one peer is trusted, and keeps the reason why not. The thread of the handshake calls it.</summary>
/// <param name="credentials">What this side trusts.</param>
/// <param name="hostname">The name that a destination's certificate must have; null for a source.</param>
internal sealed class TlsPeerCheck(TlsCredentials credentials, string? hostname)
{
    /// <summary>Why the peer is not trusted; null when it is, or has not been checked yet.</summary>
    public string? Refusal { get; private set; }

    /// <summary>As <see cref="RemoteCertificateValidationCallback"/>.</summary>
    public bool IsTrusted(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        Refusal = certificate is X509Certificate2 peer && chain is not null
            ? WhyNotChain(peer, chain, errors) ?? WhyNotName(peer, errors)
            : "it shows no certificate";
        return Refusal is null;
    }

    /// <summary>That a certificate is not valid yet, or no longer; null when it is valid now.</summary>
    public static string? OutOfDate(X509Certificate2 certificate)
    {
        DateTime now = DateTime.UtcNow;
        (DateTime from, DateTime until) = (certificate.NotBefore.ToUniversalTime(), certificate.NotAfter.ToUniversalTime());
        return now >= from && now <= until
            ? null
            : string.Create(
                CultureInfo.InvariantCulture,
                $"the certificate '{certificate.Subject}' {(now > until ? "has expired" : "is not valid yet")}: it is valid from {from:u} to {until:u}");
    }

    private string? WhyNotChain(X509Certificate2 peer, X509Chain chain, SslPolicyErrors errors)
    {
        foreach (X509ChainElement element in chain.ChainElements)
        {
            if (OutOfDate(element.Certificate) is { } outOfDate)
            {
                return outOfDate;
            }

            if (credentials.Revocations?.WhyNot(element.Certificate) is { } revoked)
            {
                return revoked;
            }
        }

        if (!errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors))
        {
            return null;
        }

        X509ChainStatusFlags all = chain.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (flags, status) => flags | status.Status);
        return (all & (X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain)) != 0
            ? $"no authority of {credentials.Authorities} has signed its certificate '{peer.Subject}', which is from '{peer.Issuer}'"
            : $"its certificate '{peer.Subject}': {string.Join("; ", chain.ChainStatus.Select(status => status.StatusInformation))}";
    }

    private string? WhyNotName(X509Certificate2 peer, SslPolicyErrors errors)
    {
        if (hostname is not null)
        {
            return errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch)
                ? $"its certificate is for {Names(peer)}, not for '{hostname}'; if that is the right destination, name it by --tls-hostname"
                : null;
        }

        return credentials.AuthorizedName is { } authorized && !TlsNames.Fits(authorized, peer.SubjectName)
            ? $"only '{authorized}' is authorized, and its certificate is for '{peer.Subject}'"
            : null;
    }

    private static string Names(X509Certificate2 peer)
    {
        string[] names =
        [
            .. peer.Extensions.OfType<X509SubjectAlternativeNameExtension>()
                .SelectMany(names => names.EnumerateDnsNames().Concat(names.EnumerateIPAddresses().Select(address => address.ToString()))),
        ];
        return names.Length > 0 ? string.Join(", ", names) : $"'{peer.Subject}'";
    }
}
