using System.CommandLine;
using System.Net;
using System.Text.Json;
using RdmaMigration.Engine;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli.Tests;

/// <summary>The options that are made from the engine's table of parameters.</summary>
public class ParameterOptionsTests
{
    [Theory]
    [InlineData("receive", MigrationSide.Incoming)]
    [InlineData("send", MigrationSide.Outgoing)]
    [InlineData("relay", MigrationSide.Both)]
    public void Help_has_each_parameter_of_the_commands_side_with_its_line_and_default(string command, object side)
    {
        string help = string.Join(' ', CommandLine.Run(command, "--help").Out.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

        foreach (Parameter row in MigrationParameters.All)
        {
            string value = row.ValueName is { } name ? $" <{name}> {row.Help} [default: {row.DefaultText}]" : $" {row.Help}";
            bool isShown = row.Surface.HasFlag(ParameterSurface.CommandLine) && (row.Side & (MigrationSide)side) != 0;
            Assert.Equal(isShown, help.Contains($" {row.Option}{value} ", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Without_options_no_parameter_is_set()
    {
        ParameterSet parameters = Read(MigrationSide.Both);

        Assert.DoesNotContain(MigrationParameters.All, parameters.IsSet);
    }

    [Fact]
    public void Each_option_arrives_in_its_place()
    {
        ParameterSet parameters = Read(
            MigrationSide.Both,
            "--pin-all", "--return-path", "--verify", "--switchover-ack", "never", "--window", "2M", "--max-bandwidth", "1.5G", "--max-ram", "16G",
            "--max-device-state", "2G", "--page-size", "1K", "--timeout", "90", "--connect-timeout", "0.5", "--keepalive-interval", "0",
            "--answer-timeout", "5", "--confirm-timeout", "86400", "--allow", "10.0.0.0/8", "--allow", "[fd00::/8]:1-1023",
            "--tls-creds", "/etc/pki",
            "--tls-hostname", "vm-host", "--tls-authz", "CN=source,O=Example");

        Assert.True(parameters.Get(MigrationParameters.PinAll));
        Assert.True(parameters.Get(MigrationParameters.ReturnPath));
        Assert.Equal(SwitchoverAck.Never, parameters.Get(MigrationParameters.SwitchoverAck));
        Assert.Equal(2UL << 20, parameters.Get(MigrationParameters.Window));
        Assert.Equal(3UL << 29, parameters.Get(MigrationParameters.MaxBandwidth));
        Assert.Equal(16UL << 30, parameters.Get(MigrationParameters.MaxRam));
        Assert.Equal(2UL << 30, parameters.Get(MigrationParameters.MaxDeviceState));
        Assert.Equal(1024UL, parameters.Get(MigrationParameters.PageSize));
        Assert.Equal(TimeSpan.FromSeconds(90), parameters.Get(MigrationParameters.Timeout));
        Assert.Equal(TimeSpan.FromMilliseconds(500), parameters.Get(MigrationParameters.ConnectTimeout));
        Assert.Equal(TimeSpan.Zero, parameters.Get(MigrationParameters.KeepAliveInterval));
        Assert.Equal(TimeSpan.FromSeconds(5), parameters.Get(MigrationParameters.AnswerTimeout));
        Assert.Equal(TimeSpan.FromDays(1), parameters.Get(MigrationParameters.ConfirmTimeout));
        Assert.Equal(
            [new AllowedPeers(IPNetwork.Parse("10.0.0.0/8")), new AllowedPeers(IPNetwork.Parse("fd00::/8"), 1, 1023)],
            parameters.Get(MigrationParameters.Allow));
        Assert.Equal("/etc/pki", parameters.Get(MigrationParameters.TlsCreds));
        Assert.Equal("vm-host", parameters.Get(MigrationParameters.TlsHostname));
        Assert.Equal("CN=source,O=Example", parameters.Get(MigrationParameters.TlsAuthz));
        Assert.Equal(
            MigrationParameters.All.Where(row => row.Surface.HasFlag(ParameterSurface.CommandLine)), MigrationParameters.All.Where(parameters.IsSet));
    }

    [Fact]
    public void The_values_in_effect_of_each_option_are_written_in_the_tables_order()
    {
        ParameterSet set = ParameterSet.Defaults
            .With(MigrationParameters.PinAll, true)
            .With(MigrationParameters.SwitchoverAck, SwitchoverAck.Never)
            .With(MigrationParameters.Allow, [new AllowedPeers(IPNetwork.Parse("10.0.0.0/8"), 1, 1023)]);
        using MemoryStream written = new();
        using (Utf8JsonWriter writer = new(written))
        {
            writer.WriteStartObject();
            new ParameterOptions(MigrationSide.Both).WriteTo(writer, set, new RdmaUri("", 4444), new TcpUri("10.0.0.7", 4444));
            writer.WriteEndObject();
        }

        using JsonDocument document = JsonDocument.Parse(written.ToArray());

        // RDMA is the source's channel alone, so a sender's options for it are left out, and a receiver's for TCP.
        Assert.Equal(
            MigrationParameters.All
                .Where(row => row.Surface.HasFlag(ParameterSurface.CommandLine)
                    && row is not ({ Side: MigrationSide.Outgoing, Scope: ParameterScope.Rdma } or { Side: MigrationSide.Incoming, Scope: ParameterScope.Tcp }))
                .Select(row => row.Name),
            document.RootElement.EnumerateObject().Select(member => member.Name));
        Assert.Equal("\"never\"", document.RootElement.GetProperty("switchover-ack").GetRawText());
        Assert.Equal("[\"10.0.0.0/8:1-1023\"]", document.RootElement.GetProperty("allow").GetRawText());
        Assert.Equal("null", document.RootElement.GetProperty("timeout").GetRawText());
    }

    private static ParameterSet Read(MigrationSide sides, params string[] arguments)
    {
        ParameterOptions options = new(sides);
        Command command = new("test");
        options.AddTo(command.Options);
        ParseResult parsed = command.Parse(arguments);
        Assert.Empty(parsed.Errors);
        return options.Read(parsed);
    }
}
