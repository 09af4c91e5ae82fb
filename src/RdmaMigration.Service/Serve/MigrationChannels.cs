using System.Net;
using System.Net.Sockets;
using RdmaMigration.Engine;
using RdmaMigration.Qmp;
using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>Reads where a migration goes or comes from out of the arguments "uri" and "channels" of migrate and migrate-incoming.</summary>
internal static class MigrationChannels
{
    /// <summary>Reads the address. Exactly one of the two arguments must be there.</summary>
    /// <param name="arguments">The command's.</param>
    /// <param name="takesChannels">The command has "channels", as since QEMU 8.2.</param>
    /// <param name="side">migrate or migrate-incoming: their errors differ.</param>
    /// <exception cref="QmpException">There is none, or rdmamig has no such channel.</exception>
    public static MigrationUri Read(QmpArguments arguments, bool takesChannels, MigrationSide side)
    {
        if (!takesChannels)
        {
            return Parse(arguments.RequiredString("uri"));
        }

        string? uri = arguments.OptionalString("uri");
        IReadOnlyList<QmpArguments> channels = arguments.OptionalObjects("channels") ?? [];
        return (uri, channels) switch
        {
            ({ } text, []) => Parse(text),
            (null, [QmpArguments only]) => ReadChannel(only),
            (null, [_, _, ..]) => throw new QmpException(
                side is MigrationSide.Outgoing ? "Channel list has more than one main entry" : "Channel list must have only one entry, for type 'main'"),
            _ => throw new QmpException("need either 'uri' or 'channels' argument"),
        };
    }

    private static MigrationUri ReadChannel(QmpArguments channel)
    {
        if (channel.RequiredString("channel-type") is var type && type != "main")
        {
            throw new QmpException($"Parameter 'channel-type' does not accept value '{type}'");
        }

        QmpArguments address = channel.RequiredObject("addr");
        return address.RequiredString("transport") switch
        {
            "rdma" => ReadHost(RdmaUri.SchemeName, address),
            "socket" => ReadSocket(address),
            "exec" => ReadExec(address),
            "file" => Checked(() => FileUri.Of(address.RequiredString("filename"), address.RequiredInteger("offset"))),
            var transport => throw new QmpException($"Parameter 'transport' does not accept value '{transport}'"),
        };
    }

    private static MigrationUri ReadSocket(QmpArguments address) => address.RequiredString("type") switch
    {
        "inet" => ReadHost(TcpUri.SchemeName, address),
        "unix" => Parse($"{UnixUri.SchemeName}:{address.RequiredString("path")}"),
        "fd" => Parse($"{DescriptorUri.SchemeName}:{address.RequiredString("str")}"),
        var type => throw new QmpException($"Parameter 'type' does not accept value '{type}'"),
    };

    private static MigrationUri ReadExec(QmpArguments address)
    {
        IReadOnlyList<string> arguments = address.RequiredStrings("args");
        return arguments is [] or ["", ..]
            ? throw new QmpException("Parameter 'args' names no program")
            : Parse($"{ExecUri.SchemeName}:{string.Join(' ', arguments.Select(Quote))}");
    }

    private static MigrationUri ReadHost(string scheme, QmpArguments address)
    {
        string host = address.RequiredString("host");
        string port = address.RequiredString("port");
        string families = Family(address, "ipv4") + Family(address, "ipv6");

        // In a URI, options follow a comma.
        if ($"{host}{port}".Contains(',', StringComparison.Ordinal))
        {
            throw new QmpException($"the host '{host}' or the port '{port}' has a comma");
        }

        bool isBare = IPAddress.TryParse(host, out IPAddress? ip) && ip.AddressFamily is AddressFamily.InterNetworkV6 && host[0] != '[';
        return Parse($"{scheme}:{(isBare ? $"[{host}]" : host)}:{port}{families}");
    }

    /// <summary>An option of a URI: empty when it is not given.</summary>
    private static string Family(QmpArguments address, string name) =>
        address.OptionalBoolean(name) is { } isOn ? $",{name}={(isOn ? "on" : "off")}" : "";

    /// <summary>An argument of a command as the shell reads it.</summary>
    private static string Quote(string argument) => $"'{argument.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    private static MigrationUri Parse(string text) =>
        text.StartsWith($"{DescriptorUri.SchemeName}:", StringComparison.Ordinal) && text[^1] != ':' && !char.IsAsciiDigit(text[3])
            ? new NamedDescriptorUri(text[3..])
            : Checked(() => MigrationUri.Parse(text));

    private static MigrationUri Checked(Func<MigrationUri> read)
    {
        try
        {
            return read();
        }
        catch (FormatException malformed)
        {
            throw new QmpException(malformed.Message);
        }
    }
}
