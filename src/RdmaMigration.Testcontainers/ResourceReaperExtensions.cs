using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Containers;

namespace RdmaMigration.Testcontainers;

/// <summary>Extends Testcontainers' builders for engines that cannot pull the image of the resource reaper.</summary>
public static class ResourceReaperExtensions
{
    /// <summary>
    /// Makes a container, network or volume without the resource reaper, which is a container whose image the engine must pull. <c>DisposeAsync</c> removes the
    /// resource. If the test process is killed before that, the resource remains.
    /// </summary>
    /// <remarks>
    /// With <c>TESTCONTAINERS_RYUK_DISABLED</c> alone, <c>DisposeAsync</c> stops a container but does not remove it, and does not remove a network.
    /// </remarks>
    /// <param name="builder">The builder of the container, network or volume.</param>
    /// <typeparam name="TBuilder">The type of the builder.</typeparam>
    /// <typeparam name="TResource">The type of the container, network or volume.</typeparam>
    /// <typeparam name="TParameters">The type of the engine's parameters.</typeparam>
    public static TBuilder WithoutResourceReaper<TBuilder, TResource, TParameters>(this IAbstractBuilder<TBuilder, TResource, TParameters> builder) =>
        // Testcontainers starts the reaper for its default session only. DisposeAsync removes a resource of any session.
        builder.WithLabel(ResourceReaper.ResourceReaperSessionLabel, Guid.NewGuid().ToString("D"));
}
