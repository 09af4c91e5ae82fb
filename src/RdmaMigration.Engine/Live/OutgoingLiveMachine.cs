using System.Buffers;
using System.Diagnostics;
using RdmaMigration.Memory;
using RdmaMigration.Streams;
using RdmaMigration.Transport;
using RdmaMigration.VmState;

namespace RdmaMigration.Engine;

/// <summary>
/// A machine that runs while it is sent: all of RAM, then again and again the pages that it wrote meanwhile, until
/// <see cref="Convergence"/> finds that the rest is small enough for downtime-limit; then it is stopped, and the rest and the devices follow. On the thread
/// mig/src/main.
/// </summary>
/// <param name="machine">The machine.</param>
/// <param name="parameters">Limits and capabilities.</param>
/// <param name="switchover">Stops and saves it.</param>
/// <param name="figures">Take what a query answers.</param>
/// <param name="trace">The migration's trace points.</param>
internal sealed class OutgoingLiveMachine(
    ILiveMachine machine, ParameterSet parameters, Switchover switchover, LiveFigures figures, MigrationTrace trace) : IOutgoingMachine, IDisposable
{
    /// <summary>The section of RAM; devices have the numbers from <see cref="FirstDevice"/> on.</summary>
    private static readonly RamSectionForm s_ram = new(SectionId: 1, HasFooters: true, Wire.DefaultPageSize);

    private const uint FirstDevice = 2;

    private readonly Convergence _convergence = new();
    private readonly AutoConverge? _autoConverge = parameters.Get(MigrationParameters.AutoConverge)
        ? new AutoConverge(
            parameters.Get(MigrationParameters.ThrottleTriggerThreshold),
            parameters.Get(MigrationParameters.CpuThrottleInitial),
            parameters.Get(MigrationParameters.CpuThrottleIncrement),
            parameters.Get(MigrationParameters.MaxCpuThrottle))
        : null;

    private readonly LivePasses _passes = new(machine.Ram, machine.CreateTracker());

    /// <inheritdoc/>
    public StreamConfiguration Configuration { get; } = StreamConfiguration.Of(machine.Type);

    /// <inheritdoc/>
    public RamBlockList Ram => machine.Ram;

    /// <inheritdoc/>
    public void Check(MigrationUri uri)
    {
        if (uri.IsRdma && Ram.Count == 0)
        {
            throw new CaptureException("the machine has no RAM, so RDMA cannot carry it; send it to tcp: or unix:");
        }
    }

    /// <inheritdoc/>
    public void Write(DeliveryStream to)
    {
        OutgoingStream stream = new(to.Sink) { Carrier = to.OpenRam(runs: true), Progress = to.OnProgress, Cancellation = to.Cancellation };
        Report(to, CaptureStage.Ram, stream);
        if (!to.IsOpened)
        {
            stream.Begin(Configuration);
        }

        if (to.ReturnPath is not null)
        {
            stream.OpenReturnPath();
        }

        stream.WriteRamStart(s_ram, [.. Ram.Select(block => new RamBlockDescription(block.Name, block.Length))], Ram);
        _passes.Start();
        figures.OnTracking(_passes.Tracking);
        trace.SetupComplete();
        Iterate(to, stream);
        SavedDevices devices = Stop(to);
        if (to.Verify)
        {
            stream.WriteDigests(s_ram, Ram);
        }

        SendPass(to, stream, _passes, _passes.Bytes, isLast: true);
        SendDevices(to, stream, devices);
    }

    /// <summary>Ends the tracking and the throttling.</summary>
    public void Dispose()
    {
        _passes.Dispose();
        if (_autoConverge is { Percentage: > 0 })
        {
            machine.Throttle(0);
            figures.OnThrottle(0);
        }
    }

    private void Iterate(DeliveryStream to, OutgoingStream stream)
    {
        IPageSet pages = new AllPages(Ram);
        long bytes = (long)Ram.TotalLength;
        while (true)
        {
            to.Cancellation.ThrowIfCancellationRequested();
            long began = Stopwatch.GetTimestamp();
            long sent = SendPass(to, stream, pages, bytes, isLast: false);
            AwaitArrival(to, stream);
            TimeSpan sending = Stopwatch.GetElapsedTime(began);
            _passes.Clear();
            long dirtied = _passes.Collect();
            TimeSpan pass = Stopwatch.GetElapsedTime(began);
            _convergence.OnPass(sent, sending);
            TimeSpan expected = _convergence.TimeFor(_passes.Bytes);
            Note(dirtied, sent, sending, pass, expected);
            double dirtiedInASecond = dirtied * (double)RamBlock.LengthUnit / pass.TotalSeconds;
            if (_convergence.HasConverged(expected, pass - sending, switchover.DowntimeLimit, dirtiedInASecond))
            {
                trace.LowPending(_passes.Bytes);
                return;
            }

            if (_autoConverge?.OnPass(dirtied * (long)RamBlock.LengthUnit, sent, pass) is true)
            {
                machine.Throttle(_autoConverge.Percentage);
                figures.OnThrottle(_autoConverge.Percentage);
                trace.Throttle(_autoConverge.Percentage);
            }

            (pages, bytes) = (_passes, _passes.Bytes);
        }
    }

    private void Note(long dirtied, long sent, TimeSpan sending, TimeSpan pass, TimeSpan expected)
    {
        long rate = (long)(dirtied / pass.TotalSeconds);
        figures.OnCollected(rate, _passes.Bytes, _convergence.Bandwidth, expected);
        MigrationMetrics.OnPass(rate);
        trace.BitmapSyncEnd(dirtied);
        double threshold = _convergence.Bandwidth * Convergence.TimeForRam(switchover.DowntimeLimit).TotalSeconds;
        trace.Transferred(sent, sending, (long)_convergence.Bandwidth, (long)threshold);
    }

    /// <summary>Stops the machine, and collects what it wrote last.</summary>
    private SavedDevices Stop(DeliveryStream to)
    {
        switchover.Stop();
        if (parameters.Get(MigrationParameters.PauseBeforeSwitchover))
        {
            switchover.AwaitContinue(to.Channel);
        }

        SavedDevices devices = switchover.Save(() => DeviceWriter.Save(machine.Devices, footers: true, FirstDevice, Wire.DefaultPageSize));

        // After the devices: what prepares one to be saved may write to RAM.
        _passes.Collect();
        to.Reach(DeliveryStep.Device);
        return devices;
    }

    private long SendPass(DeliveryStream to, OutgoingStream stream, IPageSet pages, long bytes, bool isLast)
    {
        figures.OnPass(bytes);
        long before = to.Channel.Output.SentBytes;
        stream.WriteRamPass(s_ram, Ram, pages, Ram.TotalLength, isLast);
        return to.Channel.Output.SentBytes - before;
    }

    /// <summary>
    /// A socket takes some MiB before the destination has read anything. Only its answer shows how fast pages arrive, and that it has not refused the machine.
    /// </summary>
    private static void AwaitArrival(DeliveryStream to, OutgoingStream stream)
    {
        if (to.Channel.Ram is null)
        {
            to.ReturnPath?.Ping(stream.Ping);
        }
    }

    /// <summary>The end marker goes by itself: up to it the destination cannot have started the machine.</summary>
    private void SendDevices(DeliveryStream to, OutgoingStream stream, SavedDevices devices)
    {
        ReadOnlySequence<byte> sections = devices.Sections;
        trace.DowntimeCheckpoint("src-iterable-saved");
        Report(to, CaptureStage.DeviceState, stream);
        stream.WriteDevices(sections.Slice(0, sections.Length - 1));
        switchover.Commit();
        Report(to, CaptureStage.VmDescription, stream);
        stream.WriteSections(sections.Slice(sections.Length - 1));
        stream.End(devices.VmDescription);
        trace.DowntimeCheckpoint("src-non-iterable-saved");
        Report(to, CaptureStage.Complete, stream);
    }

    private void Report(DeliveryStream to, CaptureStage stage, OutgoingStream stream) =>
        to.OnProgress(new CaptureProgress(stream.RamDone, stream.RamZero, Ram.TotalLength, stream.Written, stage));
}
