using System.Reflection;
using System.Runtime.InteropServices;

namespace RdmaMigration.Verbs.Interop;

/// <summary>Looks the native libraries up, once, under the names that run-time packages install.</summary>
internal static class NativeLibraries
{
    internal const string Verbs = "libibverbs.so.1";
    internal const string ConnectionManager = "librdmacm.so.1";
    internal const string Shim = "rdmamig_verbs";

    private static readonly nint s_verbs;
    private static readonly nint s_connectionManager;

    /// <summary>Why the libraries cannot be used; null when they can.</summary>
    internal static string? MissingReason { get; }

    static NativeLibraries()
    {
        MissingReason = Probe(Verbs, ConnectionManager, HasShim, out s_verbs, out s_connectionManager);
        if (MissingReason is null)
        {
            NativeLibrary.SetDllImportResolver(typeof(NativeLibraries).Assembly, Resolve);
        }
    }

    internal static string? Probe(string verbs, string connectionManager, Func<bool> hasShim, out nint verbsHandle, out nint connectionManagerHandle)
    {
        verbsHandle = connectionManagerHandle = 0;
        if (!OperatingSystem.IsLinux() || !Environment.Is64BitProcess)
        {
            return "RDMA verbs are supported on 64-bit Linux only.";
        }

        if (!NativeLibrary.TryLoad(verbs, out verbsHandle))
        {
            return $"{verbs} was not found. Install it (Debian: apt-get install libibverbs1 ibverbs-providers).";
        }

        if (!NativeLibrary.TryLoad(connectionManager, out connectionManagerHandle))
        {
            return $"{connectionManager} was not found. Install it (Debian: apt-get install librdmacm1).";
        }

        if (!hasShim())
        {
            return $"lib{Shim}.so was not found beside the program. It is a part of RdmaMigration.Verbs: copy it with the assemblies.";
        }

        return null;
    }

    // Only a call finds it in either form: the shared library, or linked into a Native AOT program.
    private static unsafe bool HasShim()
    {
        try
        {
            return Interop.Shim.rdmamig_abi_facts() is not null;
        }
        catch (DllNotFoundException)
        {
            return false;
        }
    }

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? searchPath) => name switch
    {
        Verbs => s_verbs,
        ConnectionManager => s_connectionManager,
        _ => 0,
    };
}
