using System.Globalization;
using System.Text.Json;
using RdmaMigration.Engine;
using RdmaMigration.Qmp;

namespace RdmaMigration.Service;

/// <summary>
/// QEMU's migration parameters as a service has them. Clients save all of them before a migration and set them back after it, so all are kept, also those that
/// have no effect here. max-bandwidth and those of TLS have one; downtime-limit and those of auto-converge have one on a machine that runs. Main thread.
/// </summary>
internal sealed class QemuParameters
{
    private const ulong MiB = 1 << 20;

    private static readonly QemuParameter[] s_rows =
    [
        new IntegerParameter("announce-initial", 50, 0, 100000),
        new IntegerParameter("announce-max", 550, 0, 100000),
        new IntegerParameter("announce-rounds", 5, 0, 1000),
        new IntegerParameter("announce-step", 100, 1, 10000),
        Percent(MigrationParameters.ThrottleTriggerThreshold),
        Percent(MigrationParameters.CpuThrottleInitial),
        Percent(MigrationParameters.CpuThrottleIncrement),
        new BooleanParameter("cpu-throttle-tailslow"),
        new TextParameter(MigrationParameters.TlsCreds.Name),
        new TextParameter(MigrationParameters.TlsHostname.Name),
        new TextParameter(MigrationParameters.TlsAuthz.Name),
        new IntegerParameter(MigrationParameters.MaxBandwidth.Name, 0, 0, ulong.MaxValue),
        new IntegerParameter("avail-switchover-bandwidth", 0, 0, ulong.MaxValue) { Since = 10 },
        Integer(MigrationParameters.DowntimeLimit, static limit => (ulong)limit.TotalMilliseconds),
        new IntegerParameter("x-checkpoint-delay", 20000, 0, uint.MaxValue),
        new IntegerParameter("multifd-channels", 2, 1, 255),
        new IntegerParameter("xbzrle-cache-size", 64 * MiB, 4096, ulong.MaxValue) { IsPowerOfTwo = true },
        new IntegerParameter("max-postcopy-bandwidth", 0, 0, ulong.MaxValue),
        Percent(MigrationParameters.MaxCpuThrottle),
        new EnumParameter("multifd-compression", "none", "none", "zlib", "zstd"),
        new IntegerParameter("multifd-zlib-level", 1, 0, 9),
        new IntegerParameter("multifd-qatzip-level", 1, 1, 9) { Since = 10 },
        new IntegerParameter("multifd-zstd-level", 1, 0, 20),
        new IntegerParameter("x-vcpu-dirty-limit-period", 1000, 1, 1000) { Since = 10 },
        new IntegerParameter("vcpu-dirty-limit", 1, 1, ulong.MaxValue) { Since = 10 },
        new EnumParameter("mode", "normal", "normal", "cpr-reboot") { Since = 10 },
        new EnumParameter("zero-page-detection", "multifd", "none", "legacy", "multifd") { Since = 10 },
        new BooleanParameter("direct-io") { Since = 10 },
        new IntegerParameter("x-rdma-chunk-size", MiB, MiB, 1024 * MiB) { IsPowerOfTwo = true, Since = 11 },
        new ListParameter("cpr-exec-command") { Since = 11 },
        new IntegerParameter("compress-level", 1, 0, 9) { Until = 7 },
        new IntegerParameter("compress-threads", 8, 1, 255) { Until = 7 },
        new IntegerParameter("decompress-threads", 2, 1, 255) { Until = 7 },
        new BooleanParameter("compress-wait-thread", true) { Until = 7 },
        new BooleanParameter("block-incremental") { Until = 7 },
    ];

    private static readonly Parameter<int>[] s_throttle =
    [
        MigrationParameters.ThrottleTriggerThreshold,
        MigrationParameters.CpuThrottleInitial,
        MigrationParameters.CpuThrottleIncrement,
        MigrationParameters.MaxCpuThrottle,
    ];

    private readonly QemuParameter[] _rows;
    private readonly Dictionary<string, JsonElement> _values = [];

    /// <param name="profile">Has the list.</param>
    /// <param name="parameters">
    /// Have the values that the engine uses, from the start. No limit of max-bandwidth is shown as 0, which means that in QEMU too.
    /// </param>
    public QemuParameters(QemuProfile profile, ParameterSet parameters)
    {
        _rows = [.. s_rows.Where(row => profile.Version.Major >= row.Since && profile.Version.Major <= row.Until)];
        ulong bandwidth = parameters.Get(MigrationParameters.MaxBandwidth) ?? 0;
        _values[MigrationParameters.MaxBandwidth.Name] = JsonElement.Parse(bandwidth.ToString(CultureInfo.InvariantCulture));
        long milliseconds = (long)parameters.Get(MigrationParameters.DowntimeLimit).TotalMilliseconds;
        _values[MigrationParameters.DowntimeLimit.Name] = JsonElement.Parse(milliseconds.ToString(CultureInfo.InvariantCulture));
        foreach (Parameter<int> throttle in s_throttle)
        {
            _values[throttle.Name] = JsonElement.Parse(parameters.Get(throttle).ToString(CultureInfo.InvariantCulture));
        }

        foreach (Parameter<string> text in (Parameter<string>[])[MigrationParameters.TlsCreds, MigrationParameters.TlsHostname, MigrationParameters.TlsAuthz])
        {
            _values[text.Name] = JsonElement.Parse($"\"{JsonEncodedText.Encode(parameters.Get(text))}\"");
        }
    }

    /// <summary>The value of tls-creds: an id, or a directory; empty for no TLS.</summary>
    public string Credentials => Text(MigrationParameters.TlsCreds);

    /// <summary>The value of tls-authz: an id, or a distinguished name; empty for none.</summary>
    public string Authorization => Text(MigrationParameters.TlsAuthz);

    /// <summary>The type of the value of query-migrate-parameters.</summary>
    public QmpObject Type => field ??= new QmpObject([.. _rows.Select(row => QmpMember.Optional(row.Name, row.Type))]);

    /// <summary>The type of the arguments of migrate-set-parameters.</summary>
    public QmpObject SettingsType => field ??= new QmpObject([.. _rows.Select(row => QmpMember.Optional(row.Name, row.SettingType))]);

    /// <summary>All, by name.</summary>
    public IEnumerable<(string Name, JsonElement Value)> Values => _rows.Select(row => (row.Name, _values.GetValueOrDefault(row.Name, row.Initial)));

    /// <summary>
    /// The engine's parameters with the values that were set here, except those that refer to objects. 0 and numbers above the kernel's stand for no limit;
    /// below 1 KiB/s the engine cannot pace.
    /// </summary>
    public ParameterSet Apply(ParameterSet parameters)
    {
        ulong bytes = _values[MigrationParameters.MaxBandwidth.Name].GetUInt64();
        ParameterSet applied = parameters.With(MigrationParameters.MaxBandwidth, bytes is 0 or > long.MaxValue ? null : Math.Max(bytes, 1024))
            .With(MigrationParameters.DowntimeLimit, TimeSpan.FromMilliseconds(_values[MigrationParameters.DowntimeLimit.Name].GetInt64()))
            .With(MigrationParameters.TlsHostname, Text(MigrationParameters.TlsHostname));
        return s_throttle.Aggregate(applied, (set, throttle) => set.With(throttle, _values[throttle.Name].GetInt32()));
    }

    /// <summary>migrate-set-parameters: all or none.</summary>
    /// <exception cref="QmpException">An argument is unknown, has another type, or is out of range.</exception>
    public void Set(QmpArguments arguments)
    {
        List<(string Name, JsonElement Value)> changes = [];
        foreach (QemuParameter row in _rows)
        {
            if (arguments.OptionalValue(row.Name) is { } value)
            {
                changes.Add((row.Name, row.Check(value)));
            }
        }

        arguments.End();
        foreach ((string name, JsonElement value) in changes)
        {
            _values[name] = value;
        }
    }

    /// <summary>Writes the value of query-migrate-parameters.</summary>
    public void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        foreach ((string name, JsonElement value) in Values)
        {
            writer.WritePropertyName(name);
            value.WriteTo(writer);
        }

        writer.WriteEndObject();
    }

    private static IntegerParameter Percent(Parameter<int> row) => Integer(row, static percent => (ulong)percent);

    /// <summary>A parameter of the engine that QMP writes as an integer: default and range are those of the engine's table.</summary>
    private static IntegerParameter Integer<T>(Parameter<T> row, Func<T, ulong> number)
    {
        (T least, T most) = row.Kind.Bounds ?? throw new InvalidOperationException($"{row.Name} has no bounds");
        return new IntegerParameter(row.Name, number(row.Default), number(least), number(most));
    }

    private string Text(Parameter<string> row) => _values[row.Name].GetString()!;
}
