using System.Globalization;
using Microsoft.Win32.SafeHandles;
using RdmaMigration.Linux;
using RdmaMigration.Qmp;
using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>A descriptor by the name that getfd gave it: <c>fd:NAME</c>.</summary>
/// <param name="Name">The name. It does not begin with a digit.</param>
internal sealed record NamedDescriptorUri(string Name) : MigrationUri
{
    /// <inheritdoc/>
    public override string Scheme => DescriptorUri.SchemeName;

    /// <inheritdoc/>
    public override string ToString() => $"{Scheme}:{Name}";
}

/// <summary>A descriptor of a set.</summary>
/// <param name="Handle">The descriptor.</param>
/// <param name="Opaque">The client's text about it; null for none.</param>
internal sealed record SetDescriptor(SafeFileHandle Handle, string? Opaque)
{
    /// <summary>Its number.</summary>
    public int Number { get; } = (int)Handle.DangerousGetHandle();
}

/// <summary>
/// The file descriptors that clients have passed: by name, for one migration each, and in sets, whose members are duplicated for each use. Main thread.
/// </summary>
internal sealed class PassedDescriptors
{
    /// <summary>Names and members of sets together. A script that leaks them must not exhaust the process's descriptors.</summary>
    public const int Maximum = 128;

    private const string SetPath = "/dev/fdset/";

    private readonly Dictionary<string, SafeFileHandle> _names = new(StringComparer.Ordinal);
    private readonly SortedDictionary<int, List<SetDescriptor>> _sets = new(Comparer<int>.Create(static (one, other) => other.CompareTo(one)));
    private SafeFileHandle? _used;

    /// <summary>The sets, in QEMU's order: the highest number first. In each, the descriptors as they came.</summary>
    public IReadOnlyDictionary<int, List<SetDescriptor>> Sets => _sets;

    /// <summary>getfd: names a descriptor. One that had the name is closed.</summary>
    /// <exception cref="QmpException">There are too many. The descriptor is closed.</exception>
    public void Name(string name, SafeFileHandle handle)
    {
        if (_names.Remove(name, out SafeFileHandle? replaced))
        {
            replaced.Dispose();
        }

        CheckCount(handle);
        _names[name] = handle;
    }

    /// <summary>closefd.</summary>
    /// <exception cref="QmpException">There is no such name.</exception>
    public void Close(string name)
    {
        if (!_names.Remove(name, out SafeFileHandle? handle))
        {
            throw NotFound(name);
        }

        handle.Dispose();
    }

    /// <summary>add-fd. Without a number, the lowest free one is the new set's.</summary>
    /// <returns>The number of the set.</returns>
    /// <exception cref="QmpException">There are too many. The descriptor is closed.</exception>
    public int Add(int? set, SetDescriptor added)
    {
        CheckCount(added.Handle);
        int number = set ?? Enumerable.Range(0, int.MaxValue).First(free => !_sets.ContainsKey(free));
        if (!_sets.TryGetValue(number, out List<SetDescriptor>? members))
        {
            _sets[number] = members = [];
        }

        members.Add(added);
        return number;
    }

    /// <summary>remove-fd: one descriptor of a set, or all. A set without descriptors is gone.</summary>
    /// <exception cref="QmpException">There is no such set or descriptor.</exception>
    public void Remove(long set, long? descriptor)
    {
        List<SetDescriptor>? members = set is >= 0 and <= int.MaxValue ? _sets.GetValueOrDefault((int)set) : null;
        SetDescriptor[] removed = [.. (members ?? []).Where(member => descriptor is null || member.Number == descriptor)];
        if (members is null || removed.Length == 0)
        {
            throw NotFound(descriptor is null ? $"fdset-id:{set}" : $"fdset-id:{set}, fd:{descriptor}");
        }

        foreach (SetDescriptor member in removed)
        {
            members.Remove(member);
            member.Handle.Dispose();
        }

        if (members.Count == 0)
        {
            _sets.Remove((int)set);
        }
    }

    /// <summary>
    /// Begins a migration. An address that names a passed descriptor is replaced by the descriptor. A name is gone after that, unless the migration does not
    /// begin.
    /// </summary>
    /// <param name="uri">The address.</param>
    /// <param name="forWriting">The machine goes there.</param>
    /// <param name="begin">Begins, at the address that it gets.</param>
    /// <exception cref="QmpException">There is no such descriptor.</exception>
    public void Use(MigrationUri uri, bool forWriting, Action<MigrationUri> begin)
    {
        SafeFileHandle? handle = uri switch
        {
            NamedDescriptorUri named => _names.Remove(named.Name, out SafeFileHandle? found) ? found
                : throw new QmpException($"File descriptor named '{named.Name}' has not been found"),
            FileUri file when file.Path.StartsWith(SetPath, StringComparison.Ordinal) => Duplicate(file, forWriting),
            _ => null,
        };
        if (handle is null)
        {
            begin(uri);
            return;
        }

        try
        {
            begin(new PassedDescriptorUri(uri.ToString(), handle));
            _used = handle;
        }
        catch
        {
            if (uri is NamedDescriptorUri named && !handle.IsClosed)
            {
                _names[named.Name] = handle;
            }
            else
            {
                handle.Dispose();
            }

            throw;
        }
    }

    /// <summary>The migration has ended. One that was cancelled before it opened its descriptor has not closed it.</summary>
    public void EndUse()
    {
        _used?.Dispose();
        _used = null;
    }

    /// <summary>Closes all. No migration runs.</summary>
    public void CloseAll()
    {
        EndUse();
        foreach (SafeFileHandle handle in _names.Values.Concat(_sets.Values.SelectMany(set => set.Select(member => member.Handle))))
        {
            handle.Dispose();
        }
    }

    private void CheckCount(SafeFileHandle added)
    {
        if (_names.Count + _sets.Values.Sum(set => set.Count) >= Maximum)
        {
            added.Dispose();
            throw new QmpException($"{Maximum} file descriptors are kept already; close some with closefd or remove-fd");
        }
    }

    private SafeFileHandle Duplicate(FileUri file, bool forWriting)
    {
        bool isNumber = int.TryParse(file.Path.AsSpan(SetPath.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int set);
        if (!isNumber || !_sets.TryGetValue(set, out List<SetDescriptor>? members))
        {
            throw CannotOpen(file, Errno.ENOENT);
        }

        SetDescriptor member = members.FindLast(member => forWriting ? Descriptor.IsWritable(member.Number) : Descriptor.IsReadable(member.Number))
            ?? throw CannotOpen(file, Errno.EACCES);
        CallResult duplicate = Descriptor.Duplicate(member.Number, Descriptor.FirstOwn);
        if (duplicate.Failed)
        {
            throw CannotOpen(file, duplicate.Error);
        }

        SafeFileHandle handle = new((nint)duplicate.Value, ownsHandle: true);
        CallResult placed = Place((int)duplicate.Value, file.Offset, forWriting);
        if (placed.Failed)
        {
            handle.Dispose();
            throw CannotOpen(file, placed.Error);
        }

        return handle;
    }

    /// <summary>The stream begins at the offset, and ends a file that it is written to.</summary>
    private static CallResult Place(int descriptor, long offset, bool forWriting)
    {
        if (FileStatus.Of(descriptor) is not { Type: FileStatus.Regular or FileStatus.BlockDevice } file)
        {
            // A pipe has no positions.
            return default;
        }

        CallResult cut = forWriting && file.Type is FileStatus.Regular ? Descriptor.Truncate(descriptor, offset) : default;
        return cut.Failed ? cut : Descriptor.Seek(descriptor, offset, SeekOrigin.Begin);
    }

    private static QmpException NotFound(string name) => new($"File descriptor named '{name}' not found");

    private static QmpException CannotOpen(FileUri file, Errno error) => new($"Could not open '{file.Path}': {error.Text()}");
}
