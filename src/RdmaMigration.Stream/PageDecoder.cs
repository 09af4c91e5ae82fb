using System.IO.Compression;

namespace RdmaMigration.Streams;

/// <summary>Reads pages that come as a difference or compressed.</summary>
internal sealed class PageDecoder(SourceReader reader)
{
    private const byte XbzrleEncoding = 0x01;

    private byte[] _scratch = [];

    public void ReadXbzrle(Span<byte> page)
    {
        ulong at = reader.Position;
        byte encoding = reader.ReadByte();
        ushort length = reader.ReadUInt16();
        if (encoding != XbzrleEncoding || length > page.Length)
        {
            throw reader.Malformed(at, $"XBZRLE page: encoding {encoding} and {length} bytes, expected {XbzrleEncoding} and at most {page.Length}");
        }

        Span<byte> encoded = Scratch(page.Length)[..length];
        reader.ReadExactly(encoded);
        if (!Xbzrle.TryDecode(encoded, page))
        {
            throw reader.Malformed(at, $"XBZRLE page of {length} bytes does not decode within a page of {page.Length} bytes");
        }
    }

    public void ReadCompressed(Span<byte> page)
    {
        ulong at = reader.Position;
        uint length = reader.ReadUInt32();
        if (length > MaxCompressed(page.Length))
        {
            throw reader.Malformed(at, $"compressed page of {length} bytes, at most {MaxCompressed(page.Length)} are allowed");
        }

        reader.ReadExactly(Scratch(page.Length)[..(int)length]);
        using MemoryStream memory = new(_scratch, 0, (int)length, writable: false);
        using ZLibStream zlib = new(memory, CompressionMode.Decompress);
        try
        {
            zlib.ReadExactly(page);
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            throw new StreamFormatException(
                StreamFault.Malformed, reader.Step, at, $"compressed page of {length} bytes does not decompress to {page.Length} bytes", e);
        }
    }

    /// <summary>What a page that does not compress may take: zlib adds a few bytes, zlib-ng's fastest level an eighth.</summary>
    private static int MaxCompressed(int pageSize) => pageSize + (pageSize / 8) + 128;

    private Span<byte> Scratch(int pageSize)
    {
        if (_scratch.Length < MaxCompressed(pageSize))
        {
            _scratch = new byte[MaxCompressed(pageSize)];
        }

        return _scratch;
    }
}
