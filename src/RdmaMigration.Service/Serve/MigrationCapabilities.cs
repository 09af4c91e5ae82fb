using System.Text.Json;
using RdmaMigration.Engine;
using RdmaMigration.Qmp;

namespace RdmaMigration.Service;

/// <summary>QEMU's migration capabilities as a service has them. Main thread.</summary>
internal sealed class MigrationCapabilities
{
    private const string EventsName = "events";
    private const string PauseName = "pause-before-switchover";

    /// <summary>In QEMU's order.</summary>
    private static readonly Row[] s_rows =
    [
        new("xbzrle"),
        new("rdma-pin-all", MigrationParameters.PinAll),

        // Without effect on a machine that does not run.
        new("auto-converge", MigrationParameters.AutoConverge),
        new("zero-blocks") { Until = 10 },
        new("compress") { Until = 7 },
        new(EventsName) { IsAccepted = true },
        new("postcopy-ram"),
        new("x-colo"),
        new("release-ram"),
        new("block") { Until = 7 },
        new("return-path", MigrationParameters.ReturnPath),
        new(PauseName, MigrationParameters.PauseBeforeSwitchover),
        new("multifd"),
        new("dirty-bitmaps"),
        new("postcopy-blocktime"),

        // There are no block devices here to activate.
        new("late-block-activate") { IsAccepted = true },
        new("x-ignore-shared"),
        new("validate-uuid"),
        new("background-snapshot"),
        new("zero-copy-send"),
        new("postcopy-preempt"),

        // A machine that arrives acknowledges by the machine type in its stream. One that is sent does not run, so it need not wait.
        new("switchover-ack") { IsAccepted = true, Since = 10 },
        new("dirty-limit") { Since = 10 },
        new("mapped-ram") { Since = 10 },
    ];

    private readonly Row[] _rows;
    private readonly HashSet<string> _enabled;

    /// <param name="profile">Has the list.</param>
    /// <param name="parameters">Have what is enabled from the start.</param>
    public MigrationCapabilities(QemuProfile profile, ParameterSet parameters)
    {
        _rows = [.. s_rows.Where(row => profile.Version.Major >= row.Since && profile.Version.Major <= row.Until)];
        _enabled = [.. _rows.Where(row => row.Parameter is { } parameter && parameters.Get(parameter)).Select(row => row.Name)];
    }

    /// <summary>All names.</summary>
    public QmpEnum Names => field ??= new QmpEnum([.. _rows.Select(row => row.Name)]);

    /// <summary>All, and whether they are enabled.</summary>
    public IEnumerable<(string Name, bool IsEnabled)> States => _rows.Select(row => (row.Name, _enabled.Contains(row.Name)));

    /// <summary>MIGRATION events are sent.</summary>
    public bool Events => _enabled.Contains(EventsName);

    /// <summary>A migration that is sent waits for migrate-continue.</summary>
    public bool PausesBeforeSwitchover => _enabled.Contains(PauseName);

    /// <summary>The parameters with the capabilities that the engine knows.</summary>
    public ParameterSet Apply(ParameterSet parameters)
    {
        foreach (Row row in _rows)
        {
            if (row.Parameter is { } parameter)
            {
                parameters = parameters.With(parameter, _enabled.Contains(row.Name));
            }
        }

        return parameters;
    }

    /// <summary>migrate-set-capabilities: all or none.</summary>
    /// <exception cref="QmpException">One is unknown, or cannot be enabled.</exception>
    public void Set(IReadOnlyList<(string Name, bool State)> changes)
    {
        foreach ((string name, bool state) in changes)
        {
            Row row = Array.Find(_rows, row => row.Name == name) ?? throw new QmpException($"Parameter 'capability' does not accept value '{name}'");
            if (state && row is { Parameter: null, IsAccepted: false })
            {
                throw new QmpException($"Capability '{name}' is not supported by rdmamig");
            }
        }

        foreach ((string name, bool state) in changes)
        {
            _ = state ? _enabled.Add(name) : _enabled.Remove(name);
        }
    }

    /// <summary>Writes the value of query-migrate-capabilities.</summary>
    public void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartArray();
        foreach ((string name, bool isEnabled) in States)
        {
            writer.WriteStartObject();
            writer.WriteBoolean("state", isEnabled);
            writer.WriteString("capability", name);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    /// <summary>A capability.</summary>
    /// <param name="Name">QEMU's name.</param>
    /// <param name="Parameter">The engine's; null for none.</param>
    private sealed record Row(string Name, Parameter<bool>? Parameter = null)
    {
        /// <summary>It can be enabled and has no effect in the engine.</summary>
        public bool IsAccepted { get; init; }

        /// <summary>QEMU's first major version that has it.</summary>
        public int Since { get; init; }

        /// <summary>QEMU's last major version that has it.</summary>
        public int Until { get; init; } = int.MaxValue;
    }
}
