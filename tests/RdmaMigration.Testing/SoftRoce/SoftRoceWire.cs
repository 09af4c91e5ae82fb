namespace RdmaMigration.Testing;

/// <summary>The wire between two soft-RoCE guests: host a is 10.77.0.1 and fd77::1, host b is 10.77.0.2 and fd77::2.</summary>
/// <param name="Name">Distinguishes it from the other wires of this clone.</param>
public sealed record SoftRoceWire(string Name)
{
    private static readonly string s_softroce = Path.Combine(Executables.RepositoryRoot, "docker", "softroce", "softroce");

    /// <summary>The command that boots a host and runs in it what follows.</summary>
    public string[] Run(string host, params string[] options) => [s_softroce, "run", "--guest", "--wire", Name, "--host", host, .. options, "--"];

    /// <summary>Unplugs a host, or plugs it in: it loses its carrier, and the other host sees only silence.</summary>
    public async Task LinkAsync(bool up, string host)
    {
        (int exitCode, string output) = await ChildProcess.RunAsync(s_softroce, "link", up ? "on" : "off", Name, host);
        if (exitCode != 0)
        {
            throw new InvalidOperationException(output);
        }
    }
}
