using System.Formats.Tar;
using System.IO.Compression;
using RdmaMigration.Testing;

namespace RdmaMigration.Packaging.Tests;

public sealed class TarballTests : IDisposable
{
    // The plain Debian sees this directory of the host.
    private readonly WorkDirectory _work = new("/dev/shm");

    public void Dispose() => _work.Dispose();

    [Fact]
    public async Task An_unpacked_tarball_runs_and_can_be_removed()
    {
        await using CleanRoot root = await CleanRoot.StartAsync();
        string copy = _work.File("rdmamig.tar.gz");
        File.Copy(Package.Tarball, copy);

        await root.DoAsync("tar", "-xzf", copy, "-C", "/", "--strip-components=1");

        Assert.Equal(await ChildProcess.RunAsync(Executables.Rdmamig, "--version"), await root.RunAsync("rdmamig", "--version"));

        await root.DoAsync("sh", "-c", $"tar -tzf {copy} | sed 's:[^/]*::' | xargs rm");

        Assert.Equal("", await root.DoAsync("find", "/usr", "/etc", "-path", "*rdmamig*", "-not", "-type", "d"));
    }

    [Fact]
    public async Task A_tarball_has_the_files_of_the_Debian_package_and_no_directories()
    {
        string tree = _work.File("package");
        Assert.Equal((0, ""), await ChildProcess.RunAsync(Executables.OnPath("dpkg-deb", "dpkg"), "--extract", Package.Debian, tree));
        IEnumerable<string> packaged = Directory.EnumerateFiles(tree, "*", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(tree, path).Replace("vendor-completions/_rdmamig", "site-functions/_rdmamig", StringComparison.Ordinal));

        await using GZipStream unzipped = new(File.OpenRead(Package.Tarball), CompressionMode.Decompress);
        await using TarReader reader = new(unzipped);
        List<TarEntry> entries = [];
        while (await reader.GetNextEntryAsync() is { } entry)
        {
            entries.Add(entry);
        }

        Assert.All(entries, entry => Assert.Equal(TarEntryType.RegularFile, entry.EntryType));
        const string document = "usr/share/doc/rdmamig/";
        IEnumerable<string> expected = packaged.Except([$"{document}changelog.Debian.gz"])
            .Concat([$"{document}LICENSE", $"{document}README.md", $"{document}Apache-2.0"]);
        IEnumerable<string> names = entries.Select(entry => entry.Name[(entry.Name.IndexOf('/') + 1)..]);
        Assert.Equal(expected.Order(StringComparer.Ordinal), names.Order(StringComparer.Ordinal));
    }
}
