using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RdmaMigration.Engine;
using RdmaMigration.Linux;
using RdmaMigration.Testing;
using RdmaMigration.Transport;
using Tmds.Linux;

namespace RdmaMigration.Service.Tests;

public sealed class SenderHostTests : IDisposable
{
    private static readonly OutgoingOptions s_rdma = new() { Uri = new RdmaUri("192.0.2.1", 4444) };
    private static readonly ParameterSet s_pinAll = ParameterSet.Defaults.With(MigrationParameters.PinAll, true);
    private static readonly OutgoingOptions s_unix = new() { Uri = new UnixUri("/nowhere") };

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");

    private string Capture => Path.Combine(_directory.FullName, "vm.qemu");

    private UnixUri Destination => new(Path.Combine(_directory.FullName, "socket"));

    public SenderHostTests() => File.WriteAllBytes(Capture, StreamBuilder.SmallMachine());

    public void Dispose() => _directory.Delete(recursive: true);

    [Theory]
    [MemberData(nameof(Contradictions))]
    public void Options_that_contradict_themselves_are_refused_before_anything_is_read(object outgoing, string[] named)
    {
        Observer observer = new();

        OptionsValidationException refused = Assert.Throws<OptionsValidationException>(() => Host("/nowhere", (OutgoingOptions)outgoing, observer).Run());

        Assert.Equal(named.Length, refused.Failures.Count());
        Assert.All(named, name => Assert.Contains(refused.Failures, failure => failure.StartsWith(name, StringComparison.Ordinal)));
        Assert.Null(observer.Process);
    }

    [Fact]
    public void A_file_without_a_name_is_refused_before_anything_is_read() =>
        Assert.StartsWith(
            "file is empty",
            Assert.Throws<OptionsValidationException>(() => Host("", s_unix, new Observer()).Run()).Failures.Single(),
            StringComparison.Ordinal);

    public static TheoryData<object, string[]> Contradictions() => new()
    {
        { s_rdma with { Uri = new RdmaUri("", 4444) }, ["rdma::4444 names no host"] },
        { s_rdma with { Uri = new TcpUri("10.0.0.7", 0) }, ["tcp:10.0.0.7:0 names no port"] },
        { s_unix with { Parameters = s_pinAll }, ["rdma-pin-all is for rdma:HOST:PORT"] },
        { s_unix with { Parameters = ParameterSet.Defaults.With(MigrationParameters.ReturnPath, true) }, ["return-path is for"] },
        { s_unix with { Parameters = s_pinAll.With(MigrationParameters.Window, 1UL << 20) }, ["rdma-pin-all is for", "window is for"] },
        { s_rdma with { Uri = new TcpUri("", 4444), Parameters = s_pinAll }, ["tcp::4444 names no host", "rdma-pin-all is for"] },
    };

    [Fact]
    public void A_machine_that_arrives_ends_Run_with_0_after_every_status_in_order()
    {
        Observer observer = new();

        Assert.Equal(0, Host(Capture, s_unix with { Uri = new FileUri(Path.Combine(_directory.FullName, "sent")) }, observer).Run());

        Assert.Equal(
            [MigrationStatus.Setup, MigrationStatus.Active, MigrationStatus.Device, MigrationStatus.Completed], observer.Changes.Select(info => info.Status));
        Assert.True(observer.Changes[^1].Confirmed);
    }

    [Fact]
    public void A_machine_that_does_not_arrive_ends_Run_with_1_and_the_reason()
    {
        Observer observer = new();

        Assert.Equal(1, Host(Capture, s_unix, observer).Run());

        Assert.Equal((MigrationStatus.Failed, FailureReason.Unreachable), (observer.Changes[^1].Status, observer.Changes[^1].ErrorClass));
        Assert.Contains("there is no socket '/nowhere'", observer.Changes[^1].ErrorDescription, StringComparison.Ordinal);
    }

    [Fact]
    public void A_capture_that_is_not_there_ends_Run_with_1_and_the_reason()
    {
        Observer observer = new();

        Assert.Equal(1, Host("/nowhere", s_unix, observer).Run());

        Assert.Equal(FailureReason.Storage, observer.Changes[^1].ErrorClass);
    }

    // SIGINT goes the same way, but the test runner takes it for itself.
    [Fact]
    public void SIGTERM_while_it_sends_cancels_and_ends_Run_with_130()
    {
        using Socket destination = Listen();
        Observer observer = new() { Changed = When(MigrationStatus.Device, () => Assert.Equal(0, LibC.kill(LibC.getpid(), LibC.SIGTERM))) };

        Assert.Equal(MigrationHost.Cancelled, Host(Capture, s_unix with { Uri = Destination }, observer).Run());

        Assert.Equal([(PosixSignal.SIGTERM, false)], observer.Signals);
        Assert.Equal([MigrationStatus.Cancelling, MigrationStatus.Cancelled], observer.Changes[^2..].Select(info => info.Status));
    }

    [Fact]
    public void A_signal_that_comes_when_the_machine_has_arrived_ends_Run_with_0()
    {
        SenderHost? host = null;
        Observer quitting = new() { Changed = When(MigrationStatus.Completed, () => host!.Quit(MigrationHost.Cancelled)) };
        host = Host(Capture, s_unix with { Uri = new FileUri(Path.Combine(_directory.FullName, "sent")) }, quitting);

        Assert.Equal(0, host.Run());
    }

    [Fact]
    public void A_cancel_ends_Run_with_130_and_Quit_with_its_own_code()
    {
        using Socket destination = Listen();
        MachineProcess? process = null;
        Observer cancelled = new() { Started = started => process = started, Changed = When(MigrationStatus.Device, () => process!.Cancel()) };
        Assert.Equal(MigrationHost.Cancelled, Host(Capture, s_unix with { Uri = Destination }, cancelled).Run());

        SenderHost? host = null;
        Observer quit = new() { Changed = When(MigrationStatus.Device, () => host!.Quit(7)) };
        host = Host(Capture, s_unix with { Uri = Destination }, quit);
        Assert.Equal(7, host.Run());
        Assert.Equal(MigrationStatus.Cancelled, quit.Changes[^1].Status);
    }

    /// <summary>A destination that takes what fits into its socket and says nothing.</summary>
    private Socket Listen()
    {
        Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(Destination.Path));
        listener.Listen(4);
        return listener;
    }

    private static Action<MigrationInfo> When(MigrationStatus status, Action act) => info =>
    {
        if (info.Status == status)
        {
            act();
        }
    };

    private static SenderHost Host(string file, OutgoingOptions outgoing, Observer observer) =>
        new(file, outgoing, observer, logging: logging => logging.ClearProviders());
}
