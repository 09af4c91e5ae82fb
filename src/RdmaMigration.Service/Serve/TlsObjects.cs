using System.Text.Json;
using RdmaMigration.Linux;
using RdmaMigration.Qmp;
using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>
/// The objects that clients create for TLS: tls-creds-x509 names a directory with certificates, authz-simple a distinguished name. The parameters tls-creds and
/// tls-authz refer to them by id. Main thread.
/// </summary>
internal sealed class TlsObjects
{
    /// <summary>A script that leaks them must not exhaust the process's memory.</summary>
    private const int Maximum = 128;

    private const string X509 = "tls-creds-x509";
    private const string Simple = "authz-simple";

    private static readonly QmpMember s_id = new("id", QmpType.String);

    private static readonly QmpObject s_added = new(new QmpMember("qom-type", new QmpEnum(X509, Simple)), s_id)
    {
        Tag = "qom-type",
        Variants =
        [
            (X509, new QmpObject(
                QmpMember.Optional("dir", QmpType.String),
                QmpMember.Optional("endpoint", new QmpEnum("client", "server")),
                QmpMember.Optional("verify-peer", QmpType.Boolean),
                QmpMember.Optional("sanity-check", QmpType.Boolean))),
            (Simple, new QmpObject(new QmpMember("identity", QmpType.String))),
        ],
    };

    private readonly Dictionary<string, TlsObject> _objects = new(StringComparer.Ordinal);

    /// <summary>The rows of the table.</summary>
    public IReadOnlyList<QmpCommand> Rows =>
    [
        new("object-add", Add) { Arguments = s_added },
        new("object-del", Delete) { Arguments = new QmpObject(s_id) },
    ];

    /// <summary>The directory that a value of tls-creds stands for: an object's for its id, itself for a path that begins with '/'. Empty for no TLS.</summary>
    /// <param name="creds">The value.</param>
    /// <param name="endpoint">The side that uses it.</param>
    /// <exception cref="QmpException">There is no such object, or it is for the other side.</exception>
    public string Directory(string creds, TlsEndpoint endpoint)
    {
        if (creds is [] or ['/', ..])
        {
            return creds;
        }

        return _objects.GetValueOrDefault(creds) switch
        {
            TlsDirectory found when found.Endpoint == endpoint => found.Path,
            TlsDirectory => throw new QmpException($"Expected TLS credentials for a {Word(endpoint)} endpoint"),
            _ => throw new QmpException($"No TLS credentials with id '{creds}'"),
        };
    }

    /// <summary>The distinguished name that a value of tls-authz stands for: an object's for its id, itself for one with a '='. Empty for any.</summary>
    /// <exception cref="QmpException">There is no such object.</exception>
    public string Name(string authz) => authz.Length == 0 || authz.Contains('=', StringComparison.Ordinal)
        ? authz
        : (_objects.GetValueOrDefault(authz) as TlsIdentity)?.Name ?? throw new QmpException($"object '{authz}' not found");

    private static string Word(TlsEndpoint endpoint) => endpoint is TlsEndpoint.Server ? "server" : "client";

    private Action<Utf8JsonWriter>? Add(QmpArguments arguments, QmpSession session)
    {
        string id = arguments.RequiredString("id");
        TlsObject added = arguments.RequiredString("qom-type") == X509 ? ReadDirectory(arguments) : new TlsIdentity(arguments.RequiredString("identity"));
        arguments.End();
        if (_objects.ContainsKey(id))
        {
            throw new QmpException($"attempt to add duplicate property '{id}' to object (type 'container')");
        }

        if (_objects.Count == Maximum)
        {
            throw new QmpException($"there are {Maximum} objects already");
        }

        Check(added);
        _objects.Add(id, added);
        return null;
    }

    private Action<Utf8JsonWriter>? Delete(QmpArguments arguments, QmpSession session)
    {
        string id = arguments.RequiredString("id");
        arguments.End();
        return _objects.Remove(id) ? null : throw new QmpException($"object '{id}' not found");
    }

    private static TlsDirectory ReadDirectory(QmpArguments arguments)
    {
        string path = arguments.OptionalString("dir") ?? throw new QmpException("Parameter 'dir' is missing");
        string endpoint = arguments.OptionalString("endpoint") ?? "client";
        bool verifiesPeer = arguments.OptionalBoolean("verify-peer") ?? true;

        // What QEMU checks of its own certificate is always checked.
        _ = arguments.OptionalBoolean("sanity-check");
        if (!verifiesPeer)
        {
            throw new QmpException("Parameter 'verify-peer' must be true: rdmamig checks every certificate");
        }

        return new TlsDirectory(path, endpoint == "server" ? TlsEndpoint.Server : TlsEndpoint.Client);
    }

    /// <summary>The files are read again for each migration, so that a certificate can be renewed.</summary>
    private static void Check(TlsObject added)
    {
        try
        {
            if (added is TlsDirectory directory)
            {
                _ = TlsCredentials.Load(new TlsOptions { Directory = directory.Path }, directory.Endpoint);
            }
        }
        catch (MigrationException unusable)
        {
            throw new QmpException(unusable.Message);
        }
    }

    private abstract record TlsObject;

    private sealed record TlsDirectory(string Path, TlsEndpoint Endpoint) : TlsObject;

    private sealed record TlsIdentity(string Name) : TlsObject;
}
