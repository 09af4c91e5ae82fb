using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using RdmaMigration.Cli.Guest;
using RdmaMigration.Engine;
using RdmaMigration.Memory;

namespace RdmaMigration.Cli.Reports;

/// <summary>Events for programs, in QMP's form: one JSON object a line on stdout. Messages go to stderr.</summary>
internal sealed class JsonView(Screen screen, TimeSpan? interval = null, TimeProvider? clock = null) : MigrationView
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly TimeProvider _clock = clock ?? TimeProvider.System;
    private readonly ArrayBufferWriter<byte> _line = new();

    /// <summary>Writes the parameters in effect as members of an object; null for none.</summary>
    public Action<Utf8JsonWriter>? Parameters { get; init; }

    public override TimeSpan Interval { get; } = interval ?? TimeSpan.FromSeconds(1);

    public override void Listening(string uri) => Write("LISTENING", json => json.WriteString("uri", uri));

    public override void Changed(MigrationInfo migration)
    {
        Write("MIGRATION", json =>
        {
            json.WriteString("status", migration.Status.ToQmp());
            json.WriteString("peer", migration.Peer);
        }, migration.ReachedAt);
        if (migration.Status.IsFinal())
        {
            Write("RESULT", json => WriteResult(json, migration));
        }
    }

    public override void Progress(MigrationInfo migration) => Write("PROGRESS", json =>
    {
        json.WriteString("status", migration.Status.ToQmp());
        json.WriteString("phase", migration.Phase.ToWord());
        json.WriteString("peer", migration.Peer);
        WriteTimesAndRam(json, migration);
        WriteLive(json, migration);
        WriteDestination(json, migration);
    });

    public override void GuestRuns(GuestFigures figures) => Write("GUEST", json =>
    {
        json.WriteBoolean("running", figures.IsRunning);
        json.WriteNumber("written", figures.BytesWritten);
        json.WriteNumber("rate", (long)figures.Rate);
        json.WriteNumber("throttle-percentage", figures.ThrottlePercent);
    });

    public override void GuestVerified(GuestVerdict verdict) => Write("VERIFIED", json =>
    {
        json.WriteBoolean("intact", verdict.IsIntact);
        json.WriteNumber("pages", verdict.Pages);
        json.WriteNumber("lost-writes", verdict.LostWrites);
        json.WriteNumber("late-writes", verdict.LateWrites);
        json.WriteNumber("torn-pages", verdict.TornPages);
        json.WriteNumber("foreign-pages", verdict.ForeignPages);
        json.WriteNumber("moves", verdict.Moves);
        json.WriteNumber("verify-time", (long)verdict.Time.TotalMilliseconds);
        if (verdict.Downtime is { } downtime)
        {
            json.WriteNumber("downtime", Math.Round(downtime.TotalMilliseconds, 3));
        }
    });

    public override void Message(LogLevel level, string text) => screen.Error.WriteLine($"rdmamig: {text}");

    private void WriteResult(Utf8JsonWriter json, MigrationInfo migration)
    {
        json.WriteString("status", migration.Status.ToQmp());
        json.WriteString("peer", migration.Peer);
        if (migration.Confirmed is { } confirmed)
        {
            json.WriteBoolean("confirmed", confirmed);
        }

        WriteText(json, "uri", migration.Uri);
        WriteText(json, "file", migration.File);
        WriteText(json, "error-desc", migration.ErrorDescription);
        WriteText(json, "error-class", migration.ErrorClass?.ToString());
        if (migration.ErrorLatency is { } latency)
        {
            json.WriteNumber("error-latency-us", (long)latency.TotalMicroseconds);
        }

        WriteText(json, "machine", migration.Machine);
        json.WriteString("mode", migration.Mode.ToWord());
        json.WriteBoolean("return-path", migration.ReturnPath);
        if (migration.IsVerified)
        {
            json.WriteBoolean("verified", true);
        }

        WriteTimesAndRam(json, migration);
        WriteLive(json, migration);
        WriteLeftOut(json, migration);
        WriteDestination(json, migration);
        if (Parameters is not null)
        {
            json.WriteStartObject("parameters");
            Parameters(json);
            json.WriteEndObject();
        }
    }

    /// <summary>Of a machine that runs while it is sent. QEMU's names where QEMU has the figure; times in milliseconds.</summary>
    private static void WriteLive(Utf8JsonWriter json, MigrationInfo migration)
    {
        if (migration.Live is not { } live)
        {
            return;
        }

        json.WriteNumber("dirty-sync-count", live.Iterations);
        json.WriteNumber("dirty-pages-rate", live.DirtyPagesRate);
        json.WriteNumber("bandwidth", live.Bandwidth);
        json.WriteNumber("expected-downtime", Math.Round(live.ExpectedDowntime.TotalMilliseconds, 3));
        json.WriteNumber("cpu-throttle-percentage", live.ThrottlePercentage);
        WriteText(json, "dirty-tracking", live.Tracking is { } tracking ? DirtyTrackers.Name(tracking) : null);
        if (live.Downtime is { } downtime)
        {
            json.WriteNumber("downtime", Math.Round(downtime.TotalMilliseconds, 3));
        }
    }

    /// <summary>RAM that is not in the stream.</summary>
    private static void WriteLeftOut(Utf8JsonWriter json, MigrationInfo migration)
    {
        if (migration.LeftOut.Count == 0)
        {
            return;
        }

        json.WriteStartArray("left-out");
        foreach (RamBlockDescription block in migration.LeftOut)
        {
            json.WriteStartObject();
            json.WriteString("block", block.Name);
            json.WriteNumber("bytes", block.Length);
            json.WriteString("capability", "x-ignore-shared");
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>Of a machine that is sent on: the other half of its way, with the names of the first.</summary>
    private static void WriteDestination(Utf8JsonWriter json, MigrationInfo migration)
    {
        if (migration.Destination is not { } destination)
        {
            return;
        }

        json.WriteStartObject("destination");
        json.WriteString("peer", destination.Peer);
        WriteText(json, "uri", destination.Uri);
        json.WriteString("mode", destination.Mode.ToWord());
        json.WriteBoolean("return-path", destination.ReturnPath);
        WriteTimesAndRam(json, destination);
        json.WriteEndObject();
    }

    private static void WriteTimesAndRam(Utf8JsonWriter json, MigrationInfo migration)
    {
        json.WriteNumber("total-time", (long)migration.TotalTime.TotalMilliseconds);
        if (migration.IsOutgoing)
        {
            json.WriteNumber("setup-time", (long)migration.SetupTime.TotalMilliseconds);
            if (migration.File is not null)
            {
                json.WriteNumber("load-time", (long)migration.LoadTime.TotalMilliseconds);
            }
        }

        if (migration.SaveTime > TimeSpan.Zero)
        {
            json.WriteNumber("save-time", (long)migration.SaveTime.TotalMilliseconds);
            json.WriteStartObject("saved");
            json.WriteNumber("ram", migration.SavedRam);
            json.WriteNumber("bytes", migration.SavedBytes);
            json.WriteEndObject();
        }

        json.WriteStartObject("ram");
        json.WriteNumber("total", migration.RamTotal);
        json.WriteNumber("transferred", migration.RamTransferred);
        json.WriteNumber("remaining", Math.Max(0, migration.RamTotal - migration.RamTransferred));
        json.WriteNumber("zero", migration.RamZero);
        json.WriteNumber("mbps", Math.Round(Megabits(migration), 3));
        json.WriteEndObject();
    }

    /// <summary>QEMU's mbps: megabits (10^6) a second since the start.</summary>
    private static double Megabits(MigrationInfo migration) =>
        migration.TotalTime > TimeSpan.Zero ? migration.RamTransferred * 8 / migration.TotalTime.TotalSeconds / 1e6 : 0;

    private static void WriteText(Utf8JsonWriter json, string name, string? value)
    {
        if (value is not null)
        {
            json.WriteString(name, value);
        }
    }

    /// <summary>As in QMP an event has the time at which it happened, not that of its printing.</summary>
    private void Write(string name, Action<Utf8JsonWriter> data, DateTimeOffset? at = null)
    {
        long microseconds = ((at ?? _clock.GetUtcNow()) - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;
        _line.ResetWrittenCount();
        using (Utf8JsonWriter json = new(_line, s_options))
        {
            json.WriteStartObject();
            json.WriteStartObject("timestamp");
            json.WriteNumber("seconds", microseconds / 1_000_000);
            json.WriteNumber("microseconds", microseconds % 1_000_000);
            json.WriteEndObject();
            json.WriteString("event", name);
            json.WriteStartObject("data");
            data(json);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        screen.Out.WriteLine(Encoding.UTF8.GetString(_line.WrittenSpan));
        screen.Out.Flush();
    }
}
