using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace RdmaMigration.Testing;

/// <summary>An authority of its own, and the directories that it fills as QEMU's tls-creds-x509 reads them.</summary>
public sealed class TlsAuthority : IDisposable
{
    private static readonly DateTimeOffset s_now = DateTimeOffset.UtcNow;

    private readonly WorkDirectory _work;
    private readonly string _name;
    private readonly X509Certificate2 _certificate;
    private int _directories;

    /// <param name="work">Where directories are made.</param>
    /// <param name="name">Its common name.</param>
    public TlsAuthority(WorkDirectory work, string name = "authority")
    {
        _work = work;
        _name = name;
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        _certificate = request.CreateSelfSigned(s_now.AddDays(-1), s_now.AddDays(1));
    }

    /// <summary>Makes a directory for both ends, with certificates of this authority.</summary>
    /// <param name="host">The name or address in the server's certificate.</param>
    /// <param name="client">The client's distinguished name.</param>
    /// <param name="isExpired">The certificates expired an hour ago.</param>
    /// <param name="trusts">The authority whose certificate is in ca-cert.pem; null for this one.</param>
    public string Issue(string host = "127.0.0.1", string client = "CN=source,O=Tests", bool isExpired = false, TlsAuthority? trusts = null)
    {
        string directory = Directory.CreateDirectory(_work.File($"tls-{_name}-{++_directories}")).FullName;
        File.WriteAllText(Path.Combine(directory, "ca-cert.pem"), (trusts ?? this)._certificate.ExportCertificatePem());
        SubjectAlternativeNameBuilder names = new();
        if (IPAddress.TryParse(host, out IPAddress? address))
        {
            names.AddIpAddress(address);
        }
        else
        {
            names.AddDnsName(host);
        }

        Write(directory, "server", $"CN={host}", names.Build(), "1.3.6.1.5.5.7.3.1", isExpired);
        Write(directory, "client", client, names: null, "1.3.6.1.5.5.7.3.2", isExpired);
        return directory;
    }

    /// <summary>Revokes one of a directory's certificates, "client" or "server", at another directory.</summary>
    public void Revoke(string directory, string end, string at)
    {
        using X509Certificate2 revoked = X509CertificateLoader.LoadCertificateFromFile(Path.Combine(directory, $"{end}-cert.pem"));
        CertificateRevocationListBuilder list = new();
        list.AddEntry(revoked);
        byte[] signed = list.Build(_certificate, 1, s_now.AddDays(1), HashAlgorithmName.SHA256);
        File.WriteAllText(Path.Combine(at, "ca-crl.pem"), PemEncoding.WriteString("X509 CRL", signed));
    }

    public void Dispose() => _certificate.Dispose();

    private void Write(string directory, string end, string subject, X509Extension? names, string purpose, bool isExpired)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new(subject, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(purpose)], false));
        if (names is not null)
        {
            request.CertificateExtensions.Add(names);
        }

        using X509Certificate2 certificate = request.Create(
            _certificate, s_now.AddHours(-2), isExpired ? s_now.AddHours(-1) : s_now.AddHours(2), RandomNumberGenerator.GetBytes(8));
        File.WriteAllText(Path.Combine(directory, $"{end}-cert.pem"), certificate.ExportCertificatePem());
        File.WriteAllText(Path.Combine(directory, $"{end}-key.pem"), key.ExportPkcs8PrivateKeyPem());
    }
}
