using RdmaMigration.Linux;
using RdmaMigration.VmState;

namespace RdmaMigration.Streams.Tests.VmState;

/// <summary>A device with a field of each kind.</summary>
internal sealed class SampleDevice
{
    public sbyte Int8 { get; set; }

    public short Int16 { get; set; }

    public int Int32 { get; set; }

    public long Int64 { get; set; }

    public byte UInt8 { get; set; }

    public ushort UInt16 { get; set; }

    public uint UInt32 { get; set; }

    public ulong UInt64 { get; set; }

    public bool Bool { get; set; }

    public ushort[] Fixed { get; } = new ushort[3];

    public bool[] Bools { get; } = new bool[2];

    public byte Count { get; set; }

    public uint[] Counted { get; set; } = [];

    public byte[] Bytes { get; } = new byte[5];

    public ushort Length { get; set; }

    public byte[] Blob { get; set; } = [];

    public SamplePart Part { get; } = new();

    public SamplePart Hidden { get; } = new();

    public SamplePart[] Parts { get; } = [new(), new()];

    public int PartCount { get; set; }

    public IReadOnlyList<SamplePart> CountedParts { get; set; } = [];

    public SamplePart?[] Pointers { get; } = new SamplePart?[4];

    public SamplePart?[] Marked { get; } = new SamplePart?[3];

    public IReadOnlyList<SamplePart> List { get; set; } = [];

    public uint Optional { get; set; } = 77;

    public uint Newer { get; set; } = 78;

    public ulong Extra { get; set; }

    /// <summary>Hooks in the order in which they ran.</summary>
    public List<string> Hooks { get; } = [];

    /// <summary>post_load throws.</summary>
    public bool FailsPostLoad { get; set; }

    /// <summary>Called by a check during the decode.</summary>
    public Action? Decoding { get; set; }

    /// <summary>The setter of Int64 throws.</summary>
    public bool FailsSetter { get; set; }

    public static VmStateDescription<SamplePart> PartDescription { get; } = new VmStateDescription<SamplePart>("sample-part", 1)
        .Integer("a", p => p.A, (p, v) => p.A = v)
        .Integer("b", p => p.B, (p, v) => p.B = v);

    public static VmStateDescription<SampleDevice> Description { get; } = Describe(2);

    public static VmStateDescription<SampleDevice> Describe(
        uint version, bool requiresExtra = false, bool preLoadNeedsLock = false, bool needsLockToDecode = false) =>
        new VmStateDescription<SampleDevice>("sample", version, 1)
        {
            PreLoad = d => d.Hooks.Add(BlockingCalls.AreAllowed ? "pre_load" : "pre_load with the lock"),
            PreLoadNeedsLock = preLoadNeedsLock,
            NeedsLockToDecode = needsLockToDecode,
            PostLoad = (d, loaded) =>
            {
                d.Hooks.Add($"post_load {loaded}");
                if (d.FailsPostLoad)
                {
                    throw new InvalidOperationException("the sample refuses its state");
                }
            },
            PreSave = d => d.Hooks.Add("pre_save"),
        }
        .Integer("int8", d => d.Int8, (d, v) => d.Int8 = v)
        .Integer("int16", d => d.Int16, (d, v) => d.Int16 = v)
        .Integer("int32", d => d.Int32, (d, v) => d.Int32 = v)
        .Integer("int64", d => d.Int64, (d, v) => d.Int64 = d.FailsSetter && v != 0 ? throw new InvalidOperationException("the sample refuses int64") : v)
        .Integer("uint8", d => d.UInt8, (d, v) => d.UInt8 = v)
        .Integer("uint16", d => d.UInt16, (d, v) => d.UInt16 = v)
        .Integer("uint32", d => d.UInt32, (d, v) => d.UInt32 = v, accepts: Accepts)
        .Integer("uint64", d => d.UInt64, (d, v) => d.UInt64 = v)
        .Bool("bool", d => d.Bool, (d, v) => d.Bool = v)
        .Array("fixed", 3, d => d.Fixed)
        .BoolArray("bools", 2, d => d.Bools)
        .Integer("count", d => d.Count, (d, v) => d.Count = v)
        .VariableArray("counted", "count", 4, d => d.Counted, (d, v) => d.Counted = v)
        .Buffer("bytes", 5, d => d.Bytes)
        .Integer("length", d => d.Length, (d, v) => d.Length = v)
        .VariableBuffer("blob", "length", 300, d => d.Blob, (d, v) => d.Blob = v)
        .Unused(7)
        .Struct("part", PartDescription, d => d.Part)
        .Opaque("hidden", "hidden info", PartDescription, d => d.Hidden)
        .StructArray("parts", 2, PartDescription, d => d.Parts)
        .Integer("part_count", d => d.PartCount, (d, v) => d.PartCount = v)
        .VariableStructArray("counted_parts", "part_count", 3, PartDescription, d => d.CountedParts, (d, v) => d.CountedParts = v, () => new SamplePart())
        .PointerArray("pointers", 4, PartDescription, d => d.Pointers)
        .MarkedPointerArray("marked", 3, PartDescription, d => d.Marked, () => new SamplePart())
        .List("list", 3, PartDescription, d => d.List, (d, v) => d.List = v, () => new SamplePart())
        .Integer("optional", d => d.Optional, (d, v) => d.Optional = v, exists: view => view["bool"] == 1)
        .Integer("newer", d => d.Newer, (d, v) => d.Newer = v, since: 2)
        .Unused(1)
        .Subsection(
            new VmStateDescription<SampleDevice>("sample/extra", 1) { Needed = d => d.Extra != 0 }.Integer("extra", d => d.Extra, (d, v) => d.Extra = v),
            requiresExtra);

    /// <summary>A device whose every field has a value of its own.</summary>
    public static SampleDevice Filled() => Blank(
        new SampleDevice
        {
            Int8 = -2,
            Int16 = -3,
            Int32 = -4,
            Int64 = -5,
            UInt8 = 0xf1,
            UInt16 = 0xf2f3,
            UInt32 = 0xf4f5f6f7,
            UInt64 = 0xf8f9fafbfcfdfeff,
            Bool = true,
            Fixed = { [0] = 1, [1] = 2, [2] = 3 },
            Bools = { [1] = true },
            Count = 2,
            Counted = [0x11223344, 0x55667788],
            Bytes = { [0] = 9, [4] = 8 },
            Length = 3,
            Blob = [1, 2, 3],
            Part = { A = 1, B = -1 },
            Hidden = { A = 2, B = -2 },
            Parts = { [0] = new SamplePart { A = 3, B = -3 }, [1] = new SamplePart { A = 4, B = -4 } },
            PartCount = 1,
            CountedParts = [new SamplePart { A = 5, B = -5 }],
            Marked = { [1] = new SamplePart { A = 6, B = -6 } },
            List = [new SamplePart { A = 7, B = -7 }, new SamplePart { A = 8, B = -8 }],
            Optional = 9,
            Newer = 10,
            Extra = 11,
        },
        12);

    /// <summary>A device with the same pointers as <see cref="Filled"/>.</summary>
    public static SampleDevice Blank(SampleDevice? device = null, byte value = 0)
    {
        device ??= new SampleDevice();
        device.Pointers[1] = new SamplePart { A = value };
        device.Pointers[2] = new SamplePart { A = value };
        return device;
    }

    /// <summary>All values as text, to compare devices.</summary>
    public string Text() => string.Join(
        '|',
        Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Bool, string.Join(',', Fixed), string.Join(',', Bools), Count, string.Join(',', Counted),
        Convert.ToHexString(Bytes), Length, Convert.ToHexString(Blob), Part, Hidden, Of(Parts), PartCount, Of(CountedParts), Of(Pointers), Of(Marked), Of(List),
        Optional, Newer, Extra);

    private static bool Accepts(SampleDevice device, uint value)
    {
        device.Decoding?.Invoke();
        return value != 0xdeadbeef;
    }

    private static string Of(IEnumerable<SamplePart?> parts) => string.Join(',', parts.Select(p => p?.ToString() ?? "null"));
}

/// <summary>A structure in it.</summary>
internal sealed record SamplePart
{
    public byte A { get; set; }

    public int B { get; set; }
}
