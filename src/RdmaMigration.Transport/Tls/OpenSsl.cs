using System.Runtime.InteropServices;

namespace RdmaMigration.Transport;

/// <summary>The host's OpenSSL, which .NET uses for TLS. .NET ends a process that needs it where it is missing.</summary>
internal static class OpenSsl
{
    /// <summary>The names of the library under which .NET looks for it.</summary>
    public static IReadOnlyList<string> Libraries { get; } = ["libssl.so.3", "libssl.so.1.1", "libssl.so.4"];

    /// <summary>The host has it.</summary>
    public static bool IsInstalled { get; } = Libraries.Any(library => NativeLibrary.TryLoad(library, out _));
}
