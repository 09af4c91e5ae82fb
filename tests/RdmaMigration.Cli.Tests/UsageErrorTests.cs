using System.Net;
using System.Net.Sockets;
using RdmaMigration.Verbs;

namespace RdmaMigration.Cli.Tests;

public class UsageErrorTests
{
    [Theory]
    [InlineData("'recieve' is not a command", "recieve", "rdma::4444")]
    [InlineData("Option '--to' is required", "receive", "rdma::4444")]
    [InlineData("Required argument missing", "receive", "--to", "vm.qemu")]
    [InlineData("expected rdma:HOST:PORT", "receive", "http:10.0.0.5:4444", "--to", "vm.qemu")]
    [InlineData("expected tcp:HOST:PORT", "receive", "tcp:4444", "--to", "vm.qemu")]
    [InlineData("the descriptor 'x'", "receive", "fd:x", "--to", "vm.qemu")]
    [InlineData("expected rdma:HOST:PORT", "receive", "rdma:4444", "--to", "vm.qemu")]
    [InlineData("in brackets", "receive", "rdma:fd77::1:4444", "--to", "vm.qemu")]
    [InlineData("0 to 65535", "receive", "rdma:10.0.0.5:70000", "--to", "vm.qemu")]
    [InlineData("--max-ram: '16'", "receive", "rdma::4444", "--to", "vm.qemu", "--max-ram", "16")]
    [InlineData("--max-ram: 'many'", "doctor", "--max-ram", "many")]
    [InlineData("--timeout: '0'", "receive", "rdma::4444", "--to", "vm.qemu", "--timeout", "0")]
    [InlineData("--timeout: '-3'", "receive", "rdma::4444", "--to", "vm.qemu", "--timeout=-3")]
    [InlineData("--interval: '1e9'", "receive", "rdma::4444", "--to", "vm.qemu", "--interval", "1e9")]
    [InlineData("--allow: '10.0.0.0/33'", "receive", "rdma::4444", "--to", "vm.qemu", "--allow", "10.0.0.0/33")]
    [InlineData("--allow: 'lab'", "receive", "rdma::4444", "--to", "vm.qemu", "--allow", "10.0.0.0/8", "--allow", "lab")]
    [InlineData("--allow: the port '0' of '10.0.0.0/24:0'", "receive", "rdma::4444", "--to", "vm.qemu", "--allow", "10.0.0.0/24:0")]
    [InlineData("--allow: the ports '9-1' of '[fd00::/8]:9-1'", "serve", "--qmp", "/run/vm.qmp", "--allow", "[fd00::/8]:9-1")]
    [InlineData("--allow: the port '65536'", "guest", "--incoming", "rdma::4444", "--allow", "10.0.0.0/24:1-65536")]
    [InlineData("--pattern", "receive", "rdma::4444", "--to", "vm.qemu", "--pattern", "{time}")]
    [InlineData("'{date}'", "receive", "rdma::4444", "--to", "captures/", "--pattern", "{date}")]
    [InlineData("Required argument missing", "inspect")]
    [InlineData("Required argument missing", "send", "vm.qemu")]
    [InlineData("is not a migration address", "send", "vm.qemu", "10.0.0.7")]
    [InlineData("expected tcp:HOST:PORT", "send", "vm.qemu", "tcp:4444")]
    [InlineData("--pin-all is for rdma:HOST:PORT", "send", "vm.qemu", "tcp:10.0.0.7:4444", "--pin-all")]
    [InlineData("--return-path is for rdma:HOST:PORT", "send", "vm.qemu", "unix:/run/vm.sock", "--return-path")]
    [InlineData("--window is for rdma:HOST:PORT", "send", "vm.qemu", "file:vm2", "--window", "4M")]
    [InlineData("--window: '64K' is out of range: the least is 1 MiB", "send", "vm.qemu", "rdma:10.0.0.7:4444", "--window", "64K")]
    [InlineData("--window: '1.5M' is out of range: it must be a multiple of 1 MiB", "send", "vm.qemu", "rdma:10.0.0.7:4444", "--window", "1.5M")]
    [InlineData("--window: '64'", "send", "vm.qemu", "rdma:10.0.0.7:4444", "--window", "64")]
    [InlineData("--max-bandwidth: '100'", "send", "vm.qemu", "tcp:10.0.0.7:4444", "--max-bandwidth", "100")]
    [InlineData("--max-bandwidth: 'fast'", "send", "vm.qemu", "tcp:10.0.0.7:4444", "--max-bandwidth", "fast")]
    [InlineData("--max-bandwidth: '20000P'", "send", "vm.qemu", "tcp:10.0.0.7:4444", "--max-bandwidth", "20000P")]
    [InlineData("0.001 to 86400 s", "send", "vm.qemu", "tcp:10.0.0.7:4444", "--timeout", "0")]
    [InlineData("--connect-timeout: '86401'", "send", "vm.qemu", "tcp:10.0.0.7:4444", "--connect-timeout", "86401")]
    [InlineData("--keepalive-interval: '-1'", "send", "vm.qemu", "tcp:10.0.0.7:4444", "--keepalive-interval=-1")]
    [InlineData("--confirm-timeout: '0'", "send", "vm.qemu", "tcp:10.0.0.7:4444", "--confirm-timeout", "0")]
    [InlineData("--switchover-ack: 'yes'", "receive", "rdma::4444", "--to", "vm.qemu", "--switchover-ack", "yes")]
    [InlineData("Required argument missing", "relay", "rdma::4444")]
    [InlineData("is not a migration address", "relay", "rdma::4444", "10.0.0.7")]
    [InlineData("--pin-all is for rdma:HOST:PORT", "relay", "rdma::4444", "tcp:10.0.0.7:4444", "--pin-all")]
    [InlineData("--timeout: '0'", "relay", "rdma::4444", "tcp:10.0.0.7:4444", "--timeout", "0")]
    [InlineData("FILE is empty", "send", "", "rdma:10.0.0.7:4444")]
    [InlineData("FILE is empty", "inspect", "")]
    [InlineData("--to is empty", "receive", "rdma::4444", "--to", "")]
    [InlineData("--to is empty", "receive", "rdma::4444", "--to", "", "--pattern", "{time}")]
    [InlineData("--rescue is empty", "relay", "rdma::4444", "tcp:10.0.0.7:4444", "--rescue", "")]
    [InlineData("rdma::4444 names no host", "send", "vm.qemu", "rdma::4444")]
    [InlineData("rdma:10.0.0.7:0 names no port", "send", "vm.qemu", "rdma:10.0.0.7:0")]
    [InlineData("tcp:10.0.0.7:0 names no port", "relay", "rdma::4444", "tcp:10.0.0.7:0")]
    [InlineData("--allow is for rdma:HOST:PORT", "receive", "unix:/run/vm.sock", "--to", "x", "--allow", "10.0.0.0/8")]
    [InlineData("--allow is for rdma:HOST:PORT", "relay", "fd:0", "tcp:10.0.0.7:4444", "--allow", "10.0.0.0/8")]
    [InlineData("--allow is for rdma:HOST:PORT", "serve", "--qmp", "/run/vm.qmp", "--incoming", "fd:0", "--allow", "10.0.0.0/8")]
    [InlineData("SOCKET is empty", "top", "")]
    [InlineData("Required argument missing", "migrate", "/run/vm.qmp")]
    [InlineData("'10.0.0.7' is not a migration address", "migrate", "/run/vm.qmp", "10.0.0.7")]
    [InlineData("rdma::4444 names no host", "migrate", "/run/vm.qmp", "rdma::4444")]
    [InlineData("--capability: 'multifd=yes'", "migrate", "/run/vm.qmp", "tcp:h:1", "--capability", "multifd=yes")]
    [InlineData("--parameter: 'max-bandwidth'", "migrate", "/run/vm.qmp", "tcp:h:1", "--parameter", "max-bandwidth")]
    [InlineData("--max-bandwidth: 'fast'", "migrate", "/run/vm.qmp", "tcp:h:1", "--max-bandwidth", "fast")]
    [InlineData("--metrics: '9464' has no port; expected HOST:PORT", "serve", "--qmp", "/run/vm.qmp", "--metrics", "9464")]
    [InlineData("--metrics: the port '70000' of ':70000'", "relay", "tcp::4444", "tcp:10.0.0.7:4444", "--metrics", ":70000")]
    [InlineData("--metrics: the host '::1' of '::1:9464'", "qemu", "--metrics", "::1:9464")]
    [InlineData("--greeting-timeout: '0'", "top", "/run/vm.qmp", "--greeting-timeout", "0")]
    public void A_wrong_command_line_ends_with_2_and_names_the_option_the_value_and_the_bound(string message, params string[] arguments)
    {
        CommandLine wrong = CommandLine.Run(arguments);

        Assert.Equal(ExitCode.Usage, wrong.ExitCode);
        Assert.Empty(wrong.Out);
        Assert.Contains(message, wrong.Error, StringComparison.Ordinal);
        Assert.Matches(@"Try 'rdmamig.* --help'\.\n$", wrong.Error);
    }

    [Fact]
    public void An_argument_that_begins_with_an_at_sign_is_no_response_file() =>
        Assert.Contains("'@options' is not a migration address", CommandLine.Run("receive", "@options", "--to", "x").Error, StringComparison.Ordinal);

    [Fact]
    public void A_target_in_a_directory_that_is_not_there_ends_with_3_and_the_line_that_makes_it()
    {
        string directory = Path.Combine(Path.GetTempPath(), Guid.NewGuid().ToString("N"));

        CommandLine absent = CommandLine.Run("receive", "rdma::4444", "--to", $"{directory}/vm.qemu");

        Assert.Equal(ExitCode.HostCannot, absent.ExitCode);
        Assert.Contains($"mkdir -p '{directory}'", absent.Error, StringComparison.Ordinal);
    }

    // Nobody may make files there, not even root.
    [Fact]
    public void A_target_in_a_directory_that_takes_no_file_ends_with_3()
    {
        CommandLine readOnly = CommandLine.Run("receive", "rdma::4444", "--to", "/sys/kernel/vm.qemu");

        Assert.Equal(ExitCode.HostCannot, readOnly.ExitCode);
        Assert.Contains("'/sys/kernel'", readOnly.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_metrics_port_that_is_in_use_ends_with_3_before_a_source_can_connect()
    {
        using TcpListener other = new(IPAddress.Loopback, 0);
        other.Start();
        string socket = Path.Combine(Path.GetTempPath(), Guid.NewGuid().ToString("N"));

        CommandLine cannot = CommandLine.Run("receive", $"unix:{socket}", "--to", $"{socket}.qemu", "--metrics", $"{other.LocalEndpoint}");

        Assert.Equal(ExitCode.HostCannot, cannot.ExitCode);
        Assert.Contains($"--metrics {other.LocalEndpoint}", cannot.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(socket));
    }

    [Fact]
    public void A_metrics_port_that_is_in_use_ends_guest_with_3_before_it_runs()
    {
        using TcpListener other = new(IPAddress.Loopback, 0);
        other.Start();

        CommandLine cannot = CommandLine.Run("guest", "--ram", "1M", "--json", "--metrics", $"{other.LocalEndpoint}");

        Assert.Equal(ExitCode.HostCannot, cannot.ExitCode);
        Assert.Contains($"--metrics {other.LocalEndpoint}", cannot.Error, StringComparison.Ordinal);
        Assert.Empty(cannot.Out);
    }

    [Theory]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")]
    [InlineData("OTEL_SDK_DISABLED", "true")]
    public void A_variable_that_metrics_cannot_go_with_ends_with_2_and_is_named(string name, string value)
    {
        Environment.SetEnvironmentVariable(name, value);
        try
        {
            CommandLine wrong = CommandLine.Run("serve", "--qmp", "/run/vm.qmp", "--metrics", ":0");

            Assert.Equal(ExitCode.Usage, wrong.ExitCode);
            Assert.Contains(name, wrong.Error, StringComparison.Ordinal);
        }
        finally
        {
            Environment.SetEnvironmentVariable(name, null);
        }
    }

    // 192.0.2.0/24 is for documentation: no host has it, with RDMA or without.
    [Fact]
    public void An_address_that_is_not_this_hosts_ends_with_3()
    {
        CommandLine cannot = CommandLine.Run("receive", "rdma:192.0.2.1:4444", "--to", Path.Combine(Path.GetTempPath(), "vm.qemu"));

        Assert.Equal(ExitCode.HostCannot, cannot.ExitCode);
        Assert.Contains("cannot listen on rdma:192.0.2.1:4444", cannot.Error, StringComparison.Ordinal);
        Assert.Equal(!RdmaSupport.IsSupported, cannot.Error.Contains("'rdmamig doctor'", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("tcp:192.0.2.1:4444")]
    [InlineData("unix:/nonexistent/socket")]
    [InlineData("file:/nonexistent/file")]
    public void What_has_nothing_to_do_with_RDMA_is_no_case_for_the_doctor(string uri)
    {
        CommandLine cannot = CommandLine.Run("receive", uri, "--to", Path.Combine(Path.GetTempPath(), "vm.qemu"));

        Assert.Equal(ExitCode.HostCannot, cannot.ExitCode);
        Assert.Contains(uri, cannot.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("doctor", cannot.Error, StringComparison.Ordinal);
    }
}
