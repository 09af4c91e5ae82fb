using System.Numerics;
using System.Text;

namespace RdmaMigration.VmState;

/// <summary>
/// Describes the state of a device, in the manner of QEMU's VMStateDescription and with the same bytes in the stream: fields in order, then subsections.
/// Build it once, with the methods that add fields, and share it: it is plain data and delegates, uses no reflection, and has no state of a device. After the
/// first machine uses it, it takes no more fields.
/// <para>
/// A load first decodes a device without the big lock and without changing it, then commits it with the lock held. So setters, <see cref="PostLoad"/>,
/// <see cref="PreSave"/> and getters of values run with the lock held. Getters of nested structures, predicates and checks also run during the decode, without
/// the lock unless <see cref="NeedsLockToDecode"/>: they must only look at what does not change, and must not throw.
/// </para>
/// </summary>
/// <typeparam name="T">The object that holds the state.</typeparam>
public sealed class VmStateDescription<T>
    where T : class
{
    /// <summary>Begins a description without fields.</summary>
    /// <param name="name">
    /// The state's name: 1 to 255 printable ASCII characters. That of a subsection begins with the name of the state that it belongs to; usually a slash
    /// follows.
    /// </param>
    /// <param name="version">The version that is written, and the newest that is read.</param>
    /// <param name="minimumVersion">The oldest version that is read; null for <paramref name="version"/>.</param>
    /// <exception cref="ArgumentException">The name is not as above, or the minimum is above the version.</exception>
    public VmStateDescription(string name, uint version = 0, uint? minimumVersion = null)
    {
        CheckName(name);
        if (minimumVersion > version)
        {
            throw new ArgumentException($"'{name}': the minimum version {minimumVersion} is above the version {version}", nameof(minimumVersion));
        }

        Name = name;
        Version = version;
        MinimumVersion = minimumVersion ?? version;
        Layout = new StateLayout<T>(name);
    }

    /// <summary>The state's name.</summary>
    public string Name { get; }

    /// <summary>The version that is written, and the newest that is read.</summary>
    public uint Version { get; }

    /// <summary>The oldest version that is read.</summary>
    public uint MinimumVersion { get; }

    /// <summary>Of a device: those of a higher priority are saved, and so loaded, before others. Default 0.</summary>
    public int Priority { get; init; }

    /// <summary>
    /// Whether a save has this device or subsection; null for always. With the big lock held. A load of a machine fails if a device without such a predicate
    /// does not come.
    /// </summary>
    public Func<T, bool>? Needed { get; init; }

    /// <summary>
    /// Called before a load, so that fields which the stream does not have get their defaults. That of a device is called before its decode and without the big
    /// lock, see <see cref="PreLoadNeedsLock"/> and <see cref="NeedsLockToDecode"/>; that of a structure or a subsection during the commit, with the lock held.
    /// What it throws ends the load.
    /// </summary>
    public Action<T>? PreLoad { get; init; }

    /// <summary>A device's <see cref="PreLoad"/> is called with the big lock held, at the beginning of the commit. Default false.</summary>
    public bool PreLoadNeedsLock { get; init; }

    /// <summary>
    /// Of a device: what runs during its decode (predicates, checks, factories, getters of nested structures) needs the big lock. Default false.
    /// <para>
    /// A save sends such a device in a package of at most 16 MiB. A load reads the package into memory without the lock, then decodes the device with the lock
    /// held: monitor commands wait that long. <see cref="PreLoad"/> then runs with the lock held too, before the decode. A section of such a device that is not
    /// in a package is refused, so set this in the source's program as well. In a subsection or a nested structure it has no effect.
    /// </para>
    /// </summary>
    public bool NeedsLockToDecode { get; init; }

    /// <summary>
    /// Called after fields and subsections are applied, with the version that the stream had and with the big lock held. What it throws ends the load: no field
    /// of the device is changed then, and the machine does not start.
    /// </summary>
    public Action<T, uint>? PostLoad { get; init; }

    /// <summary>Called before a save, with the big lock held. What it throws ends the migration, and the machine goes on.</summary>
    public Action<T>? PreSave { get; init; }

    /// <summary>Fields and subsections.</summary>
    internal StateLayout<T> Layout { get; }

    /// <summary>Adds a big-endian integer of 1, 2, 4 or 8 bytes, as wide as <typeparamref name="TValue"/>.</summary>
    /// <typeparam name="TValue">sbyte, byte, short, ushort, int, uint, long or ulong.</typeparam>
    /// <param name="name">The field's name.</param>
    /// <param name="get">Gets the value.</param>
    /// <param name="set">Sets the value.</param>
    /// <param name="since">The first version that has the field.</param>
    /// <param name="exists">Decides alone whether the field is there; null for <paramref name="since"/>.</param>
    /// <param name="accepts">Refuses values by returning false, which ends the load; null to take all.</param>
    /// <param name="type">The vmdescription's word for the type, where it is not that of the integer; for example "timer".</param>
    /// <returns>This description.</returns>
    public VmStateDescription<T> Integer<TValue>(
        string name,
        Func<T, TValue> get,
        Action<T, TValue> set,
        uint since = 0,
        Func<FieldView<T>, bool>? exists = null,
        Func<T, TValue, bool>? accepts = null,
        string? type = null)
        where TValue : unmanaged, IBinaryInteger<TValue> =>
        Add(new ScalarField<T, TValue>(Terms(name, since, exists), IntegerScalar<TValue>.Instance, type, get, set, accepts));

    /// <summary>Adds a bool: one byte, 0 or 1.</summary>
    /// <inheritdoc cref="Integer{TValue}" path="/param|/returns"/>
    public VmStateDescription<T> Bool(
        string name,
        Func<T, bool> get,
        Action<T, bool> set,
        uint since = 0,
        Func<FieldView<T>, bool>? exists = null,
        Func<T, bool, bool>? accepts = null) =>
        Add(new ScalarField<T, bool>(Terms(name, since, exists), Scalars.Bool, null, get, set, accepts));

    /// <summary>Adds an array of integers with a fixed number of elements.</summary>
    /// <typeparam name="TValue">sbyte, byte, short, ushort, int, uint, long or ulong.</typeparam>
    /// <param name="name">The field's name.</param>
    /// <param name="length">How many elements there are.</param>
    /// <param name="get">Gets the array, into which a load copies the elements.</param>
    /// <param name="since">The first version that has the field.</param>
    /// <param name="exists">Decides alone whether the field is there; null for <paramref name="since"/>.</param>
    /// <param name="type">The vmdescription's word for an element, where it is not that of the integer.</param>
    /// <returns>This description.</returns>
    public VmStateDescription<T> Array<TValue>(
        string name, int length, Func<T, TValue[]> get, uint since = 0, Func<FieldView<T>, bool>? exists = null, string? type = null)
        where TValue : unmanaged, IBinaryInteger<TValue> =>
        Add(new ArrayField<T, TValue>(Terms(name, since, exists), IntegerScalar<TValue>.Instance, type, Fixed(length), get, null));

    /// <summary>Adds an array of bools with a fixed number of elements.</summary>
    /// <inheritdoc cref="Array{TValue}" path="/param|/returns"/>
    public VmStateDescription<T> BoolArray(string name, int length, Func<T, bool[]> get, uint since = 0, Func<FieldView<T>, bool>? exists = null) =>
        Add(new ArrayField<T, bool>(Terms(name, since, exists), Scalars.Bool, null, Fixed(length), get, null));

    /// <summary>Adds an array of integers whose number of elements a field before it says.</summary>
    /// <typeparam name="TValue">sbyte, byte, short, ushort, int, uint, long or ulong.</typeparam>
    /// <param name="name">The field's name.</param>
    /// <param name="count">The name of an integer field before this one, which has the number of elements.</param>
    /// <param name="maximum">The most elements that a load takes.</param>
    /// <param name="get">Gets the array, with exactly as many elements as the count says.</param>
    /// <param name="set">Takes the array of a load.</param>
    /// <param name="since">The first version that has the field.</param>
    /// <param name="exists">Decides alone whether the field is there; null for <paramref name="since"/>.</param>
    /// <returns>This description.</returns>
    public VmStateDescription<T> VariableArray<TValue>(
        string name,
        string count,
        int maximum,
        Func<T, TValue[]> get,
        Action<T, TValue[]> set,
        uint since = 0,
        Func<FieldView<T>, bool>? exists = null)
        where TValue : unmanaged, IBinaryInteger<TValue> =>
        Add(new ArrayField<T, TValue>(Terms(name, since, exists), IntegerScalar<TValue>.Instance, null, Counted(count, maximum), get, set));

    /// <summary>Adds a fixed number of bytes.</summary>
    /// <param name="name">The field's name.</param>
    /// <param name="length">How many bytes there are.</param>
    /// <param name="get">Gets the memory, into which a load copies the bytes.</param>
    /// <param name="since">The first version that has the field.</param>
    /// <param name="exists">Decides alone whether the field is there; null for <paramref name="since"/>.</param>
    /// <param name="type">The vmdescription's word for the type, where it is not "buffer".</param>
    /// <returns>This description.</returns>
    public VmStateDescription<T> Buffer(
        string name, int length, Func<T, Memory<byte>> get, uint since = 0, Func<FieldView<T>, bool>? exists = null, string? type = null) =>
        Add(new BufferField<T>(Terms(name, since, exists), type, Fixed(length).Maximum, get));

    /// <summary>Adds bytes whose number a field before them says.</summary>
    /// <param name="name">The field's name.</param>
    /// <param name="length">The name of an integer field before this one, which has the number of bytes.</param>
    /// <param name="maximum">The most bytes that a load takes.</param>
    /// <param name="get">Gets the bytes, exactly as many as the length says.</param>
    /// <param name="set">Takes the bytes of a load.</param>
    /// <param name="since">The first version that has the field.</param>
    /// <param name="exists">Decides alone whether the field is there; null for <paramref name="since"/>.</param>
    /// <returns>This description.</returns>
    public VmStateDescription<T> VariableBuffer(
        string name,
        string length,
        int maximum,
        Func<T, ReadOnlyMemory<byte>> get,
        Action<T, byte[]> set,
        uint since = 0,
        Func<FieldView<T>, bool>? exists = null) =>
        Add(new VariableBufferField<T>(Terms(name, since, exists), Counted(length, maximum), get, set));

    /// <summary>Adds bytes that once meant something: written as zero, not looked at by a load.</summary>
    /// <param name="length">How many bytes there are.</param>
    /// <param name="since">The first version that has them.</param>
    /// <param name="exists">Decides alone whether they are there; null for <paramref name="since"/>.</param>
    /// <returns>This description.</returns>
    public VmStateDescription<T> Unused(int length, uint since = 0, Func<FieldView<T>, bool>? exists = null) =>
        Add(new UnusedField<T>(Terms("unused", since, exists), Fixed(length).Maximum));

    /// <summary>
    /// Adds a structure that is always there, such as the common part of a family of devices. QEMU's pointer to a structure has the same bytes.
    /// </summary>
    /// <typeparam name="TPart">The object that holds the structure.</typeparam>
    /// <param name="name">The field's name.</param>
    /// <param name="description">The structure, of its newest version.</param>
    /// <param name="get">Gets the structure's object, which a load fills; the same one each time.</param>
    /// <param name="since">The first version that has the field.</param>
    /// <param name="exists">Decides alone whether the field is there; null for <paramref name="since"/>.</param>
    /// <returns>This description.</returns>
    public VmStateDescription<T> Struct<TPart>(
        string name, VmStateDescription<TPart> description, Func<T, TPart> get, uint since = 0, Func<FieldView<T>, bool>? exists = null)
        where TPart : class =>
        Add(new StructField<T, TPart>(Terms(name, since, exists), description, null, get));

    /// <summary>
    /// Adds a structure that the vmdescription gives only a type and a size, as QEMU does where a device writes a field with code of its own.
    /// </summary>
    /// <typeparam name="TPart">The object that holds the structure.</typeparam>
    /// <param name="name">The field's name.</param>
    /// <param name="type">The vmdescription's word for it, such as "virtio".</param>
    /// <param name="description">The structure, of its newest version. Its name and version do not show.</param>
    /// <param name="get">Gets the structure's object, which a load fills; the same one each time.</param>
    /// <param name="since">The first version that has the field.</param>
    /// <param name="exists">Decides alone whether the field is there; null for <paramref name="since"/>.</param>
    /// <returns>This description.</returns>
    public VmStateDescription<T> Opaque<TPart>(
        string name, string type, VmStateDescription<TPart> description, Func<T, TPart> get, uint since = 0, Func<FieldView<T>, bool>? exists = null)
        where TPart : class =>
        Add(new StructField<T, TPart>(Terms(name, since, exists), description, type, get));

    /// <summary>Adds a fixed number of structures.</summary>
    /// <typeparam name="TPart">The object that holds a structure.</typeparam>
    /// <param name="name">The field's name.</param>
    /// <param name="length">How many structures there are.</param>
    /// <param name="description">The structure, of its newest version.</param>
    /// <param name="get">Gets the structures' objects, which a load fills; the same ones each time.</param>
    /// <param name="since">The first version that has the field.</param>
    /// <param name="exists">Decides alone whether the field is there; null for <paramref name="since"/>.</param>
    /// <returns>This description.</returns>
    public VmStateDescription<T> StructArray<TPart>(
        string name,
        int length,
        VmStateDescription<TPart> description,
        Func<T, IReadOnlyList<TPart>> get,
        uint since = 0,
        Func<FieldView<T>, bool>? exists = null)
        where TPart : class =>
        Add(new StructArrayField<T, TPart>(Terms(name, since, exists), description, Fixed(length), get, null, null));

    /// <summary>Adds structures whose number a field before them says.</summary>
    /// <typeparam name="TPart">The object that holds a structure.</typeparam>
    /// <param name="name">The field's name.</param>
    /// <param name="count">The name of an integer field before this one, which has the number of structures.</param>
    /// <param name="maximum">The most structures that a load takes.</param>
    /// <param name="description">The structure, of its newest version.</param>
    /// <param name="get">Gets the objects, exactly as many as the count says.</param>
    /// <param name="set">Takes the objects of a load.</param>
    /// <param name="create">Makes an object that belongs to nothing yet. Called during the decode, without the big lock.</param>
    /// <param name="since">The first version that has the field.</param>
    /// <param name="exists">Decides alone whether the field is there; null for <paramref name="since"/>.</param>
    /// <returns>This description.</returns>
    public VmStateDescription<T> VariableStructArray<TPart>(
        string name,
        string count,
        int maximum,
        VmStateDescription<TPart> description,
        Func<T, IReadOnlyList<TPart>> get,
        Action<T, IReadOnlyList<TPart>> set,
        Func<TPart> create,
        uint since = 0,
        Func<FieldView<T>, bool>? exists = null)
        where TPart : class =>
        Add(new StructArrayField<T, TPart>(Terms(name, since, exists), description, Counted(count, maximum), get, set, create));

    /// <summary>
    /// Adds a fixed number of structures, some of which may be null: the byte '0' stands for one that is null. Both sides must have the same ones, as in every
    /// QEMU up to 10.
    /// </summary>
    /// <typeparam name="TPart">The object that holds a structure.</typeparam>
    /// <param name="name">The field's name.</param>
    /// <param name="length">How many there are, those that are null included.</param>
    /// <param name="description">The structure, of its newest version.</param>
    /// <param name="get">Gets the structures' objects, which a load fills.</param>
    /// <param name="since">The first version that has the field.</param>
    /// <param name="exists">Decides alone whether the field is there; null for <paramref name="since"/>.</param>
    /// <returns>This description.</returns>
    public VmStateDescription<T> PointerArray<TPart>(
        string name,
        int length,
        VmStateDescription<TPart> description,
        Func<T, IList<TPart?>> get,
        uint since = 0,
        Func<FieldView<T>, bool>? exists = null)
        where TPart : class =>
        Add(new PointerArrayField<T, TPart>(Terms(name, since, exists), description, Fixed(length).Maximum, get, null));

    /// <summary>
    /// Adds a fixed number of structures, some of which may be null: the byte '0' stands for one that is null, and '1' before one that is not. The stream
    /// decides which are there, as in QEMU 11.
    /// </summary>
    /// <typeparam name="TPart">The object that holds a structure.</typeparam>
    /// <param name="name">The field's name.</param>
    /// <param name="length">How many there are, those that are null included.</param>
    /// <param name="description">The structure, of its newest version.</param>
    /// <param name="get">Gets the list, whose elements a load replaces.</param>
    /// <param name="create">Makes an object that belongs to nothing yet. Called during the decode, without the big lock.</param>
    /// <param name="since">The first version that has the field.</param>
    /// <param name="exists">Decides alone whether the field is there; null for <paramref name="since"/>.</param>
    /// <returns>This description.</returns>
    public VmStateDescription<T> MarkedPointerArray<TPart>(
        string name,
        int length,
        VmStateDescription<TPart> description,
        Func<T, IList<TPart?>> get,
        Func<TPart> create,
        uint since = 0,
        Func<FieldView<T>, bool>? exists = null)
        where TPart : class =>
        Add(new PointerArrayField<T, TPart>(Terms(name, since, exists), description, Fixed(length).Maximum, get, create));

    /// <summary>Adds a list of structures: the byte 1 before each, the byte 0 behind the last; QEMU's QTAILQ.</summary>
    /// <typeparam name="TPart">The object that holds a structure.</typeparam>
    /// <param name="name">The field's name.</param>
    /// <param name="maximum">The most elements that a load takes.</param>
    /// <param name="description">The structure, of its newest version.</param>
    /// <param name="get">Gets the list.</param>
    /// <param name="set">Takes the list of a load.</param>
    /// <param name="create">Makes an object that belongs to nothing yet. Called during the decode, without the big lock.</param>
    /// <param name="since">The first version that has the field.</param>
    /// <param name="exists">Decides alone whether the field is there; null for <paramref name="since"/>.</param>
    /// <returns>This description.</returns>
    public VmStateDescription<T> List<TPart>(
        string name,
        int maximum,
        VmStateDescription<TPart> description,
        Func<T, IReadOnlyList<TPart>> get,
        Action<T, IReadOnlyList<TPart>> set,
        Func<TPart> create,
        uint since = 0,
        Func<FieldView<T>, bool>? exists = null)
        where TPart : class =>
        Add(new ListField<T, TPart>(Terms(name, since, exists), description, Fixed(maximum).Maximum, get, set, create));

    /// <summary>Adds a subsection: fields that a stream may lack. It is written when its <see cref="Needed"/> says so.</summary>
    /// <param name="subsection">Its description; its name begins with this one's and is longer.</param>
    /// <param name="isRequired">A load fails if the stream lacks it. Default false.</param>
    /// <returns>This description.</returns>
    public VmStateDescription<T> Subsection(VmStateDescription<T> subsection, bool isRequired = false)
    {
        ArgumentNullException.ThrowIfNull(subsection);
        Layout.Add(subsection, isRequired);
        return this;
    }

    private VmStateDescription<T> Add(VmStateField<T> field)
    {
        Layout.Add(field);
        return this;
    }

    private static FieldTerms<T> Terms(string name, uint since, Func<FieldView<T>, bool>? exists)
    {
        CheckName(name);
        return new FieldTerms<T>(name, since, exists);
    }

    private static Extent Fixed(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        return new Extent(-1, length);
    }

    private Extent Counted(string field, int maximum)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(maximum);
        return new Extent(Layout.IndexOfScalar(field), maximum);
    }

    private static void CheckName(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (name.Length is 0 or > byte.MaxValue || !Ascii.IsValid(name) || name.Any(char.IsControl))
        {
            throw new ArgumentException($"'{name}': a name has 1 to {byte.MaxValue} printable ASCII characters", nameof(name));
        }
    }
}
