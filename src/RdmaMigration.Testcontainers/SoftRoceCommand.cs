using System.Globalization;

namespace RdmaMigration.Testcontainers;

/// <summary>The command line of the program softroce, which the image runs. Its --help describes the options.</summary>
internal static class SoftRoceCommand
{
    /// <summary>Wires have names because one machine can have several. A container has one.</summary>
    public const string Wire = "lab";

    /// <summary>softroce names the hosts from a to z.</summary>
    public const int MostHosts = 26;

    /// <summary>The line on standard error by which the guest reports that it is up and reaches the other hosts.</summary>
    public const string Started = "softroce: the command starts";

    private const string StartScript = $"echo '{Started}' >&2; exec \"$@\"";

    public static string Letter(int host) => ((char)('a' + host - 1)).ToString();

    /// <summary>The name by which the other containers find this one.</summary>
    public static string Alias(int host) => $"host-{Letter(host)}";

    public static List<string> Arguments(SoftRoceConfiguration configuration)
    {
        List<string> arguments = ["run", "--guest"];
        int host = configuration.Host ?? 1;
        int hosts = configuration.Hosts ?? 1;
        if (hosts > 1)
        {
            arguments.AddRange(["--wire", Wire, "--host", Letter(host)]);
            foreach (int other in Enumerable.Range(1, hosts).Where(other => other != host))
            {
                arguments.AddRange(["--peer", $"{Letter(other)}={Alias(other)}"]);
            }
        }

        if (configuration.GuestMemory is { } mebibytes)
        {
            arguments.AddRange(["--memory", mebibytes.ToString(CultureInfo.InvariantCulture)]);
        }

        if (configuration.GuestTimeout is { } timeout)
        {
            arguments.AddRange(["--timeout", Seconds(timeout)]);
        }

        if (configuration.BootTimeout is { } bootTimeout)
        {
            arguments.AddRange(["--boot-timeout", Seconds(bootTimeout)]);
        }

        foreach ((string name, string value) in configuration.GuestEnvironment ?? new Dictionary<string, string>())
        {
            arguments.AddRange(["--env", $"{name}={value}"]);
        }

        arguments.AddRange(["--", "bash", "-c", StartScript, "softroce", .. configuration.GuestCommand ?? []]);
        return arguments;
    }

    /// <summary>Counts how many times the command has started.</summary>
    /// <param name="error">The standard error of the container.</param>
    public static int CountStarts(string error) => error.Split('\n').Count(line => line == Started);

    /// <summary>The standard error of the command and of softroce, without the lines of the starts.</summary>
    public static string WithoutStarts(string error) => string.Join('\n', error.Split('\n').Where(line => line != Started));

    /// <summary>softroce takes whole seconds, at least one.</summary>
    private static string Seconds(TimeSpan time) => Math.Ceiling(time.TotalSeconds).ToString(CultureInfo.InvariantCulture);
}
