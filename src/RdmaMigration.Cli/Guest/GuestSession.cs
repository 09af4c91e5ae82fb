using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using RdmaMigration.Cli.Reports;
using RdmaMigration.Engine;
using RdmaMigration.Linux;
using RdmaMigration.Machines;
using RdmaMigration.Service;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli.Guest;

/// <summary>One run of a synthetic guest: it arrives or begins, moves or stays, and is verified each time.</summary>
internal sealed class GuestSession(GuestPlan plan, ReportThread report, ILoggerFactory log)
{
    private const string MachineName = "synthetic-guest-1";

    private readonly TaskCompletionSource<GuestVerdict> _arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private MachineMonitor? _monitor;

    /// <summary>Runs to the end.</summary>
    /// <returns>The exit code.</returns>
    public int Run()
    {
        using CancellationTokenSource cancel = new();
        using SignalWatch signals = new((signal, endsAtOnce) =>
        {
            report.OnSignal(signal, endsAtOnce);
            if (!endsAtOnce)
            {
                cancel.Cancel();
            }
        });
        return RunAsync(cancel.Token).GetAwaiter().GetResult();
    }

    private async Task<int> RunAsync(CancellationToken cancellation)
    {
        using Machine machine = new(new MachineOptions { Name = MachineName, Log = log });
        using SyntheticGuest guest = SyntheticGuest.Create(machine.AddRam("guest.ram", plan.Ram), plan.Load, plan.Writers);
        machine.AddDevice(GuestDevice.Describe(guest.State), guest.State);
        machine.Program = guest;
        machine.Process.StatusChanged += report.OnStatusChanged;
        guest.Verified += OnArrived;
        using TelemetryExport? exports = TelemetryExport.Open(plan.Telemetry, MachineName, machine.Process.Query, AddInstruments, log);

        using CancellationTokenSource end = new();
        Task rates = ReportRatesAsync(machine, guest, end.Token);
        try
        {
            return await RunAsync(machine, guest, cancellation);
        }
        finally
        {
            await end.CancelAsync();
            await rates;
        }
    }

    private async Task<int> RunAsync(Machine machine, SyntheticGuest guest, CancellationToken cancellation)
    {
        bool hasFailed = false;
        try
        {
            if (plan.Monitor is { } monitor)
            {
                return await EndAsync(machine, guest, await ServeAsync(machine, guest, monitor, cancellation));
            }

            if (!await BeginAsync(machine, guest, cancellation))
            {
                return ExitCode.Failed;
            }

            if (plan.Destination is { } destination)
            {
                await Task.Delay(plan.After, cancellation);
                hasFailed = !await MoveAsync(machine, destination, cancellation);
                if (!hasFailed)
                {
                    return ExitCode.Done;
                }
            }

            await Task.Delay(plan.For ?? (hasFailed ? TimeSpan.Zero : Timeout.InfiniteTimeSpan), cancellation);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return await EndAsync(machine, guest, ExitCode.Cancelled);
        }

        return await EndAsync(machine, guest, hasFailed ? ExitCode.Failed : ExitCode.Done);
    }

    /// <summary>Has a guest run here.</summary>
    /// <returns>False when none came, or it is not intact.</returns>
    private async Task<bool> BeginAsync(Machine machine, SyntheticGuest guest, CancellationToken cancellation)
    {
        if (plan.Incoming?.Uri is not { } source)
        {
            await StartAsync(machine, guest);
            return true;
        }

        try
        {
            await machine.TakeAsync(source, plan.Parameters, _ => report.OnStarted(machine.Process), cancellation);
        }
        catch (MigrationException failed) when (failed is not ConnectFailedException)
        {
            // The result has been reported.
            return false;
        }

        return (await _arrived.Task).IsIntact;
    }

    private async Task StartAsync(Machine machine, SyntheticGuest guest)
    {
        guest.Fill();
        report.OnStarted(machine.Process);
        await machine.StartAsync();
    }

    /// <summary>Has the clients of a monitor command the guest, until one sends quit, an arrival fails, or the time is over.</summary>
    /// <returns>The exit code.</returns>
    private async Task<int> ServeAsync(Machine machine, SyntheticGuest guest, string path, CancellationToken cancellation)
    {
        if (plan.Incoming is null)
        {
            await StartAsync(machine, guest);
        }

        ServeOptions options = new()
        {
            Monitor = path,
            Incoming = plan.Incoming,
            Name = MachineName,
            Package = $"rdmamig {Rdmamig.Version}",
            Parameters = plan.Parameters,
        };
        await using MachineMonitor monitor = await MachineMonitor.OpenAsync(machine, options, log);
        Volatile.Write(ref _monitor, monitor);
        if (plan.Incoming is not null)
        {
            report.OnStarted(machine.Process);
        }

        int exitCode;
        try
        {
            exitCode = await monitor.ExitRequested.WaitAsync(plan.For ?? Timeout.InfiniteTimeSpan, cancellation);
        }
        catch (TimeoutException)
        {
            exitCode = ExitCode.Done;
        }
        catch (OperationCanceledException)
        {
            monitor.AnnounceSignal();
            exitCode = ExitCode.Cancelled;
        }

        await EndMigrationAsync(machine);
        return exitCode;
    }

    /// <summary>Cancels the migration that a client has begun, and waits until it has ended.</summary>
    private static async Task EndMigrationAsync(Machine machine)
    {
        TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await machine.Loop.InvokeAsync(() =>
        {
            if (machine.Process.IsBusy)
            {
                machine.Process.Ended += _ => ended.TrySetResult();
                machine.Process.CancelAtOnce();
            }
            else
            {
                ended.SetResult();
            }
        });
        await ended.Task;
    }

    /// <summary>Moves the guest away.</summary>
    /// <returns>False when it did not move.</returns>
    private async Task<bool> MoveAsync(Machine machine, MigrationUri destination, CancellationToken cancellation)
    {
        try
        {
            await machine.SendAsync(new OutgoingOptions { Uri = destination, Parameters = plan.Parameters }, cancellation);
            return true;
        }
        catch (MigrationException)
        {
            // The result has been reported, and says where the guest is.
            return false;
        }
    }

    /// <summary>Stops and verifies the guest if there is one.</summary>
    private async Task<int> EndAsync(Machine machine, SyntheticGuest guest, int exitCode)
    {
        if (machine.State is MachineState.Running)
        {
            await machine.StopAsync();
        }

        if (machine.State is not MachineState.Stopped)
        {
            return exitCode;
        }

        GuestVerdict verdict = guest.Verify();
        report.OnGuestVerified(verdict);
        return verdict.IsIntact ? exitCode : ExitCode.Failed;
    }

    private void AddInstruments(Meter meter)
    {
        if (plan.Monitor is not null)
        {
            ServeMonitor.AddClients(meter, () => Volatile.Read(ref _monitor)?.Clients ?? 0);
        }
    }

    private void OnArrived(GuestVerdict verdict)
    {
        report.OnGuestVerified(verdict);
        _arrived.TrySetResult(verdict);
    }

    private async Task ReportRatesAsync(Machine machine, SyntheticGuest guest, CancellationToken end)
    {
        long bytes = 0;
        long at = Stopwatch.GetTimestamp();
        using PeriodicTimer timer = new(report.GuestInterval);
        try
        {
            while (await timer.WaitForNextTickAsync(end))
            {
                long now = Stopwatch.GetTimestamp();
                long written = guest.BytesWritten;
                if (machine.State is not MachineState.Created)
                {
                    double rate = (written - bytes) / Stopwatch.GetElapsedTime(at, now).TotalSeconds;
                    report.OnGuestRuns(new GuestFigures(machine.State is MachineState.Running, written, rate, guest.ThrottlePercent));
                }

                (bytes, at) = (written, now);
            }
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            // The guest's run has ended.
        }
    }
}
