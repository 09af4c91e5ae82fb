using System.Reflection;
using System.Runtime.InteropServices;

using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs.Tests;

public sealed class ImportTests
{
    public static TheoryData<string> Names => [.. Imports.All.Select(method => method.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Import_is_exported_by_the_installed_library(string name)
    {
        MethodInfo method = Imports.All.Single(method => method.Name == name);
        nint library = NativeLibrary.Load(Imports.LibraryOf(method), method.DeclaringType!.Assembly, null);
        Assert.True(NativeLibrary.TryGetExport(library, name, out nint address) && address != 0, $"{name} is not exported by {Imports.LibraryOf(method)}");
    }

    [Fact]
    public void All_imports_are_found_by_this_test()
    {
        Assert.Equal(9, Imports.All.Count(method => method.DeclaringType == typeof(Shim)));
        Assert.Contains(Imports.All, method => method.Name == nameof(LibIbVerbs.ibv_destroy_cq));
        Assert.Contains(Imports.All, method => method.Name == nameof(LibRdmaCm.rdma_get_cm_event));
    }

    [Fact]
    public void Only_calls_that_cannot_wait_suppress_the_transition()
    {
        string[] suppressed =
            [.. Imports.All.Where(method => method.GetCustomAttribute<SuppressGCTransitionAttribute>() is not null).Select(method => method.Name).Order()];
        Assert.Equal([nameof(Shim.rdmamig_poll_cq), nameof(Shim.rdmamig_post_recv)], suppressed);
    }
}
