using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace RdmaMigration.Transport;

/// <summary>Distinguished names as people write them: <c>CN=source,O=Example</c>.</summary>
internal static class TlsNames
{
    /// <summary>Why a name cannot be read; null when it can.</summary>
    public static string? Malformed(string name)
    {
        try
        {
            return Parts(new X500DistinguishedName(name), reversed: false).Length > 0 ? null : "it has no part";
        }
        catch (CryptographicException malformed)
        {
            return malformed.Message;
        }
    }

    /// <summary>
    /// Whether a certificate's name has the same parts in the same order. Tools print the order of the certificate or its reverse, so both fit. The parts'
    /// encodings do not matter.
    /// </summary>
    public static bool Fits(string name, X500DistinguishedName certificate)
    {
        (string?, string?)[] wanted = Parts(new X500DistinguishedName(name), reversed: false);
        return wanted.SequenceEqual(Parts(certificate, reversed: false)) || wanted.SequenceEqual(Parts(certificate, reversed: true));
    }

    private static (string? Type, string? Value)[] Parts(X500DistinguishedName name, bool reversed) =>
        [.. name.EnumerateRelativeDistinguishedNames(reversed).Select(part => part.HasMultipleElements
            ? (null, Convert.ToHexString(part.RawData.Span))
            : (part.GetSingleElementType().Value, part.GetSingleElementValue()))];
}
