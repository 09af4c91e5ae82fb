using System.Reflection;
using System.Runtime.InteropServices;

using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs.Tests;

/// <summary>The native functions that the library imports.</summary>
internal static class Imports
{
    private static readonly Dictionary<Type, string> s_libraries = new()
    {
        [typeof(LibIbVerbs)] = NativeLibraries.Verbs,
        [typeof(LibRdmaCm)] = NativeLibraries.ConnectionManager,
        [typeof(Shim)] = NativeLibraries.Shim,
    };

    internal static IEnumerable<MethodInfo> All => typeof(CmId).Assembly.GetTypes()
        .SelectMany(type => type.GetMethods(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.DeclaredOnly))
        .Where(method => method.GetCustomAttribute<LibraryImportAttribute>() is not null || IsImported(method));

    internal static string LibraryOf(MethodInfo method) => s_libraries[method.DeclaringType!];

    // Where nothing needs marshalling the generator turns the method itself into the import.
    private static bool IsImported(MethodInfo method) => method.Attributes.HasFlag(MethodAttributes.PinvokeImpl) && !method.Name.Contains('<');
}
