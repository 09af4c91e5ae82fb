using System.Runtime.InteropServices;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli.Doctor;

/// <summary>The user libraries. Their providers, which make a kernel's device visible to them, are checked with the devices.</summary>
internal static class LibraryChecks
{
    private const string Group = "library";

    private static readonly string[] s_libraries = ["libibverbs.so.1", "librdmacm.so.1"];

    /// <param name="tree">The host.</param>
    /// <param name="load">Loads a library by name and keeps it loaded; false when the loader finds none.</param>
    /// <param name="verbs">What the libraries see.</param>
    public static IEnumerable<HostCheck> Run(HostTree tree, Func<string, bool> load, VerbsView verbs)
    {
        bool complete = true;
        foreach (string library in s_libraries)
        {
            if (load(library))
            {
                yield return new HostCheck(Group, library, CheckStatus.Ok, MappedPath(tree, library) ?? "found");
            }
            else
            {
                complete = false;
                yield return new HostCheck(Group, library, CheckStatus.Missing, "the loader does not find it", InstallLine(tree));
            }
        }

        if (complete && verbs.MissingLibraryReason is { } reason)
        {
            yield return new HostCheck(Group, "verbs", CheckStatus.Missing, reason, InstallLine(tree));
        }

        yield return OpenSsl.Libraries.FirstOrDefault(load) is { } tls
            ? new HostCheck(Group, tls, CheckStatus.Ok, $"{MappedPath(tree, tls) ?? "found"}, for TLS over tcp: (--tls-creds)")
            : new HostCheck(
                Group,
                OpenSsl.Libraries[0],
                CheckStatus.Warn,
                "the loader does not find it; TLS over tcp: (--tls-creds) needs it, RDMA does not",
                OpenSslInstallLine(tree));
        yield return new HostCheck(
            "network", "encryption", CheckStatus.Ok, "RDMA has none: a migration is the machine's memory in clear, so use a network of its own");
    }

    /// <summary>Keeps the library loaded: its path and with it its version are then in /proc/self/maps.</summary>
    public static bool Load(string library) => NativeLibrary.TryLoad(library, out _);

    /// <summary>The line that installs rdma-core's libraries on this distribution.</summary>
    public static string InstallLine(HostTree tree)
    {
        HashSet<string> family = Family(tree);
        if (family.Overlaps(["debian", "ubuntu"]))
        {
            return "apt-get install libibverbs1 ibverbs-providers librdmacm1";
        }

        if (family.Overlaps(["fedora", "rhel", "centos"]))
        {
            return "dnf install libibverbs librdmacm";
        }

        if (family.Overlaps(["suse", "opensuse"]))
        {
            return "zypper install libibverbs1 librdmacm1 rdma-core";
        }

        return family.Contains("arch") ? "pacman -S rdma-core" : "install rdma-core's libibverbs and librdmacm with their providers";
    }

    private static string OpenSslInstallLine(HostTree tree)
    {
        HashSet<string> family = Family(tree);
        return family.Overlaps(["debian", "ubuntu"]) ? "apt-get install openssl"
            : family.Overlaps(["fedora", "rhel", "centos"]) ? "dnf install openssl-libs"
            : family.Overlaps(["suse", "opensuse"]) ? "zypper install libopenssl3"
            : "install OpenSSL";
    }

    private static HashSet<string> Family(HostTree tree) =>
    [
        .. tree.ReadLines("/etc/os-release")
            .Where(line => line.StartsWith("ID=", StringComparison.Ordinal) || line.StartsWith("ID_LIKE=", StringComparison.Ordinal))
            .SelectMany(line => line[(line.IndexOf('=') + 1)..].Trim('"').Split(' ')),
    ];

    private static string? MappedPath(HostTree tree, string library) =>
        tree.ReadLines("/proc/self/maps")
            .Select(line => line.IndexOf('/') is >= 0 and var start ? line[start..] : "")
            .FirstOrDefault(path => Path.GetFileName(path).StartsWith(library, StringComparison.Ordinal));
}
