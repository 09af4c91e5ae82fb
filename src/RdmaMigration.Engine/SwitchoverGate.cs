using RdmaMigration.Linux;

namespace RdmaMigration.Engine;

/// <summary>Where a migration with capability pause-before-switchover waits for migrate-continue, on the thread mig/src/main.</summary>
/// <param name="context">The migration.</param>
internal sealed class SwitchoverGate(MigrationContext context) : IDisposable
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);

    private readonly object _gate = new();
    private readonly ManualResetEventSlim _goOn = new();
    private bool _isAwaited;

    /// <summary>Waits for <see cref="TryContinue"/>.</summary>
    /// <param name="loss">Why the destination is lost; null while it is there.</param>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    /// <exception cref="MigrationException">The destination is lost.</exception>
    public void Await(Func<MigrationException?> loss)
    {
        BlockingCalls.AssertAllowed();
        lock (_gate)
        {
            _isAwaited = true;
        }

        context.State.Follow(DeliveryStep.PreSwitchover);
        while (!_goOn.Wait(s_look, context.Cancellation))
        {
            if (loss() is { } lost)
            {
                throw lost;
            }
        }
    }

    /// <summary>migrate-continue. False when nothing waits for it. Any thread.</summary>
    public bool TryContinue()
    {
        lock (_gate)
        {
            if (!_isAwaited)
            {
                return false;
            }

            _isAwaited = false;
        }

        _goOn.Set();
        return true;
    }

    public void Dispose() => _goOn.Dispose();
}
