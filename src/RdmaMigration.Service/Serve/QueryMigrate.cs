using System.Net;
using System.Text.Json;
using RdmaMigration.Engine;
using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>Writes the value of query-migrate, with the members that QEMU has in each status.</summary>
/// <param name="profile">The members that differ by version.</param>
internal sealed class QueryMigrate(QemuProfile profile)
{
    private const long PageSize = 4096;

    /// <summary>Writes it.</summary>
    /// <param name="writer">Takes it.</param>
    /// <param name="info">The migration; status none before the first.</param>
    /// <param name="uri">Where the process listens; null when it does not.</param>
    /// <param name="endPoint">The same, on a network.</param>
    public void Write(Utf8JsonWriter writer, MigrationInfo info, MigrationUri? uri, IPEndPoint? endPoint)
    {
        writer.WriteStartObject();
        if (info.Status is not MigrationStatus.None)
        {
            writer.WriteString("status", info.Status.ToQmp());
            if (info.ErrorDescription is { } error && (info.Status is MigrationStatus.Failed || IsCancelledWithReason(info)))
            {
                writer.WriteString("error-desc", error);
            }

            if (info.IsOutgoing)
            {
                WriteOutgoing(writer, info);
            }
        }
        else if (uri is not null && profile.HasListeningStatus)
        {
            writer.WriteString("status", MigrationStatus.Setup.ToQmp());
        }

        if (!info.Status.IsFinal() && uri is not null)
        {
            WriteAddress(writer, uri, endPoint);
        }

        writer.WriteEndObject();
    }

    private bool IsCancelledWithReason(MigrationInfo info) =>
        profile.HasReasonOfCancel && info is { Status: MigrationStatus.Cancelled, IsCancelledInPause: true };

    private void WriteOutgoing(Utf8JsonWriter writer, MigrationInfo info)
    {
        if (info.Status is MigrationStatus.Setup or MigrationStatus.Failed or MigrationStatus.Cancelled)
        {
            return;
        }

        long remaining = info.Status is MigrationStatus.Completed ? 0 : info.Live?.Remaining ?? Math.Max(info.RamTotal - info.RamTransferred, 0);
        writer.WriteNumber("total-time", Milliseconds(info.TotalTime));
        if (info.Status is MigrationStatus.Completed)
        {
            // A machine that does not run has no downtime of its own.
            writer.WriteNumber("downtime", Milliseconds(info.Live?.Downtime));
        }
        else
        {
            writer.WriteNumber("expected-downtime", Milliseconds(info.Live?.ExpectedDowntime));
            if (profile.HasRemaining)
            {
                writer.WriteNumber("remaining", remaining);
            }
        }

        writer.WriteNumber("setup-time", Milliseconds(info.SetupTime));
        if (info.Live is { ThrottlePercentage: > 0 and int percentage })
        {
            writer.WriteNumber("cpu-throttle-percentage", percentage);
        }

        WriteRam(writer, info, remaining);
    }

    private void WriteRam(Utf8JsonWriter writer, MigrationInfo info, long remaining)
    {
        long normal = Math.Max(info.RamTransferred - info.RamZero, 0);
        double seconds = (info.TotalTime - info.SetupTime).TotalSeconds;
        writer.WriteStartObject("ram");
        writer.WriteNumber("total", info.RamTotal);
        writer.WriteNumber("remaining", remaining);
        writer.WriteNumber("transferred", normal);
        writer.WriteNumber("duplicate", info.RamZero / PageSize);
        if (profile.HasSkippedPages)
        {
            writer.WriteNumber("skipped", 0);
        }

        writer.WriteNumber("normal", normal / PageSize);
        writer.WriteNumber("normal-bytes", normal);
        writer.WriteNumber("page-size", PageSize);
        writer.WriteNumber("dirty-pages-rate", info.Live?.DirtyPagesRate ?? 0);
        writer.WriteNumber("dirty-sync-count", info.Live?.Iterations ?? 1);
        writer.WriteNumber("mbps", seconds > 0 ? normal * 8 / 1e6 / seconds : 0);
        writer.WriteNumber("pages-per-second", seconds > 0 ? (long)(normal / PageSize / seconds) : 0);
        writer.WriteNumber("precopy-bytes", normal);
        writer.WriteNumber("downtime-bytes", 0);
        writer.WriteNumber("postcopy-bytes", 0);
        writer.WriteNumber("postcopy-requests", 0);
        writer.WriteNumber("multifd-bytes", 0);
        writer.WriteNumber("dirty-sync-missed-zero-copy", 0);
        writer.WriteEndObject();
    }

    /// <summary>0 when there is none; QEMU's largest number when nothing is known of the bandwidth.</summary>
    private static long Milliseconds(TimeSpan? time) => time == TimeSpan.MaxValue ? long.MaxValue : (long)(time?.TotalMilliseconds ?? 0);

    private static void WriteAddress(Utf8JsonWriter writer, MigrationUri uri, IPEndPoint? endPoint)
    {
        if (endPoint is null && uri is not UnixUri)
        {
            return;
        }

        writer.WriteStartArray("socket-address");
        writer.WriteStartObject();
        if (endPoint is null)
        {
            writer.WriteString("path", ((UnixUri)uri).Path);
            writer.WriteString("type", "unix");
        }
        else
        {
            writer.WriteString("port", endPoint.Port.ToString(System.Globalization.CultureInfo.InvariantCulture));
            writer.WriteBoolean(endPoint.AddressFamily is System.Net.Sockets.AddressFamily.InterNetworkV6 ? "ipv6" : "ipv4", true);
            writer.WriteString("host", endPoint.Address.ToString());
            writer.WriteString("type", "inet");
        }

        writer.WriteEndObject();
        writer.WriteEndArray();
    }
}
