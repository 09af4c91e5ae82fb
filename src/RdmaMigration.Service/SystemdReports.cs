using System.Globalization;
using System.Net.Sockets;
using Microsoft.Extensions.Hosting.Systemd;
using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;
using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>
/// Reports to systemd: ready, a status line, the watchdog's beats, stopping. Does nothing when systemd does not ask for it. The beats come from the main loop,
/// so systemd notices a main loop that is stuck. Main thread.
/// </summary>
/// <param name="notifier">Sends datagrams to NOTIFY_SOCKET.</param>
/// <param name="process">What the status line is about.</param>
/// <param name="loop">Runs the timers.</param>
/// <param name="watchdog">The time without a beat after which systemd ends the process; null for no watchdog.</param>
/// <param name="log">Where failures to notify go.</param>
internal sealed class SystemdReports(ISystemdNotifier notifier, MachineProcess process, MainLoop loop, TimeSpan? watchdog, ILogger log)
{
    private static readonly TimeSpan s_statusInterval = TimeSpan.FromSeconds(1);

    private string _status = "";
    private bool _isFollowing;

    /// <summary>The watchdog that systemd asked for by WATCHDOG_USEC and WATCHDOG_PID; null for none.</summary>
    public static TimeSpan? WatchdogOfEnvironment()
    {
        string? pid = Environment.GetEnvironmentVariable("WATCHDOG_PID");
        bool isForThisProcess = string.IsNullOrEmpty(pid) || pid == Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        return isForThisProcess
            && long.TryParse(Environment.GetEnvironmentVariable("WATCHDOG_USEC"), NumberStyles.None, CultureInfo.InvariantCulture, out long microseconds)
            && microseconds > 0
                ? TimeSpan.FromMicroseconds(microseconds)
                : null;
    }

    /// <summary>The process is ready. From here on the status line follows migrations, and the watchdog gets its beats.</summary>
    public void Ready()
    {
        if (!notifier.IsEnabled)
        {
            return;
        }

        process.StatusChanged += Follow;
        Notify("READY=1");
        ShowStatus(process.Query());
        if (watchdog is { } interval)
        {
            // systemd's documentation recommends half of the interval.
            Beat(interval / 2);
        }
    }

    /// <summary>The process ends.</summary>
    public void Stopping()
    {
        if (notifier.IsEnabled)
        {
            Notify("STOPPING=1");
        }
    }

    /// <summary>The status line for a migration: what it is at and, while RAM moves, the percentage.</summary>
    internal static string Describe(MigrationInfo migration, MigrationUri? listening)
    {
        string other = migration.Peer ?? migration.Uri ?? "unknown";
        string direction = migration.IsOutgoing ? $"Sending to {other}" : $"Receiving from {other}";
        string progress = migration.RamTotal > 0
            ? string.Create(CultureInfo.InvariantCulture, $" {100 * (decimal)migration.RamTransferred / migration.RamTotal:0}%")
            : "";
        return migration.Status switch
        {
            MigrationStatus.None => listening is null ? "Idle" : $"Listening on {listening}",
            MigrationStatus.Failed => $"{direction}: failed: {migration.ErrorDescription?.ReplaceLineEndings(" ")}",
            MigrationStatus status when status.IsFinal() || status is MigrationStatus.Cancelling => $"{direction}: {status.ToQmp()}",
            _ => $"{direction}: {migration.Phase.ToWord()}{progress}",
        };
    }

    private void Follow(MigrationInfo migration)
    {
        ShowStatus(migration);
        if (!migration.Status.IsFinal() && !_isFollowing)
        {
            _isFollowing = true;
            loop.StartTimer(s_statusInterval, FollowOn);
        }
    }

    private void FollowOn()
    {
        _isFollowing = false;
        MigrationInfo migration = process.Query();
        if (!migration.Status.IsFinal())
        {
            Follow(migration);
        }
    }

    private void ShowStatus(MigrationInfo migration)
    {
        string status = Describe(migration, process.Uri);
        if (status != _status)
        {
            _status = status;
            Notify($"STATUS={status}");
        }
    }

    private void Beat(TimeSpan every)
    {
        Notify("WATCHDOG=1");
        loop.StartTimer(every, () => Beat(every));
    }

    private void Notify(string state)
    {
        try
        {
            notifier.Notify(new ServiceState(state));
        }
        catch (SocketException unreachable)
        {
            // A migration does not depend on systemd.
            ServiceLog.NotNotified(log, state, unreachable.Message);
        }
    }
}
