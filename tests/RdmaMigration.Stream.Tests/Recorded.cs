using System.IO.Compression;

namespace RdmaMigration.Streams.Tests;

/// <summary>Streams of real QEMUs that are kept with the tests.</summary>
internal static class Recorded
{
    public static byte[] Read(string name)
    {
        using Stream packed = typeof(Recorded).Assembly.GetManifestResourceStream(name) ?? throw new FileNotFoundException(name);
        using GZipStream stream = new(packed, CompressionMode.Decompress);
        using MemoryStream bytes = new();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }
}
