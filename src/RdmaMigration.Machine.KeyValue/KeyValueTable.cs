using System.IO.Hashing;
using System.Text;
using RdmaMigration.VmState;

namespace RdmaMigration.Machines.KeyValue;

/// <summary>
/// A hash table in a machine's RAM: slots of a fixed size, linear probing. The entries are in RAM alone, and so move with it; the number of entries is the
/// state of a device. One thread at a time uses it.
/// </summary>
internal sealed class KeyValueTable(MachineRam ram)
{
    /// <summary>The most bytes of a key, in UTF-8.</summary>
    public const int MaxKey = 56;

    /// <summary>The most bytes of a value, in UTF-8.</summary>
    public const int MaxValue = 192;

    // A slot: the lengths of key and value as bytes, 6 bytes of nothing, the key, the value. A key has at least one byte, so length 0 marks a free slot.
    private const int KeyLengthOffset = 0;
    private const int ValueLengthOffset = 1;
    private const int KeyOffset = 8;
    private const int ValueOffset = KeyOffset + MaxKey;
    private const int SlotSize = ValueOffset + MaxValue;

    private readonly ulong _slots = ram.Length / SlotSize;

    /// <summary>The table's device.</summary>
    public static VmStateDescription<KeyValueTable> Description { get; } = new VmStateDescription<KeyValueTable>("key-value-table", version: 1)
        .Integer("slots", table => table._slots, (_, _) => { }, accepts: (table, slots) => slots == table._slots)
        .Integer("entries", table => table.Entries, (table, entries) => table.Entries = entries);

    /// <summary>Entries in the table.</summary>
    public ulong Entries { get; private set; }

    /// <summary>Sets a value. When this returns it is in RAM.</summary>
    /// <returns>False when the table has no room.</returns>
    /// <exception cref="FormatException">The key or the value is too long, or the key is empty.</exception>
    public bool TrySet(string key, string value)
    {
        byte[] valueBytes = Encode(value, MaxValue, "value");
        byte[] keyBytes = EncodeKey(key);
        Span<byte> slot = Find(keyBytes);
        if (slot.IsEmpty)
        {
            return false;
        }

        valueBytes.CopyTo(slot[ValueOffset..]);
        slot[ValueLengthOffset] = (byte)valueBytes.Length;
        if (slot[KeyLengthOffset] == 0)
        {
            keyBytes.CopyTo(slot[KeyOffset..]);
            slot[KeyLengthOffset] = (byte)keyBytes.Length;
            Entries++;
        }

        return true;
    }

    /// <summary>The value of a key; null if it has none.</summary>
    /// <exception cref="FormatException">The key is too long or empty.</exception>
    public string? Get(string key)
    {
        Span<byte> slot = Find(EncodeKey(key));
        return slot.IsEmpty || slot[KeyLengthOffset] == 0 ? null : Encoding.UTF8.GetString(slot.Slice(ValueOffset, slot[ValueLengthOffset]));
    }

    /// <summary>The slot with the key, else the free one where it belongs; empty when there is neither.</summary>
    private Span<byte> Find(ReadOnlySpan<byte> key)
    {
        ulong first = XxHash3.HashToUInt64(key) % _slots;
        for (ulong i = 0; i < _slots; i++)
        {
            Span<byte> slot = ram.Slice((first + i) % _slots * SlotSize, SlotSize);
            int length = slot[KeyLengthOffset];
            if (length == 0 || slot.Slice(KeyOffset, length).SequenceEqual(key))
            {
                return slot;
            }
        }

        return [];
    }

    private static byte[] EncodeKey(string key) => key.Length > 0 ? Encode(key, MaxKey, "key") : throw new FormatException("the key is empty");

    private static byte[] Encode(string text, int most, string what) => Encoding.UTF8.GetBytes(text) is { } bytes && bytes.Length <= most
        ? bytes
        : throw new FormatException($"the {what} has more than {most} bytes");
}
