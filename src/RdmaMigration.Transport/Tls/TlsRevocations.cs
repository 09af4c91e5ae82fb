using System.Formats.Asn1;
using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace RdmaMigration.Transport;

/// <summary>
/// Certificates that their authorities have revoked: the lists of a PEM file, as RFC 5280, section 5.1, lays them out. The file is as trusted as that of the
/// authorities beside it, so signatures are not checked.
/// </summary>
internal sealed class TlsRevocations
{
    private const string Label = "X509 CRL";

    private readonly HashSet<(string Issuer, BigInteger Serial)> _revoked = [];
    private readonly List<(string Issuer, DateTimeOffset Until)> _ends = [];

    private TlsRevocations()
    {
    }

    /// <summary>Reads the file.</summary>
    /// <exception cref="CryptographicException">It has no list, or one that cannot be read.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static TlsRevocations Load(string path)
    {
        TlsRevocations all = new();
        ReadOnlySpan<char> text = File.ReadAllText(path);
        bool isAny = false;
        while (PemEncoding.TryFind(text, out PemFields fields))
        {
            if (text[fields.Label].SequenceEqual(Label))
            {
                isAny = true;
                all.Add(Convert.FromBase64String(text[fields.Base64Data].ToString()));
            }

            text = text[fields.Location.End..];
        }

        return isAny ? all : throw new CryptographicException($"it has no block '{Label}'");
    }

    /// <summary>Why a certificate does not count; null when no list is against it.</summary>
    public string? WhyNot(X509Certificate2 certificate)
    {
        string issuer = Convert.ToHexString(certificate.IssuerName.RawData);
        BigInteger serial = new(certificate.SerialNumberBytes.Span, isUnsigned: true, isBigEndian: true);
        if (_revoked.Contains((issuer, serial)))
        {
            return $"the certificate '{certificate.Subject}' is revoked";
        }

        return _ends.Find(end => end.Issuer == issuer && end.Until < DateTimeOffset.UtcNow) is { Issuer: not null } old
            ? string.Create(CultureInfo.InvariantCulture, $"the revocation list of '{certificate.Issuer}' has expired on {old.Until:u}; install a newer one")
            : null;
    }

    private void Add(byte[] list)
    {
        try
        {
            AsnReader fields = new AsnReader(list, AsnEncodingRules.DER).ReadSequence().ReadSequence();
            if (fields.PeekTag() == Asn1Tag.Integer)
            {
                fields.ReadInteger();
            }

            fields.ReadEncodedValue();
            string issuer = Convert.ToHexString(fields.ReadEncodedValue().Span);
            ReadTime(fields);
            if (IsTime(fields))
            {
                _ends.Add((issuer, ReadTime(fields)));
            }

            if (!fields.HasData || fields.PeekTag() != Asn1Tag.Sequence)
            {
                return;
            }

            AsnReader entries = fields.ReadSequence();
            while (entries.HasData)
            {
                BigInteger serial = entries.ReadSequence().ReadInteger();
                _revoked.Add((issuer, serial));
            }
        }
        catch (AsnContentException malformed)
        {
            throw new CryptographicException($"its block '{Label}' is malformed: {malformed.Message}", malformed);
        }
    }

    private static bool IsTime(AsnReader fields) => fields.HasData && (fields.PeekTag() == Asn1Tag.UtcTime || fields.PeekTag() == Asn1Tag.GeneralizedTime);

    private static DateTimeOffset ReadTime(AsnReader fields) =>
        fields.PeekTag() == Asn1Tag.UtcTime ? fields.ReadUtcTime() : fields.ReadGeneralizedTime();
}
