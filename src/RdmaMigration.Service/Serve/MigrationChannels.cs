using System.Net;
using RdmaMigration.Qmp;
using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>Reads where a migration goes or comes from out of the arguments "uri" and "channels" of migrate and migrate-incoming.</summary>
internal static class MigrationChannels
{
    /// <summary>Reads the address. Exactly one of the two arguments must be there.</summary>
    /// <param name="arguments">The command's.</param>
    /// <param name="takesChannels">The command has "channels", as since QEMU 8.2.</param>
    /// <exception cref="QmpException">There is none, or rdmamig has no such channel.</exception>
    public static MigrationUri Read(QmpArguments arguments, bool takesChannels)
    {
        if (!takesChannels)
        {
            return Parse(arguments.RequiredString("uri"));
        }

        string? uri = arguments.OptionalString("uri");
        IReadOnlyList<QmpArguments>? channels = arguments.OptionalObjects("channels");
        return (uri, channels) switch
        {
            ({ } text, null) => Parse(text),
            (null, [QmpArguments only]) => ReadChannel(only),
            (null, { }) => throw new QmpException("Channel list must have one entry"),
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
            "rdma" => Parse($"{RdmaUri.SchemeName}:{HostAndPort(address)}"),
            "socket" => ReadSocket(address),
            "exec" => new ExecUri(string.Join(' ', address.RequiredStrings("args").Select(Quote))),
            "file" => ReadFile(address),
            var transport => throw new QmpException($"Parameter 'transport' does not accept value '{transport}'"),
        };
    }

    private static MigrationUri ReadSocket(QmpArguments address) => address.RequiredString("type") switch
    {
        "inet" => Parse($"{TcpUri.SchemeName}:{HostAndPort(address)}"),
        "unix" => Parse($"{UnixUri.SchemeName}:{address.RequiredString("path")}"),
        "fd" => Parse($"{DescriptorUri.SchemeName}:{address.RequiredString("str")}"),
        var type => throw new QmpException($"Parameter 'type' does not accept value '{type}'"),
    };

    private static FileUri ReadFile(QmpArguments address)
    {
        long offset = address.RequiredInteger("offset");
        return offset >= 0 ? new FileUri(address.RequiredString("filename"), offset) : throw new QmpException("Parameter 'offset' expects uint64");
    }

    private static string HostAndPort(QmpArguments address)
    {
        string host = address.RequiredString("host");
        bool isBare = IPAddress.TryParse(host, out IPAddress? ip) && ip.AddressFamily is System.Net.Sockets.AddressFamily.InterNetworkV6 && host[0] != '[';
        return $"{(isBare ? $"[{host}]" : host)}:{address.RequiredString("port")}";
    }

    /// <summary>An argument of a command as the shell reads it.</summary>
    private static string Quote(string argument) => $"'{argument.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    private static MigrationUri Parse(string text)
    {
        if (text.StartsWith($"{DescriptorUri.SchemeName}:", StringComparison.Ordinal) && text[^1] != ':' && !char.IsAsciiDigit(text[3]))
        {
            return new NamedDescriptorUri(text[3..]);
        }

        try
        {
            return MigrationUri.Parse(text);
        }
        catch (FormatException malformed)
        {
            throw new QmpException(malformed.Message);
        }
    }
}
