using RdmaMigration.Testing;

namespace RdmaMigration.Packaging.Tests;

/// <summary>The packages that <c>./build.sh pack</c> made.</summary>
internal static class Package
{
    public static string Debian => Single("rdmamig_*_amd64.deb");

    public static string Tarball => Single("rdmamig-*-linux-x64.tar.gz");

    private static string Single(string pattern) =>
        Directory.GetFiles(Path.Combine(Executables.RepositoryRoot, ".artifacts", "packages"), pattern).Single();
}
