using DotNet.Testcontainers.Configurations;
using DotNet.Testcontainers.Containers;

namespace RdmaMigration.Testcontainers;

/// <summary>Waits until the guest of a <see cref="SoftRoceContainer"/> runs its command.</summary>
internal sealed class UntilCommandStarts : IWaitUntil
{
    public Task<bool> UntilAsync(IContainer container) => ((SoftRoceContainer)container).HasStartedCommandAsync();
}
