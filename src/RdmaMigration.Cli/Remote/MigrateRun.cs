using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;
using RdmaMigration.Cli.Reports;
using RdmaMigration.Engine;
using RdmaMigration.Linux;
using RdmaMigration.Qmp.Client;

namespace RdmaMigration.Cli.Remote;

/// <summary>
/// One migration of the process behind a monitor, from its settings to its end. Used by one task; the report thread reads <see cref="Latest"/>.
/// </summary>
/// <param name="monitor">The monitor.</param>
/// <param name="request">What to do.</param>
/// <param name="report">Shows it.</param>
/// <param name="cancel">Cancels the migration.</param>
[SuppressMessage("Reliability", "CA1001", Justification = "The semaphore has no wait handle, and a line on standard input may come later than the end")]
internal sealed class MigrateRun(MonitorSession monitor, MigrateRequest request, ReportThread report, CancellationToken cancel)
{
    /// <summary>Between two queries. Events make them come sooner.</summary>
    private static readonly TimeSpan s_queryInterval = TimeSpan.FromMilliseconds(200);

    /// <summary>QEMU reports completed before it has stored the times; when it is done the run state is postmigrate.</summary>
    private static readonly TimeSpan s_settleTime = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan s_settleInterval = TimeSpan.FromMilliseconds(20);

    private readonly SemaphoreSlim _wake = new(0);
    private readonly ConcurrentQueue<MigrationStatus> _seen = new();
    private readonly Stopwatch _clock = new();
    private MigrationInfo _migration = new() { Status = MigrationStatus.None, IsOutgoing = true, Peer = request.Uri, Uri = request.Uri };
    private bool _isCancelSent;
    private bool _isContinued;
    private Task<bool>? _consent;

    /// <summary>The migration as it was seen last. Any thread.</summary>
    public MigrationInfo Latest => Volatile.Read(ref _migration);

    /// <summary>Runs it.</summary>
    /// <returns>The exit code.</returns>
    /// <exception cref="QmpCommandException">The settings are refused, or a migration runs already. Nothing was started.</exception>
    /// <exception cref="QmpClientException">The connection was lost before anything was started.</exception>
    public async Task<int> RunAsync()
    {
        if (await monitor.QueryAsync().ConfigureAwait(false) is { KnownStatus: not MigrationStatus.None } earlier && !earlier.KnownStatus.IsFinal())
        {
            throw new QmpCommandException(
                monitor.Path, "migrate", "Busy", $"a migration is in status '{earlier.Status}' already; 'rdmamig top {monitor.Path}' shows it");
        }

        await request.Settings.ApplyAsync(monitor).ConfigureAwait(false);
        HashSet<string> capabilities = await monitor.CapabilitiesAsync().ConfigureAwait(false);
        string name = await monitor.NameAsync().ConfigureAwait(false);
        _migration = _migration with
        {
            Machine = name.Length > 0 ? name : "machine",
            ReturnPath = capabilities.Contains("return-path"),
            Mode = !request.Uri.StartsWith("rdma:", StringComparison.Ordinal) ? RamMode.Stream
                : capabilities.Contains("rdma-pin-all") ? RamMode.PinAll
                : RamMode.Dynamic,
        };
        using CancellationTokenRegistration registration = cancel.Register(Wake);
        using CancellationTokenSource watched = new();
        Task events = WatchAsync(watched.Token);
        try
        {
            return await FollowAsync().ConfigureAwait(false);
        }
        catch (QmpCommandException refused)
        {
            return End(MigrationStatus.Failed, refused.Message, FailureReason.Refused);
        }
        catch (QmpClientException lost)
        {
            return End(
                MigrationStatus.Failed,
                $"{lost.Message}; the migration was in status '{Latest.Status.ToQmp()}': check the destination before you start the machine again",
                lost.Reason);
        }
        finally
        {
            await watched.CancelAsync().ConfigureAwait(false);
            await events.ConfigureAwait(false);
        }
    }

    private void Wake() => _wake.Release();

    /// <summary>Takes the events. A lost connection is reported by the next query.</summary>
    private async Task WatchAsync(CancellationToken end)
    {
        try
        {
            await foreach (QmpEvent seen in monitor.Client.Events.ReadAllAsync(end).ConfigureAwait(false))
            {
                if (seen is { Name: "MIGRATION", Status: { } status })
                {
                    _seen.Enqueue(MigrationQuery.ToStatus(status));
                    Wake();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The migration has ended.
        }
        catch (QmpClientException)
        {
            Wake();
        }
    }

    private async Task<int> FollowAsync()
    {
        _clock.Start();
        report.OnStarted(() => Latest);
        Reach(MigrationStatus.Setup);
        await monitor.MigrateAsync(request.Uri).ConfigureAwait(false);
        while (true)
        {
            MigrationQuery query = await monitor.QueryAsync().ConfigureAwait(false);
            while (_seen.TryDequeue(out MigrationStatus seen))
            {
                if (!seen.IsFinal() && !query.KnownStatus.IsFinal())
                {
                    Reach(seen);
                }
            }

            Take(query);
            switch (query.KnownStatus)
            {
                case MigrationStatus.Completed:
                    return await CompleteAsync().ConfigureAwait(false);
                case MigrationStatus.Failed:
                    return End(MigrationStatus.Failed, query.ErrorDescription ?? "the process gives no reason", reason: null);
                case MigrationStatus.Cancelled:
                    return End(
                        MigrationStatus.Cancelled,
                        _isCancelSent ? "the machine stays where it is" : "another client of the process has cancelled; the machine stays where it is",
                        FailureReason.Cancelled);
                default:
                    Reach(query.KnownStatus);
                    await ActAsync(query.KnownStatus).ConfigureAwait(false);
                    await _wake.WaitAsync(s_queryInterval, CancellationToken.None).ConfigureAwait(false);
                    break;
            }
        }
    }

    private async Task ActAsync(MigrationStatus status)
    {
        if (cancel.IsCancellationRequested && !_isCancelSent)
        {
            _isCancelSent = true;
            await monitor.CancelAsync().ConfigureAwait(false);
        }
        else if (status is MigrationStatus.PreSwitchover && !_isContinued && !_isCancelSent && IsContinueWanted())
        {
            _isContinued = true;
            try
            {
                await monitor.ContinueAsync().ConfigureAwait(false);
            }
            catch (QmpCommandException late)
            {
                report.Tell(LogLevel.Warning, late.Message);
            }
        }
    }

    private bool IsContinueWanted()
    {
        if (!request.PausesBeforeSwitchover)
        {
            return true;
        }

        if (_consent is null)
        {
            report.Tell(LogLevel.Information, "the machine is stopped before the switchover; press Enter to continue, Ctrl-C to cancel");
            _consent = Task.Run(() => Console.In.ReadLine() is not null);
            _ = _consent.ContinueWith(_ => Wake(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }

        return _consent is { IsCompletedSuccessfully: true, Result: true };
    }

    private async Task<int> CompleteAsync()
    {
        using CancellationTokenSource due = new(s_settleTime);
        using PeriodicTimer timer = new(s_settleInterval);
        try
        {
            while (await monitor.RunStateAsync(due.Token).ConfigureAwait(false) != "postmigrate")
            {
                await timer.WaitForNextTickAsync(due.Token).ConfigureAwait(false);
            }

            Take(await monitor.QueryAsync(due.Token).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            report.Tell(LogLevel.Warning, $"the process at '{monitor.Path}' has completed the migration but is not in run state postmigrate");
        }
        catch (QmpClientException)
        {
            report.Tell(LogLevel.Information, $"the process at '{monitor.Path}' has ended after the migration");
        }

        return End(MigrationStatus.Completed, description: null, reason: null);
    }

    /// <summary>Keeps the figures. A query without RAM, as of a failed migration, leaves the last ones.</summary>
    private void Take(MigrationQuery query)
    {
        MigrationInfo migration = Latest with { TotalTime = query.TotalTime ?? _clock.Elapsed, SetupTime = query.SetupTime ?? Latest.SetupTime };
        if (query.Ram is { } ram)
        {
            migration = migration with
            {
                RamTotal = ram.Total,
                RamTransferred = ram.Done,
                RamZero = ram.Duplicate * ram.PageSize,
                Live = new LiveInfo
                {
                    Iterations = ram.Passes,
                    DirtyPagesRate = ram.DirtyPagesRate,
                    Remaining = ram.Remaining,
                    Bandwidth = (long)ram.BytesPerSecond,
                    ExpectedDowntime = query.ExpectedDowntime ?? TimeSpan.Zero,
                    Downtime = query.Downtime,
                    ThrottlePercentage = query.Throttle,
                },
            };
        }

        Volatile.Write(ref _migration, migration);
    }

    private void Reach(MigrationStatus status)
    {
        if (status is MigrationStatus.None || status == Latest.Status)
        {
            return;
        }

        Volatile.Write(ref _migration, Latest with
        {
            Status = status,
            ReachedAt = DateTimeOffset.UtcNow,
            Live = Latest.Live ?? new LiveInfo(),
            Phase = status switch
            {
                MigrationStatus.Setup => MigrationPhase.Connecting,
                MigrationStatus.PreSwitchover => MigrationPhase.PreSwitchover,
                MigrationStatus.Device => MigrationPhase.Device,
                MigrationStatus.Active or MigrationStatus.Cancelling => MigrationPhase.Sending,
                _ => MigrationPhase.Idle,
            },
        });
        report.OnStatusChanged(Latest);
    }

    private int End(MigrationStatus status, string? description, FailureReason? reason)
    {
        Volatile.Write(ref _migration, Latest with
        {
            TotalTime = Latest.TotalTime > TimeSpan.Zero ? Latest.TotalTime : _clock.Elapsed,
            ErrorDescription = description,
            ErrorClass = reason,
            Confirmed = status is MigrationStatus.Completed ? Latest.ReturnPath : null,
        });
        Reach(status);
        return status switch
        {
            MigrationStatus.Completed => ExitCode.Done,
            MigrationStatus.Cancelled when _isCancelSent => ExitCode.Cancelled,
            _ => ExitCode.Failed,
        };
    }
}
