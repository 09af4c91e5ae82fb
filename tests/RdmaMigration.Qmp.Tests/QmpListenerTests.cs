using System.Net.Sockets;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;
using RdmaMigration.Linux;
using RdmaMigration.Testing;

namespace RdmaMigration.Qmp.Tests;

public sealed class QmpListenerTests : IDisposable
{
    private readonly WorkDirectory _directory = new();
    private readonly LogLines _log = new();
    private readonly QmpMonitor _monitor;

    public QmpListenerTests() => _monitor = new QmpMonitor(new MainLoop(), WriteVersion, [], [], _log);

    private string SocketPath => _directory.File("qmp");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task The_socket_is_for_its_owner_alone_and_goes_at_the_end()
    {
        await using (QmpListener listener = QmpListener.Listen(SocketPath, _monitor, _log))
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(SocketPath));
        }

        Assert.False(File.Exists(SocketPath));
    }

    [Fact]
    public async Task The_socket_of_a_dead_process_is_replaced()
    {
        // Its file remains, as after SIGKILL.
        using (Socket dead = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            dead.Bind(new UnixDomainSocketEndPoint(_directory.File("other")));
            dead.Listen();
            File.Move(_directory.File("other"), SocketPath);
        }

        Assert.True(File.Exists(SocketPath));
        await using QmpListener listener = QmpListener.Listen(SocketPath, _monitor, _log);
        await using RawClient client = await RawClient.ConnectAsync(SocketPath);
        Assert.True((await client.ReadAsync()).TryGetProperty("QMP", out _));
    }

    [Fact]
    public async Task A_socket_that_another_process_listens_at_is_refused_and_kept()
    {
        await using QmpListener listener = QmpListener.Listen(SocketPath, _monitor, _log);
        MigrationException refused = Assert.Throws<MigrationException>(() => QmpListener.Listen(SocketPath, _monitor, _log));
        Assert.Equal(FailureReason.Unreachable, refused.Reason);
        Assert.Contains("another process listens there", refused.Message, StringComparison.Ordinal);
        await using RawClient client = await RawClient.ConnectAsync(SocketPath);
        Assert.True((await client.ReadAsync()).TryGetProperty("QMP", out _));
    }

    [Fact]
    public void A_file_is_refused_and_kept()
    {
        File.WriteAllText(SocketPath, "kept");
        MigrationException refused = Assert.Throws<MigrationException>(() => QmpListener.Listen(SocketPath, _monitor, _log));
        Assert.Contains("not a socket", refused.Message, StringComparison.Ordinal);
        Assert.Equal("kept", File.ReadAllText(SocketPath));
    }

    [Theory]
    [InlineData("missing/qmp", "the directory does not exist")]
    [InlineData("0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789", "too long")]
    public void A_path_that_cannot_be_listened_at_is_explained(string name, string reason)
    {
        MigrationException refused = Assert.Throws<MigrationException>(() => QmpListener.Listen(_directory.File(name), _monitor, _log));
        Assert.Contains(reason, refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1000, 1000, true)]
    [InlineData(0, 1000, true)]
    [InlineData(1001, 1000, false)]
    [InlineData(1000, 0, false)]
    public void Only_root_and_the_same_user_may_give_commands(uint user, uint owner, bool mayCommand) =>
        Assert.Equal(mayCommand, new PeerCredentials(1, user, 1).MayCommand(owner));

    [Fact]
    public async Task A_client_of_another_user_is_refused()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root can connect as another user: run this test as root");
        await using QmpListener listener = QmpListener.Listen(SocketPath, _monitor, _log);
        File.SetUnixFileMode(SocketPath, (UnixFileMode)0x1b6);
        File.SetUnixFileMode(_directory.FullName, (UnixFileMode)0x1ff);
        await using ChildProcess other = ChildProcess.Start(
            "other", Executables.OnPath("setpriv", "util-linux"),
            [
                "--reuid=65534", "--regid=65534", "--clear-groups", Executables.OnPath("perl", "perl-base"), "-MIO::Socket::UNIX", "-e",
                $"my $s = IO::Socket::UNIX->new(Peer => '{SocketPath}') or exit 3; exit(defined(<$s>) ? 1 : 0)",
            ]);
        Assert.Equal(0, await other.WaitForExitAsync(Deadlines.Answer));
        string refused = Assert.Single(_log.At(LogLevel.Warning));
        Assert.Contains("of user 65534", refused, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_too_many_is_refused_until_another_goes()
    {
        await using QmpListener listener = QmpListener.Listen(SocketPath, _monitor, _log);
        List<RawClient> clients = [];
        for (int i = 0; i < QmpListener.MaximumClients; i++)
        {
            clients.Add(await RawClient.ConnectAsync(SocketPath));
            await clients[i].ReadAsync();
        }

        await using (RawClient tooMany = await RawClient.ConnectAsync(SocketPath))
        {
            Assert.Null(await tooMany.ReadLineAsync());
        }

        // The server sees the end of the first one in its own time.
        await clients[0].DisposeAsync();
        using CancellationTokenSource deadline = new(Deadlines.Answer);
        string? greeting = null;
        while (greeting is null)
        {
            deadline.Token.ThrowIfCancellationRequested();
            await using RawClient next = await RawClient.ConnectAsync(SocketPath);
            greeting = await next.ReadLineAsync();
        }

        foreach (RawClient client in clients)
        {
            await client.DisposeAsync();
        }
    }

    [Fact]
    public async Task An_inherited_socket_that_listens_is_served()
    {
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(SocketPath));
        socket.Listen();
        await using QmpListener listener = QmpListener.Inherit(Duplicate(socket), _monitor, _log);
        await using RawClient client = await RawClient.ConnectAsync(SocketPath);
        Assert.True((await client.ReadAsync()).TryGetProperty("QMP", out _));
    }

    [Fact]
    public async Task An_inherited_socket_that_is_connected_is_served()
    {
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(SocketPath));
        socket.Listen();
        await using RawClient client = await RawClient.ConnectAsync(SocketPath);
        using Socket accepted = await socket.AcceptAsync();
        await using QmpListener listener = QmpListener.Inherit(Duplicate(accepted), _monitor, _log);
        Assert.True((await client.ReadAsync()).TryGetProperty("QMP", out _));
    }

    [Fact]
    public void An_inherited_socket_that_is_neither_is_refused()
    {
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        Assert.Throws<MigrationException>(() => QmpListener.Inherit(Duplicate(socket), _monitor, _log));
    }

    [Fact]
    public void An_inherited_descriptor_that_is_no_socket_is_refused()
    {
        using FileStream file = File.Create(_directory.File("file"));
        using SafeSocketHandle handle = new(file.SafeFileHandle.DangerousGetHandle(), ownsHandle: false);
        Assert.Throws<MigrationException>(() => QmpListener.Inherit(handle, _monitor, _log));
    }

    /// <summary>The same socket as a handle of its own, which does not close it.</summary>
    private static SafeSocketHandle Duplicate(Socket socket) => new(socket.Handle, ownsHandle: false);

    private static void WriteVersion(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteEndObject();
    }
}
