using System.CommandLine;
using RdmaMigration.Cli.Send;
using RdmaMigration.Engine;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli.Tests;

public class SendOptionsTests
{
    private static readonly MigrationUri s_uri = MigrationUri.Parse("rdma:10.0.0.7:4444");

    [Fact]
    public void Without_options_the_engines_defaults_hold()
    {
        OutgoingOptions options = Read();

        Assert.Equal(new OutgoingOptions { Uri = s_uri, MaxRam = options.MaxRam }, options);
        Assert.Equal((false, false, null, null), (options.PinAll, options.ReturnPath, options.WindowBytes, options.MaxBandwidth));
        Assert.Equal((null, null), (options.Timeout, options.ConfirmTimeout));
        Assert.Equal((TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(5)), (options.ConnectTimeout, options.KeepAliveInterval));
    }

    [Fact]
    public void Each_option_arrives_in_its_place()
    {
        OutgoingOptions options = Read(
            "--pin-all", "--return-path", "--window", "1M", "--max-bandwidth", "1.5G", "--timeout", "90", "--connect-timeout", "0.5",
            "--keepalive-interval", "0", "--confirm-timeout", "86400");

        Assert.Equal(
            new OutgoingOptions
            {
                Uri = s_uri,
                PinAll = true,
                ReturnPath = true,
                WindowBytes = 1 << 20,
                MaxBandwidth = 3L << 29,
                Timeout = TimeSpan.FromSeconds(90),
                ConnectTimeout = TimeSpan.FromMilliseconds(500),
                KeepAliveInterval = TimeSpan.Zero,
                ConfirmTimeout = TimeSpan.FromDays(1),
                MaxRam = options.MaxRam,
            },
            options);
    }

    [Fact]
    public void A_bandwidth_beyond_any_wire_is_no_limit_that_overflows() => Assert.Equal(long.MaxValue, Read("--max-bandwidth", "12000P").MaxBandwidth);

    private static OutgoingOptions Read(params string[] arguments)
    {
        SendOptions options = new();
        Command command = new("send");
        options.AddTo(command);
        ParseResult parsed = command.Parse(arguments);
        Assert.Empty(parsed.Errors);
        return options.Read(parsed, s_uri);
    }
}
