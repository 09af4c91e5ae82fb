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
        List<string> destroyed = new();
        Dictionary<string, Recorded> handles = Family(destroyed);
        foreach (string name in order.Split(' '))
        {
            handles[name].Dispose();
        }

        AssertOrder(destroyed);
    }

    [Fact]
    public void Children_are_destroyed_before_parents_by_finalizers()
    {
        for (int round = 0; round < 20; round++)
        {
            List<string> destroyed = new();
            Abandon(destroyed);
            GC.Collect();
            GC.WaitForPendingFinalizers();
            AssertOrder(destroyed);
        }
    }

    [Fact]
    public void Handle_in_use_is_destroyed_after_the_use()
    {
        List<string> destroyed = new();
        Recorded handle = new("one", destroyed);
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
        List<string> destroyed = new();
        Recorded former = new("former", destroyed);
        Recorded later = new("later", destroyed);
        Recorded child = new("child", destroyed, former);
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
        Recorded grandparent = new("grandparent", destroyed);
        Recorded parent = new("parent", destroyed, grandparent);
        Recorded child = new("child", destroyed, parent);
        Recorded heir = new("heir", destroyed, parent, grandparent);
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
            {
                destroyed.Add(name);
            }

            return 0;
        }
    }
}
