using System.Runtime.CompilerServices;

using RdmaMigration.Verbs.Handles;

namespace RdmaMigration.Verbs.Tests;

/// <summary>The order of destruction, on handles whose native side is a list.</summary>
public sealed class HandleTests
{
    // grandparent <- parent <- child, and a second child that has two parents.
    private static readonly string[] s_names = ["grandparent", "parent", "child", "heir"];

    public static TheoryData<string> Orders => [.. Permutations(s_names).Select(order => string.Join(' ', order))];

    [Theory]
    [MemberData(nameof(Orders))]
    public void Children_are_destroyed_before_parents_whatever_the_order_of_Dispose(string order)
    {
        var destroyed = new List<string>();
        Dictionary<string, Recorded> handles = Family(destroyed);
        foreach (string name in order.Split(' '))
            handles[name].Dispose();
        AssertOrder(destroyed);
    }

    [Fact]
    public void Children_are_destroyed_before_parents_by_finalizers()
    {
        for (int round = 0; round < 20; round++)
        {
            var destroyed = new List<string>();
            Abandon(destroyed);
            GC.Collect();
            GC.WaitForPendingFinalizers();
            AssertOrder(destroyed);
        }
    }

    [Fact]
    public void Handle_in_use_is_destroyed_after_the_use()
    {
        var destroyed = new List<string>();
        var handle = new Recorded("one", destroyed);
        using (handle.Use())
        {
            handle.Dispose();
            Assert.Empty(destroyed);
        }
        Assert.Equal(["one"], destroyed);
        Assert.False(handle.TryUse(out _));
        Assert.Throws<ObjectDisposedException>(() => handle.Use().Dispose());
    }

    [Fact]
    public void Replaced_parent_is_let_go_and_the_new_one_is_held()
    {
        var destroyed = new List<string>();
        var former = new Recorded("former", destroyed);
        var later = new Recorded("later", destroyed);
        var child = new Recorded("child", destroyed, former);
        child.Adopt(later);
        former.Dispose();
        later.Dispose();
        Assert.Equal(["former"], destroyed);
        child.Dispose();
        Assert.Equal(["former", "child", "later"], destroyed);
    }

    private static void AssertOrder(List<string> destroyed)
    {
        Assert.Equal(s_names.Order(), destroyed.Order());
        Assert.True(destroyed.IndexOf("child") < destroyed.IndexOf("parent"));
        Assert.True(destroyed.IndexOf("heir") < destroyed.IndexOf("parent"));
        Assert.Equal("grandparent", destroyed[^1]);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Abandon(List<string> destroyed) => Family(destroyed);

    private static Dictionary<string, Recorded> Family(List<string> destroyed)
    {
        var grandparent = new Recorded("grandparent", destroyed);
        var parent = new Recorded("parent", destroyed, grandparent);
        var child = new Recorded("child", destroyed, parent);
        var heir = new Recorded("heir", destroyed, parent, grandparent);
        return new() { ["grandparent"] = grandparent, ["parent"] = parent, ["child"] = child, ["heir"] = heir };
    }

    private static IEnumerable<IEnumerable<string>> Permutations(string[] items) => items.Length == 0
        ? [[]]
        : items.SelectMany(item => Permutations([.. items.Where(other => other != item)]).Select(rest => rest.Prepend(item)));

    private sealed class Recorded(string name, List<string> destroyed, params Recorded[] parents) : VerbsHandle(1, parents)
    {
        internal void Adopt(Recorded parent) => ReplaceParent(0, parent);

        protected override int Destroy(nint native)
        {
            lock (destroyed)
                destroyed.Add(name);
            return 0;
        }
    }
}
