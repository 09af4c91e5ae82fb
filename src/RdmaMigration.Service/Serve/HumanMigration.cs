using System.Globalization;
using System.Text;
using System.Text.Json;

namespace RdmaMigration.Service;

/// <summary>The lines of "info migrate" for a value of query-migrate.</summary>
internal static class HumanMigration
{
    private static readonly string[] s_units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

    /// <summary>As QEMU 11.1 writes them.</summary>
    public static string Describe(JsonElement migration)
    {
        StringBuilder text = new();
        if (Status(migration) is { } status)
        {
            Line(text, $"Status: \t\t{status}");
        }

        if (Number(migration, "total-time") is { } total)
        {
            string down = Number(migration, "downtime") is { } downtime ? $", down={downtime}"
                : Number(migration, "expected-downtime") is { } expected ? $", exp_down={expected}"
                : "";
            Line(text, $"Time (ms): \t\ttotal={total}, setup={Number(migration, "setup-time") ?? 0}{down}");
        }

        if (Number(migration, "remaining") is { } remaining)
        {
            Line(text, $"Remaining: \t\t{Size(remaining)}");
        }

        if (migration.TryGetProperty("ram", out JsonElement ram))
        {
            Line(text, "RAM info:");
            Line(text, $"  Throughput (Mbps): \t{Rate(ram)}");
            Line(text, $"  Sizes: \t\tpagesize={Size(Get(ram, "page-size"))}, total={Size(Get(ram, "total"))}");
            Line(text, $"  Transfers: \t\ttransferred={Size(Get(ram, "transferred"))}, remain={Size(Get(ram, "remaining"))}");
            Line(text, $"    Channels: \t\tprecopy={Size(Get(ram, "precopy-bytes"))}, multifd={Size(Get(ram, "multifd-bytes"))}, "
                + $"postcopy={Size(Get(ram, "postcopy-bytes"))}");
            Line(text, $"    Page Types: \tnormal={Get(ram, "normal")}, zero={Get(ram, "duplicate")}");
            Line(text, $"  Page Rates (pps): \ttransfer={Get(ram, "pages-per-second")}");
            Line(text, $"  Others: \t\tdirty_syncs={Get(ram, "dirty-sync-count")}");
        }

        return Addresses(text, migration, "Sockets").ToString();
    }

    /// <summary>As QEMU 7.2 and 10.0 write them, without the lines about its "globals".</summary>
    public static string DescribeOld(JsonElement migration)
    {
        StringBuilder text = new();
        if (Status(migration) is { } status)
        {
            Line(text, $"Migration status: {status}");
            Line(text, $"total time: {Number(migration, "total-time") ?? 0} ms");
        }

        OldNumber(text, migration, "expected-downtime", "expected downtime: ", " ms");
        OldNumber(text, migration, "downtime", "downtime: ", " ms");
        OldNumber(text, migration, "setup-time", "setup: ", " ms");
        if (migration.TryGetProperty("ram", out JsonElement ram))
        {
            Line(text, $"transferred ram: {Get(ram, "transferred") >> 10} kbytes");
            Line(text, $"throughput: {Rate(ram)} mbps");
            Line(text, $"remaining ram: {Get(ram, "remaining") >> 10} kbytes");
            Line(text, $"total ram: {Get(ram, "total") >> 10} kbytes");
            Line(text, $"duplicate: {Get(ram, "duplicate")} pages");
            if (Number(ram, "skipped") is { } skipped)
            {
                Line(text, $"skipped: {skipped} pages");
            }

            Line(text, $"normal: {Get(ram, "normal")} pages");
            Line(text, $"normal bytes: {Get(ram, "normal-bytes") >> 10} kbytes");
            Line(text, $"dirty sync count: {Get(ram, "dirty-sync-count")}");
            Line(text, $"page size: {Get(ram, "page-size") >> 10} kbytes");
            Line(text, $"multifd bytes: {Get(ram, "multifd-bytes") >> 10} kbytes");
            Line(text, $"pages-per-second: {Get(ram, "pages-per-second")}");
            if (Get(ram, "precopy-bytes") is var precopy and > 0)
            {
                Line(text, $"precopy ram: {precopy >> 10} kbytes");
            }
        }

        return Addresses(text, migration, "socket address").ToString();
    }

    private static string? Status(JsonElement migration) => !migration.TryGetProperty("status", out JsonElement status) ? null
        : status.ValueEquals("failed") && migration.TryGetProperty("error-desc", out JsonElement error) ? $"{status} ({error})"
        : status.ToString();

    private static StringBuilder Addresses(StringBuilder text, JsonElement migration, string title)
    {
        if (migration.TryGetProperty("socket-address", out JsonElement addresses))
        {
            Line(text, $"{title}: [");
            foreach (JsonElement address in addresses.EnumerateArray())
            {
                Line(text, address.TryGetProperty("path", out JsonElement path)
                    ? $"\tunix:{path}"
                    : $"\ttcp:{address.GetProperty("host")}:{address.GetProperty("port")}");
            }

            Line(text, "]");
        }

        return text;
    }

    private static void OldNumber(StringBuilder text, JsonElement migration, string name, string title, string unit)
    {
        if (Number(migration, name) is { } number)
        {
            Line(text, $"{title}{number}{unit}");
        }
    }

    private static long? Number(JsonElement from, string name) => from.TryGetProperty(name, out JsonElement value) ? value.GetInt64() : null;

    private static long Get(JsonElement from, string name) => from.GetProperty(name).GetInt64();

    private static string Rate(JsonElement ram) => ram.GetProperty("mbps").GetDouble().ToString("0.00", CultureInfo.InvariantCulture);

    /// <summary>Bytes with three significant digits.</summary>
    private static string Size(long bytes)
    {
        double value = bytes;
        int unit = 0;
        while (value >= 1000 && unit < s_units.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        string digits = value >= 100 ? "0" : value >= 10 ? "0.#" : "0.##";
        return $"{value.ToString(digits, CultureInfo.InvariantCulture)} {s_units[unit]}";
    }

    private static void Line(StringBuilder text, string line) => text.Append(line).Append("\r\n");
}
