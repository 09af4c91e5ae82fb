using RdmaMigration.Engine;
using RdmaMigration.Qmp;
using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>
/// What the reply of migrate waits for. Over RDMA, QEMU connects in its main loop before it replies, so that the reply has the error of a connection that
/// fails. Over a socket it replies at once. Main thread.
/// </summary>
internal sealed class AwaitedConnection
{
    // Of the migration that connects; null when no reply waits.
    private TaskCompletionSource? _established;

    /// <summary>A migration has begun.</summary>
    /// <param name="uri">Its destination.</param>
    /// <returns>Done when migrate can reply; a <see cref="QmpException"/> when the migration ends without a connection.</returns>
    public Task Begin(MigrationUri uri)
    {
        if (uri is not RdmaUri)
        {
            return Task.CompletedTask;
        }

        _established = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return _established.Task;
    }

    /// <summary>The connection is established.</summary>
    public void OnConnected()
    {
        _established?.SetResult();
        _established = null;
    }

    /// <summary>A migration has ended, and its last events are sent.</summary>
    public void OnEnded(MigrationInfo info)
    {
        _established?.SetException(new QmpException(
            info is { Status: MigrationStatus.Failed, ErrorDescription: { } error } ? error
                : $"the migration to {info.Uri} was cancelled before the destination accepted the connection"));
        _established = null;
    }
}
