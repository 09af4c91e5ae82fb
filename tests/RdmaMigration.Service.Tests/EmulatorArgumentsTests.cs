namespace RdmaMigration.Service.Tests;

public class EmulatorArgumentsTests
{
    private static readonly string[] s_monitor =
        ["-chardev", "socket,id=charmonitor,fd=23,server=on,wait=off", "-mon", "chardev=charmonitor,id=monitor,mode=control"];

    [Fact]
    public void Libvirt_s_command_line_is_read()
    {
        EmulatorArguments read = EmulatorArguments.Read(
            ["-name", "guest=a,,b,debug-threads=on", "-S", .. s_monitor, "-netdev", "tap,fds=30:31,vhost=on,vhostfd=33", "-incoming", "defer", "-msg", "x=on"]);

        Assert.Equal(("fd:23", null, true, "a,b"), (read.Monitor, read.Source.Uri, read.IsPaused, read.Name));
        Assert.Equal(
            ["-name", "guest=a,,b,debug-threads=on", "-S", "-chardev", "stdio,id=charmonitor,signal=off", "-mon", "chardev=charmonitor,id=monitor,mode=control",
                "-netdev", "tap,fds=30:31,vhost=on,vhostfd=33", "-incoming", "defer", "-msg", "x=on"],
            read.DeviceModel);
        Assert.Equal([30, 31, 33], read.Descriptors.Order());
    }

    [Theory]
    [InlineData("-object", "{\"qom-type\":\"monitor-qmp\",\"id\":\"monitor\",\"chardev\":\"charmonitor\"}")]
    [InlineData("-object", "monitor-qmp,id=monitor,chardev=charmonitor")]
    [InlineData("--mon", "charmonitor,mode=control")]
    public void The_monitor_is_found_in_each_form(string option, string value)
    {
        EmulatorArguments read = EmulatorArguments.Read(
            ["-chardev", "socket,id=charmonitor,path=/run/vm.sock,server,nowait", option, value, "--incoming", "tcp:10.0.0.5:4444"]);

        Assert.Equal(("/run/vm.sock", "tcp:10.0.0.5:4444", false), (read.Monitor, read.Source.Uri?.ToString(), read.IsPaused));
        Assert.Equal(["-incoming", "defer", "-S"], read.DeviceModel.TakeLast(3).Select(argument => argument.Replace("--", "-", StringComparison.Ordinal)));
    }

    [Fact]
    public void Only_incoming_asks_for_a_service()
    {
        Assert.True(EmulatorArguments.HaveIncoming(["-S", "-incoming", "defer"]));
        Assert.True(EmulatorArguments.HaveIncoming(["--incoming", "defer"]));
        Assert.False(EmulatorArguments.HaveIncoming(["-name", "incoming", "-S"]));
    }

    [Theory]
    [InlineData("there are 0 QMP monitors", "-incoming", "defer")]
    [InlineData("there are 2 QMP monitors", "-mon", "chardev=a,mode=control", "-mon", "chardev=b,mode=control", "-incoming", "defer")]
    [InlineData("no -chardev with id=a", "-mon", "chardev=a,mode=control", "-incoming", "defer")]
    [InlineData("server=on", "-chardev", "socket,id=a,path=/x", "-mon", "chardev=a,mode=control", "-incoming", "defer")]
    [InlineData("either path=PATH or fd=NUMBER", "-chardev", "socket,id=a,server=on", "-mon", "chardev=a,mode=control", "-incoming", "defer")]
    [InlineData("-daemonize", "-daemonize", "-incoming", "defer")]
    [InlineData("'-qmp'", "-qmp", "unix:/x,server=on", "-incoming", "defer")]
    [InlineData("-incoming has no value", "-chardev", "socket,id=a,path=/x,server=on", "-mon", "chardev=a,mode=control", "-incoming")]
    public void A_command_line_that_cannot_be_served_is_refused(string reason, params string[] arguments)
    {
        FormatException refused = Assert.Throws<FormatException>(() => EmulatorArguments.Read(arguments));
        Assert.Contains(reason, refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("query-cpus-fast", true)]
    [InlineData("qom-get", true)]
    [InlineData("balloon", true)]
    [InlineData("query-migrate", false)]
    [InlineData("query-dirty-rate", false)]
    [InlineData("device_add", false)]
    [InlineData("blockdev-add", false)]
    [InlineData("migrate-start-postcopy", false)]
    public void Questions_on_devices_are_forwarded_and_nothing_else(string command, bool isForwarded) =>
        Assert.Equal(isForwarded, DeviceCommands.IsForwarded(command));

    [Theory]
    [InlineData("7.2.22", "7.2")]
    [InlineData("8.2.0", "10.0")]
    [InlineData("10.0.13", "10.0")]
    [InlineData("11.1.3", "11.1")]
    public void The_profile_follows_QEMU_s_version(string version, string profile)
    {
        QemuProfile chosen = QemuProfile.Of(Version.Parse(version));
        Assert.Equal((profile, version), (chosen.Name, chosen.Version.ToString()));
    }
}
