using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RdmaMigration.Engine;
using RdmaMigration.Testing;
using RdmaMigration.Transport;
using Tmds.Linux;

namespace RdmaMigration.Service.Tests;

public class ReceiverHostTests
{
    [Theory]
    [MemberData(nameof(Contradictions))]
    public void Options_that_contradict_themselves_are_refused_before_anything_listens(object incoming, string named)
    {
        Observer observer = new();

        OptionsValidationException refused = Assert.Throws<OptionsValidationException>(() => Host((IncomingOptions)incoming, observer).Run());

        Assert.Contains(named, refused.Message, StringComparison.Ordinal);
        Assert.Null(observer.Process);
    }

    public static TheoryData<object, string> Contradictions() => new()
    {
        {
            Anywhere with
            {
                Uri = new UnixUri("/nowhere"),
                Parameters = ParameterSet.Defaults.With(MigrationParameters.Allow, [new AllowedPeers(IPNetwork.Parse("10.0.0.0/8"))]),
            },
            "allow"
        },
        { Anywhere with { Target = Relay(ParameterSet.Defaults.With(MigrationParameters.PinAll, true)) }, "rdma-pin-all" },
        { Anywhere with { Target = Relay(ParameterSet.Defaults.With(MigrationParameters.Window, 1UL << 20)) }, "window" },
    };

    [Theory]
    [InlineData("file", null, true)]
    [InlineData("folder", null, false)]
    [InlineData("host", null, true)]
    [InlineData("file", false, false)]
    [InlineData("folder", true, true)]
    public async Task Run_ends_after_one_machine_and_a_folder_takes_more_unless_told_otherwise(string target, bool? untilCompleted, bool ends)
    {
        DirectoryInfo directory = Directory.CreateTempSubdirectory("rdmamig-test-");
        string socket = Path.Combine(directory.FullName, "socket");
        IncomingOptions incoming = Anywhere with
        {
            Uri = new UnixUri(socket),
            Target = target switch
            {
                "file" => CaptureTarget.ToFile(Path.Combine(directory.FullName, "vm.qemu")),
                "folder" => CaptureTarget.ToDirectory(directory.FullName),
                _ => new RelayTarget(new OutgoingOptions { Uri = new FileUri(Path.Combine(directory.FullName, "sent")) }),
            },
        };
        ReceiverHost? host = null;
        Task? source = null;
        Observer observer = new()
        {
            Started = _ =>
            {
                source = Task.Run(() => Send(socket));
            },
            Changed = info =>
            {
                if (!ends && info.Status is MigrationStatus.Completed)
                {
                    host!.Quit(7);
                }
            },
        };

        host = Host(incoming, observer, untilCompleted);
        Assert.Equal(ends ? 0 : 7, host.Run());

        await source!;
        Assert.Equal(MigrationStatus.Completed, observer.Changes[^1].Status);
        directory.Delete(recursive: true);
    }

    // 192.0.2.0/24 is for documentation: no host has it, with RDMA or without.
    [Fact]
    public void An_address_that_cannot_be_bound_is_an_exception_of_Run()
    {
        Observer observer = new();

        Assert.Throws<ConnectFailedException>(() => Host(Anywhere with { Uri = RdmaUri.Parse("rdma:192.0.2.1:4444") }, observer).Run());

        Assert.Null(observer.Process);
    }

    [Fact]
    [Trait("needs", "rdma")]
    public void Quit_ends_Run_with_its_code_after_the_observer_has_been_told_where_it_listens()
    {
        int port = 0;
        ReceiverHost? host = null;
        Observer observer = new()
        {
            Started = process =>
            {
                port = process.LocalEndPoint!.Port;
                host!.Quit(7);
            },
        };
        host = Host(Anywhere, observer);

        Assert.Equal(7, host.Run());

        Assert.NotEqual(0, port);
    }

    // SIGINT goes the same way, but the test runner takes it for itself.
    [Fact]
    [Trait("needs", "rdma")]
    public void SIGTERM_ends_Run_with_130()
    {
        Observer observer = new() { Started = _ => Assert.Equal(0, LibC.kill(LibC.getpid(), LibC.SIGTERM)) };

        Assert.Equal(ReceiverHost.Cancelled, Host(Anywhere, observer).Run());

        Assert.Equal([(PosixSignal.SIGTERM, false)], observer.Signals);
    }

    [Fact]
    [Trait("needs", "rdma")]
    public void A_port_in_use_is_an_exception_of_Run_and_the_port_is_free_again_after_the_first()
    {
        ConnectFailedException? inUse = null;
        IncomingOptions taken = Anywhere;
        Observer first = new()
        {
            Started = process =>
            {
                taken = Anywhere with { Uri = process.Uri! };
                inUse = Assert.Throws<ConnectFailedException>(() => Host(taken, new Observer()).Run());
                process.Quit();
            },
        };

        Assert.Equal(0, Host(Anywhere, first).Run());

        Assert.NotNull(inUse);
        Assert.Equal(0, Host(taken, new Observer { Started = process => process.Quit() }).Run());
    }

    private static RelayTarget Relay(ParameterSet parameters) => new(new OutgoingOptions { Uri = new UnixUri("/nowhere"), Parameters = parameters });

    private static IncomingOptions Anywhere => new()
    {
        Uri = new RdmaUri("", 0),
        Target = CaptureTarget.ToFile(Path.Combine(Path.GetTempPath(), "receiver-host-tests.qemu")),
    };

    /// <summary>Sends a machine, and waits until the receiver closes.</summary>
    private static void Send(string path)
    {
        using Socket source = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        source.Connect(new UnixDomainSocketEndPoint(path));
        source.Send(StreamBuilder.SmallMachine());
        source.Shutdown(SocketShutdown.Send);
        while (source.Receive(new byte[16]) > 0)
        {
        }
    }

    private static ReceiverHost Host(IncomingOptions incoming, Observer observer, bool? untilCompleted = null) =>
        new(incoming, observer, untilCompleted, logging: logging => logging.ClearProviders());
}
