using System.Globalization;
using RdmaMigration.Linux;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>Where a capture goes: one file, or a directory in which each gets a name of its own.</summary>
internal sealed record CaptureTarget : MachineTarget
{
    /// <summary>The names in a directory unless told otherwise: machine type, then when it began.</summary>
    public const string DefaultPattern = "{machine}-{time}.qemu";

    /// <summary>Of a token's value; several of them still fit into the 255 bytes of a name.</summary>
    private const int MostLetters = 80;

    private readonly string? _pattern;

    private CaptureTarget(string directory, string? file, string? pattern)
    {
        Directory = directory;
        File = file;
        _pattern = pattern;
    }

    /// <summary>The directory in which captures appear.</summary>
    public string Directory { get; }

    /// <summary>The one file, or null when each capture is named by the pattern.</summary>
    public string? File { get; }

    /// <summary>Each capture replaces the file, once it is complete; of a symbolic link to a file, the file that it leads to now.</summary>
    public static CaptureTarget ToFile(string path)
    {
        string full = Resolve(Path.GetFullPath(path));
        return new CaptureTarget(Path.GetDirectoryName(full) ?? "/", full, null);
    }

    /// <summary>
    /// Each capture gets a new name from the pattern: <c>{machine}</c> is the machine type, <c>{time}</c> the start in UTC as 20260131T235959Z,
    /// <c>{peer}</c> the source's address. A name that is taken gets .1, .2, ... behind it.
    /// </summary>
    /// <exception cref="FormatException">The pattern has a slash or an unknown token.</exception>
    public static CaptureTarget ToDirectory(string path, string pattern = DefaultPattern)
    {
        ArgumentNullException.ThrowIfNull(pattern);
        string rest = pattern.Replace("{machine}", "", StringComparison.Ordinal).Replace("{time}", "", StringComparison.Ordinal)
            .Replace("{peer}", "", StringComparison.Ordinal);
        if (rest.AsSpan().IndexOfAny('/', '{', '}') >= 0 || pattern.Length == 0)
        {
            throw new FormatException($"the pattern '{pattern}' is not a file name with {{machine}}, {{time}} and {{peer}}");
        }

        return new CaptureTarget(Path.GetFullPath(path), null, pattern);
    }

    /// <summary>
    /// Why a capture cannot take the place of what stands under the file's name now, and what to do; null when it can. In a directory each gets a name that
    /// is free.
    /// </summary>
    public string? WhyNotReplaceable() => File is null ? null : FileNode.Named(File)?.Kind switch
    {
        null or FileKind.Regular => null,
        FileKind.Directory => $"'{File}' is a directory; write '{File}/' to save captures in it",
        FileKind.Link when FileNode.At(File) is null or { Kind: FileKind.Regular } =>
            $"'{File}' is a symbolic link, which a capture would replace; name the file that it should lead to",
        _ => $"'{File}' is not a regular file, and a capture would replace it; to write a machine into it: rdmamig relay URI \"exec:cat > {File}\"",
    };

    /// <summary>States that so many bytes can still be written.</summary>
    /// <exception cref="StorageException">The file system has less room, or this process may not write so large a file.</exception>
    internal void CheckRoom(ulong bytes)
    {
        // Checked here, since the kernel's answer to more is a signal.
        if (ResourceLimits.FileSize is { } most && bytes > most)
        {
            throw new StorageException(
                $"the capture may need {bytes} bytes, and the file size limit is {most} bytes; "
                + "raise it (ulimit -f unlimited, or LimitFSIZE=infinity of the unit)");
        }

        ulong free = (ulong)new DriveInfo(Directory).AvailableFreeSpace;
        if (bytes > free)
        {
            throw new StorageException(
                $"the file system of '{Directory}' has {free} bytes free, and the capture may need {bytes}; free some, or choose another target");
        }
    }

    /// <summary>The name to try for a capture; <paramref name="attempt"/> counts from 0.</summary>
    internal string NameFor(string? machine, DateTimeOffset start, string peer, int attempt)
    {
        if (File is not null)
        {
            return File;
        }

        string name = _pattern!.Replace("{machine}", Safe(machine ?? "machine"), StringComparison.Ordinal)
            .Replace("{time}", start.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture), StringComparison.Ordinal)
            .Replace("{peer}", Safe(peer), StringComparison.Ordinal);
        return Path.Combine(Directory, attempt == 0 ? name : string.Create(CultureInfo.InvariantCulture, $"{name}.{attempt}"));
    }

    /// <summary>What is no link to a file stays as it is.</summary>
    private static string Resolve(string path) =>
        FileNode.Named(path) is { Kind: FileKind.Link } && FileNode.At(path) is { Kind: FileKind.Regular }
            ? System.IO.File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path
            : path;

    /// <summary>The source chooses the machine type's name, so nothing of it may lead out of the directory; a command is longer than a name may be.</summary>
    private static string Safe(string text) =>
        string.Concat(text.Take(MostLetters).Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' ? c : '_')).TrimStart('.');
}
