using System.Globalization;

namespace RdmaMigration.Engine;

/// <summary>Where a capture goes: one file, or a directory in which each gets a name of its own.</summary>
public sealed record CaptureTarget : MachineTarget
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

    /// <summary>Each capture replaces the file, once it is complete.</summary>
    public static CaptureTarget ToFile(string path)
    {
        string full = Path.GetFullPath(path);
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

    /// <summary>States that so many bytes can still be written.</summary>
    /// <exception cref="StorageException">The file system has less room.</exception>
    internal void CheckRoom(ulong bytes)
    {
        ulong free = (ulong)new DriveInfo(Directory).AvailableFreeSpace;
        if (bytes > free)
        {
            throw new StorageException(
                $"the file system of '{Directory}' has {free} bytes free, and the capture may need {bytes}: free some, or choose another target");
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

    /// <summary>The source chooses the machine type's name, so nothing of it may lead out of the directory; a command is longer than a name may be.</summary>
    private static string Safe(string text) =>
        string.Concat(text.Take(MostLetters).Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' ? c : '_')).TrimStart('.');
}
