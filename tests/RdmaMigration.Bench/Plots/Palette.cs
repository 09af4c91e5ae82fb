using RdmaMigration.Bench.Guests;
using ScottPlot;

namespace RdmaMigration.Bench.Plots;

/// <summary>Colours that people with any colour vision can tell apart; the same route has the same one everywhere.</summary>
internal static class Palette
{
    private static readonly Color[] s_routes = [new("#6b6b6b"), new("#56b4e9"), new("#e69f00"), new("#009e73")];

    public static Color Reference { get; } = new("#c23b22");

    public static Color Faint { get; } = new("#666666");

    public static Color Grid { get; } = new("#e6e6e6");

    public static Color Of(Route route) => s_routes[Route.All.ToList().IndexOf(route)];

    /// <summary>QEMU in the colour of QEMU → QEMU.</summary>
    public static Color Of(GuestContestant contestant) => contestant switch
    {
        { Peer: Peer.Qemu } => s_routes[0],
        { Mode: Mode.Dynamic } => s_routes[3],
        _ => s_routes[2],
    };
}
