using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;
using RdmaMigration.Linux;
using RdmaMigration.Testing;

namespace RdmaMigration.Transport.Tests;

/// <summary>TLS over TCP: who is trusted, and that it is a channel like the others.</summary>
public sealed class TlsTests : IDisposable
{
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(10);

    private readonly WorkDirectory _work = new();
    private readonly TlsAuthority _authority;
    private readonly TlsAuthority _stranger;
    private readonly string _files;

    public TlsTests()
    {
        _authority = new TlsAuthority(_work);
        _stranger = new TlsAuthority(_work, "stranger");
        _files = _authority.Issue();
    }

    public void Dispose()
    {
        _authority.Dispose();
        _stranger.Dispose();
        _work.Dispose();
    }

    [Fact]
    public async Task Bytes_go_both_ways_at_the_same_time_and_the_end_of_one_leaves_the_other()
    {
        using Listening listening = Listen(_files);
        using OutgoingChannel source = Begin(listening, _files);
        using IncomingChannel destination = listening.AcceptBegun();
        byte[] sent = RandomBytes(8 << 20);
        byte[] answer = RandomBytes(1 << 20);
        Task writes = Task.Run(() =>
        {
            source.Output.Write(sent);
            source.Output.Finish();
        });
        Task answers = Task.Run(() => destination.Output!.Write(answer));
        Task<byte[]> answered = Task.Run(() => ReadExactly(source.Input!, answer.Length));

        Assert.Equal(sent, ReadExactly(destination.Input, sent.Length));
        ConnectionLostException end = Assert.Throws<ConnectionLostException>(() => destination.Input.Read(new byte[1], s_soon));
        Assert.Equal(ConnectionLoss.Disconnected, end.Loss);
        await Task.WhenAll(writes, answers).WaitAsync(s_soon, TestContext.Current.CancellationToken);
        Assert.Equal(answer, await answered);
        destination.Output!.Write([7]);
        Assert.Equal([7], ReadExactly(source.Input!, 1));
        Assert.True(source.Output.SentBytes > sent.Length);
    }

    [Fact]
    public async Task Nothing_that_is_sent_can_be_read_on_the_wire()
    {
        using TcpListener wire = new(IPAddress.Loopback, 0);
        wire.Start();
        using Listening listening = Listen(_files);
        byte[] secret = RandomBytes(64);
        Task<byte[]> seen = Task.Run(() => RecordingProxy.Forward(wire, listening.EndPoint));
        using (OutgoingChannel source = Connect((IPEndPoint)wire.LocalEndpoint, _files))
        {
            source.Output.Write([.. IncomingPair.Begun, .. secret]);
            source.Output.Finish();
            using IncomingChannel destination = listening.AcceptBegun();
            Assert.Equal(secret, ReadExactly(destination.Input, secret.Length));
        }

        byte[] all = await seen;
        Assert.Equal(-1, all.AsSpan().IndexOf(secret.AsSpan(0, 8)));
        Assert.InRange(all.Length, secret.Length, int.MaxValue);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_blocked_read_ends_at_a_shutdown(bool isSource)
    {
        Soon.Assert(() =>
        {
            using Listening listening = Listen(_files);
            using OutgoingChannel source = Begin(listening, _files);
            using IncomingChannel destination = listening.AcceptBegun();
            (isSource ? destination.Output! : source.Output).Write([1]);
            Channel read = isSource ? source : destination;
            byte[] buffer = new byte[16];
            return Soon.ShutDownReader(() => read.Input!.Read(buffer, Timeout.InfiniteTimeSpan), read.Shutdown);
        });
    }

    [Fact]
    public void A_destination_that_gave_up_still_sends_its_last_message()
    {
        using Listening listening = Listen(_files);
        using OutgoingChannel source = Begin(listening, _files);
        using IncomingChannel destination = listening.AcceptBegun();

        destination.Shutdown("told to");
        destination.Output!.Write([1, 2, 3]);

        Assert.Equal([1, 2, 3], ReadExactly(source.Input!, 3));
    }

    [Fact]
    public void A_source_that_ended_its_direction_and_then_goes_is_found_by_a_probe()
    {
        using Listening listening = Listen(_files);
        OutgoingChannel source = Begin(listening, _files);
        using IncomingChannel destination = listening.AcceptBegun();
        source.Output.Finish();
        using IDisposable? watch = destination.WatchSource(new byte[] { 9 });
        Assert.Equal([9], ReadExactly(source.Input!, 1));
        Assert.Null(destination.Lost);

        source.Dispose();

        Assert.True(SpinWait.SpinUntil(() => destination.Lost is { Loss: ConnectionLoss.Disconnected }, s_soon));
    }

    [Fact]
    public void A_source_refuses_a_destination_of_another_authority_and_the_next_one_is_served()
    {
        using Listening listening = Listen(_files);
        string others = _authority.Issue(trusts: _stranger);

        TlsException refused = Assert.Throws<TlsException>(() => Connect(listening.EndPoint, others));

        Assert.Equal(FailureReason.Policy, refused.Reason);
        Assert.Contains("CN=authority", refused.Message, StringComparison.Ordinal);
        listening.AwaitLog(LogLevel.Warning, "does not trust");
        ServesAnother(listening);
    }

    [Fact]
    public void A_source_refuses_a_destination_with_another_name_unless_it_is_told_the_name()
    {
        string files = _authority.Issue("vm-host.example");
        using Listening listening = Listen(files);

        TlsException refused = Assert.Throws<TlsException>(() => Connect(listening.EndPoint, files));

        Assert.Equal(FailureReason.Policy, refused.Reason);
        Assert.Contains("vm-host.example", refused.Message, StringComparison.Ordinal);
        Assert.Contains("127.0.0.1", refused.Message, StringComparison.Ordinal);
        listening.AwaitLog(LogLevel.Warning, "rejected");
        using OutgoingChannel named = Connect(listening.EndPoint, files, "vm-host.example");
        named.Output.Write(IncomingPair.Begun);
        listening.AcceptBegun().Dispose();
    }

    [Theory]
    [InlineData("another authority", "CN=stranger")]
    [InlineData("expired", "has expired")]
    [InlineData("no certificate", "shows no certificate")]
    [InlineData("another name", "CN=operator")]
    [InlineData("revoked", "is revoked")]
    public void A_destination_refuses_and_resets_a_source_with(string flaw, string logged)
    {
        string files = flaw switch
        {
            "another authority" => _stranger.Issue(trusts: _authority),
            "expired" => _authority.Issue(isExpired: true),
            _ => _authority.Issue(),
        };
        if (flaw == "revoked")
        {
            _authority.Revoke(files, "client", at: _files);
        }

        using Listening listening = Listen(_files, flaw == "another name" ? "CN=operator,O=Tests" : null);
        using (TcpClient source = new("127.0.0.1", listening.EndPoint.Port))
        using (SslStream tls = new(source.GetStream()))
        {
            // The source's handshake may be over before the destination has looked at its certificate.
            Assert.ThrowsAny<IOException>(() =>
            {
                tls.AuthenticateAsClient(new SslClientAuthenticationOptions
                {
                    TargetHost = "127.0.0.1",
                    ClientCertificates = flaw == "no certificate" ? null : [Own(files)],
                    CertificateChainPolicy = Trust(files),
                });
                tls.ReadByte();
            });
        }

        listening.AwaitLog(LogLevel.Warning, logged);
        Assert.Equal(0, listening.Waiting);
        if (flaw != "another name")
        {
            ServesAnother(listening);
        }
    }

    [Theory]
    [InlineData("CN=source,O=Tests")]
    [InlineData("O=Tests, CN=source")]
    public void An_authorized_name_fits_in_either_order(string name)
    {
        using Listening listening = Listen(_files, name);
        ServesAnother(listening);
    }

    // QEMU without a return path reads nothing: session tickets would make its close a reset.
    [Fact]
    public void The_end_of_a_source_that_reads_nothing_arrives()
    {
        using Listening listening = Listen(_files);
        using TcpClient source = new("127.0.0.1", listening.EndPoint.Port);
        using SslStream tls = new(source.GetStream());
        tls.AuthenticateAsClient(new SslClientAuthenticationOptions
        {
            TargetHost = "127.0.0.1",
            ClientCertificates = [Own(_files)],
            CertificateChainPolicy = Trust(_files),
        });
        byte[] sent = RandomBytes(1 << 20);
        tls.Write([.. IncomingPair.Begun, .. sent]);
        source.Dispose();

        using IncomingChannel destination = listening.AcceptBegun();

        Assert.Equal(sent, ReadExactly(destination.Input, sent.Length));
    }

    [Fact]
    public void A_source_without_TLS_gets_an_alert_and_the_next_one_is_served()
    {
        using Listening listening = Listen(_files);
        using (Stream plain = IncomingPair.BeginTo(listening.EndPoint))
        {
            byte[] alert = new byte[7];
            plain.ReadExactly(alert);
            Assert.Equal([0x15, 3, 3, 0, 2, 2, 10], alert);
        }

        listening.AwaitLog(LogLevel.Warning, "without TLS");
        ServesAnother(listening);
    }

    [Fact]
    public void A_source_with_TLS_is_refused_by_a_destination_without()
    {
        using Listening listening = new(new TcpUri("127.0.0.1", 0));

        TlsException refused = Assert.Throws<TlsException>(() => Connect(listening.EndPoint, _files));

        Assert.Equal(FailureReason.Refused, refused.Reason);
        listening.AwaitLog(LogLevel.Warning, "has no TLS");
    }

    [Fact]
    public void A_handshake_that_stops_midway_is_closed_and_holds_up_nobody()
    {
        using Listening listening = Listen(_files, patience: TimeSpan.FromMilliseconds(300));
        using TcpClient silent = new("127.0.0.1", listening.EndPoint.Port);
        silent.GetStream().Write([0x16, 3, 1, 2, 0, 1]);

        ServesAnother(listening);

        listening.AwaitLog(LogLevel.Information, "started no migration stream");
        Assert.Throws<IOException>(() => silent.GetStream().ReadByte());
    }

    [Fact]
    public void A_silent_destination_ends_the_handshake_at_its_deadline_and_at_a_cancel()
    {
        using TcpListener silent = new(IPAddress.Loopback, 0);
        silent.Start();
        TcpUri uri = new("127.0.0.1", ((IPEndPoint)silent.LocalEndpoint).Port);
        DescriptorChannelOptions options = Options(_files) with { ConnectTimeout = TimeSpan.FromMilliseconds(200) };

        TlsException late = Assert.Throws<TlsException>(() => DescriptorOutgoingChannel.Open(uri, options, TestContext.Current.CancellationToken));

        Assert.Equal(FailureReason.Timeout, late.Reason);
        using CancellationTokenSource cancel = new(100);
        Assert.Throws<OperationCanceledException>(() => DescriptorOutgoingChannel.Open(uri, Options(_files), cancel.Token));
    }

    [Fact]
    public void An_own_certificate_that_is_missing_or_expired_is_refused_before_anything_is_opened()
    {
        string expired = _authority.Issue(isExpired: true);
        File.Delete(Path.Combine(_files, "server-key.pem"));

        Assert.Contains("expired", Assert.Throws<ConnectFailedException>(() => Listen(expired)).Message, StringComparison.Ordinal);
        Assert.Contains("server-key.pem", Assert.Throws<ConnectFailedException>(() => Listen(_files)).Message, StringComparison.Ordinal);
        Assert.Contains("ca-cert.pem", Assert.Throws<ConnectFailedException>(() => Listen("/nonexistent")).Message, StringComparison.Ordinal);
        Assert.Contains(
            "distinguished name", Assert.Throws<ConnectFailedException>(() => Listen(_authority.Issue(), "source")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pages_are_sent_and_received_without_an_allocation_for_each()
    {
        using Listening listening = Listen(_files);
        using OutgoingChannel source = Begin(listening, _files);
        using IncomingChannel destination = listening.AcceptBegun();
        byte[] page = RandomBytes(4096);
        Task<long> sending = Task.Run(() => AllocatedBy(() => source.Output.Write(page), 4096));
        byte[] buffer = new byte[1 << 16];
        long received = 0;
        long read = AllocatedBy(() => received += destination.Input.Read(buffer, s_soon), 1024);
        while (received < (4096L + 64) * page.Length)
        {
            received += destination.Input.Read(buffer, s_soon);
        }

        Assert.InRange(await sending, 0, 64 << 10);
        Assert.InRange(read, 0, 64 << 10);
    }

    /// <summary>Bytes that calls allocate on this thread, after some that may.</summary>
    private static long AllocatedBy(Action call, int times)
    {
        for (int i = 0; i < 64; i++)
        {
            call();
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < times; i++)
        {
            call();
        }

        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    private void ServesAnother(Listening listening)
    {
        using OutgoingChannel next = Begin(listening, _authority.Issue());
        listening.AcceptBegun().Dispose();
    }

    private static Listening Listen(string files, string? authorized = null, TimeSpan? patience = null) => new(
        new TcpUri("127.0.0.1", 0),
        TestOptions.Listener with
        {
            Tls = new TlsOptions { Directory = files, AuthorizedName = authorized },
            FirstBytesTimeout = patience ?? TestOptions.Listener.FirstBytesTimeout,
        });

    private static OutgoingChannel Begin(Listening listening, string files)
    {
        OutgoingChannel source = Connect(listening.EndPoint, files);
        source.Output.Write(IncomingPair.Begun);
        return source;
    }

    private static OutgoingChannel Connect(IPEndPoint to, string files, string? hostname = null) => DescriptorOutgoingChannel.Open(
        new TcpUri("127.0.0.1", to.Port), Options(files, hostname), TestContext.Current.CancellationToken);

    private static DescriptorChannelOptions Options(string files, string? hostname = null) =>
        TestOptions.Descriptors with { Tls = new TlsOptions { Directory = files, Hostname = hostname } };

    private static X509ChainPolicy Trust(string files)
    {
        X509ChainPolicy policy = new() { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPemFile(Path.Combine(files, "ca-cert.pem"));
        return policy;
    }

    private static X509Certificate2 Own(string files) =>
        X509Certificate2.CreateFromPemFile(Path.Combine(files, "client-cert.pem"), Path.Combine(files, "client-key.pem"));

    private static byte[] RandomBytes(int count)
    {
        byte[] bytes = new byte[count];
        new Random(count).NextBytes(bytes);
        return bytes;
    }

    private static byte[] ReadExactly(ChannelInput input, int count)
    {
        byte[] bytes = new byte[count];
        int read = 0;
        while (read < count)
        {
            int found = input.Read(bytes.AsSpan(read), s_soon);
            Assert.True(found > 0, $"nothing came after {read} of {count} bytes");
            read += found;
        }

        return bytes;
    }
}
