using System.CommandLine;
using RdmaMigration.Cli.Serve;

namespace RdmaMigration.Cli.Tests;

public sealed class SettingsTests : IDisposable
{
    private const string Environment = "RDMAMIG_SERVE_DOWNTIME";

    private readonly string _path = Path.GetTempFileName();

    private readonly Option<int> _downtime = new("--downtime");
    private readonly Option<bool> _paused = new("--paused");
    private readonly Option<string[]> _allow = new("--allow") { Arity = ArgumentArity.OneOrMore };
    private readonly Option<string?> _config = new("--config");

    public void Dispose()
    {
        System.Environment.SetEnvironmentVariable(Environment, null);
        File.Delete(_path);
    }

    [Theory]
    [InlineData("2", "3", 3)]
    [InlineData("2", null, 2)]
    [InlineData(null, null, 1)]
    public void The_command_line_wins_over_the_environment_and_that_over_the_file(string? environment, string? commandLine, int value)
    {
        File.WriteAllText(_path, "# a comment\ndowntime = 1\n");
        System.Environment.SetEnvironmentVariable(Environment, environment);

        (ParseResult parsed, IReadOnlyList<string> errors) = Parse(commandLine is null ? [] : ["--downtime", commandLine]);

        Assert.Empty(errors);
        Assert.Equal(value, parsed.GetValue(_downtime));
    }

    [Theory]
    [InlineData("on", true)]
    [InlineData("yes", true)]
    [InlineData("true", true)]
    [InlineData("off", false)]
    public void A_switch_is_on_or_off_and_a_list_has_commas(string text, bool isPaused)
    {
        File.WriteAllText(_path, $"paused = {text}\nallow = 10.0.0.0/8:1-1023, [fd00::/8]:1024-2047\n");

        (ParseResult parsed, IReadOnlyList<string> errors) = Parse();

        Assert.Empty(errors);
        Assert.Equal(isPaused, parsed.GetValue(_paused));
        Assert.Equal(["10.0.0.0/8:1-1023", "[fd00::/8]:1024-2047"], parsed.GetRequiredValue(_allow));
    }

    [Theory]
    [InlineData("max-ram = 32K\nqmp = /run/x\n", "max-ram = 32K: --max-ram: '32K' is out of range: the least is 64 KiB")]
    [InlineData("qmp = /run/x\nmetrics = 9464\n", "metrics = 9464: --metrics: '9464' has no port")]
    [InlineData("qmp = /run/x\nallow = fd00::/8, 10.0.0.0/8:0\n", "--allow: the port '0' of '10.0.0.0/8:0'")]
    [InlineData("qmp = /run/x\npaused = perhaps\n", "paused = perhaps: ")]
    [InlineData("qmp = /run/x\nmax-rum = 64G\n", "max-rum: 'rdmamig serve' has no option --max-rum")]
    [InlineData("[vm]\nqmp = /run/x\n", "vm:qmp: 'rdmamig serve' has no option --vm:qmp")]
    [InlineData("qmp = /run/x\nconfig = other\n", "config: ")]
    [InlineData("qmp = /run/x\nthis is no setting\n", "'this is no setting'")]
    [InlineData("qmp = /run/x\nqmp = /run/y\n", "'qmp'")]
    public void A_wrong_setting_ends_serve_with_2_and_names_file_key_value_and_bound(string content, string message)
    {
        File.WriteAllText(_path, content);

        CommandLine wrong = CommandLine.Run("serve", "--config", _path);

        Assert.Equal(ExitCode.Usage, wrong.ExitCode);
        Assert.Contains($"rdmamig: {_path}: ", wrong.Error, StringComparison.Ordinal);
        Assert.Contains(message, wrong.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_wrong_variable_ends_serve_with_2_and_is_named_as_it_is_set()
    {
        System.Environment.SetEnvironmentVariable(Environment, "5");

        CommandLine wrong = CommandLine.Run("serve", "--qmp", "/run/x");

        Assert.Equal(ExitCode.Usage, wrong.ExitCode);
        Assert.Contains($"rdmamig: {Environment}: ", wrong.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_not_there_ends_serve_with_2()
    {
        CommandLine absent = CommandLine.Run("serve", "--config", "/nowhere/vm.conf", "--qmp", "/run/x");

        Assert.Equal(ExitCode.Usage, absent.ExitCode);
        Assert.Contains("'/nowhere/vm.conf'", absent.Error, StringComparison.Ordinal);
    }

    private (ParseResult Parsed, IReadOnlyList<string> Errors) Parse(params string[] arguments)
    {
        Command serve = new("serve") { _downtime, _paused, _allow, _config };
        Settings settings = new(serve, _config);
        string[] all = ["--config", _path, .. arguments];
        return (serve.Parse([.. all, .. settings.Read(serve.Parse(all))]), settings.Errors);
    }
}
