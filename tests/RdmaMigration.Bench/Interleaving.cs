namespace RdmaMigration.Bench;

/// <summary>The order in which things are measured, so that drift meets all of them alike.</summary>
internal static class Interleaving
{
    /// <summary>
    /// The items of one round: each round begins one further on, and every second one goes backwards, so that nobody always comes first or after
    /// the same neighbour.
    /// </summary>
    public static IEnumerable<T> Turn<T>(IReadOnlyList<T> items, int round)
    {
        IEnumerable<T> turned = items.Skip(round % items.Count).Concat(items.Take(round % items.Count));
        return round % 2 == 0 ? turned : turned.Reverse();
    }
}
