using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>Where a parameter can be set.</summary>
[Flags]
internal enum ParameterSurface
{
    /// <summary>Only by a program that uses the engine, such as a test or a benchmark.</summary>
    Program = 0,

    /// <summary>By an option of the command line.</summary>
    CommandLine = 1,

    /// <summary>By migrate-set-parameters or migrate-set-capabilities.</summary>
    Qmp = 2,

    /// <summary>By both.</summary>
    Everywhere = CommandLine | Qmp,
}

/// <summary>Which side of a migration reads a parameter.</summary>
[Flags]
internal enum MigrationSide
{
    /// <summary>The side that receives a machine.</summary>
    Incoming = 1,

    /// <summary>The side that sends a machine.</summary>
    Outgoing = 2,

    /// <summary>Both sides.</summary>
    Both = Incoming | Outgoing,
}

/// <summary>The kinds of channel that a parameter means something for.</summary>
internal enum ParameterScope
{
    /// <summary>Every kind.</summary>
    AnyChannel,

    /// <summary>rdma: and tcp:.</summary>
    Network,

    /// <summary>rdma: alone.</summary>
    Rdma,

    /// <summary>tcp: alone.</summary>
    Tcp,
}

/// <summary>One row of the table <see cref="MigrationParameters"/>: a parameter or a capability, without its type.</summary>
internal abstract class Parameter
{
    /// <summary>The name: QEMU's, where QEMU has the parameter.</summary>
    public required string Name { get; init; }

    /// <summary>The name of the command line's option.</summary>
    public string Option
    {
        get => field ?? $"--{Name}";
        init;
    }

    /// <summary>A capability: a switch that QMP sets by migrate-set-capabilities.</summary>
    public bool IsCapability { get; init; }

    /// <summary>The side that reads it.</summary>
    public required MigrationSide Side { get; init; }

    /// <summary>The channels that it means something for.</summary>
    public ParameterScope Scope { get; init; }

    /// <summary>Where it can be set.</summary>
    public required ParameterSurface Surface { get; init; }

    /// <summary>What it does, in one line.</summary>
    public required string Help { get; init; }

    /// <summary>Why the default is what it is.</summary>
    public required string Reason { get; init; }

    /// <summary>Stands for the value in help; null for a switch.</summary>
    public abstract string? ValueName { get; }

    /// <summary>The values that are allowed, in words.</summary>
    public abstract string Range { get; }

    /// <summary>The default, as a person writes it.</summary>
    public abstract string DefaultText { get; }

    /// <summary>The kinds of channel that it means something for, in words.</summary>
    public string Channels => Scope switch
    {
        ParameterScope.Rdma => "rdma:HOST:PORT",
        ParameterScope.Tcp => "tcp:HOST:PORT",
        ParameterScope.Network => "rdma:HOST:PORT and tcp:HOST:PORT",
        _ => "every channel",
    };

    /// <summary>It means something for a channel of this kind.</summary>
    public bool AppliesTo(MigrationUri uri) => Scope switch
    {
        ParameterScope.Rdma => uri.IsRdma,
        ParameterScope.Tcp => uri is TcpUri,
        ParameterScope.Network => uri is HostUri,
        _ => true,
    };

    /// <summary>Sets a value as a person writes it.</summary>
    /// <exception cref="ArgumentException">It is no value of this parameter.</exception>
    public abstract ParameterSet SetFrom(ParameterSet set, string text);

    /// <summary>Writes the value that it has in a set, in the form that QMP uses.</summary>
    internal abstract void WriteValue(Utf8JsonWriter writer, ParameterSet values);
}

/// <summary>One row of the table <see cref="MigrationParameters"/>.</summary>
/// <typeparam name="T">The type of its value.</typeparam>
/// <param name="kind">What values it takes.</param>
/// <param name="default">The value when none is set.</param>
internal sealed class Parameter<T>(ParameterKind<T> kind, T @default) : Parameter
{
    /// <summary>The value when none is set.</summary>
    public T Default { get; } = @default;

    /// <summary>What values it takes.</summary>
    public ParameterKind<T> Kind { get; } = kind;

    /// <inheritdoc/>
    public override string? ValueName => Kind.ValueName;

    /// <inheritdoc/>
    public override string Range => Kind.Range;

    /// <inheritdoc/>
    public override string DefaultText => Kind.Format(Default);

    /// <summary>Reads a value as a person writes it. False with what is wrong, which does not name the parameter.</summary>
    public bool TryParse(string text, [MaybeNullWhen(false)] out T value, [NotNullWhen(false)] out string? error)
    {
        if (!Kind.TryParse(text, out value, out error))
        {
            return false;
        }

        error = Kind.Check(value) is { } bound ? $"'{text}' is out of range: {bound}" : null;
        return error is null;
    }

    /// <summary>Checks a value.</summary>
    /// <exception cref="ParameterException">It is out of range.</exception>
    public void Check(T value)
    {
        if (Kind.Check(value) is { } bound)
        {
            throw new ParameterException(Name, Kind.Format(value), bound);
        }
    }

    /// <inheritdoc/>
    public override ParameterSet SetFrom(ParameterSet set, string text) =>
        TryParse(text, out T? value, out string? error) ? set.With(this, value) : throw new ArgumentException($"{Name}: {error}");

    /// <inheritdoc/>
    internal override void WriteValue(Utf8JsonWriter writer, ParameterSet values) => Kind.Write(writer, values.Get(this));
}

/// <summary>A parameter was given a value that it does not take.</summary>
internal sealed class ParameterException(string parameter, string value, string bound) : ArgumentException($"{parameter} is {value}: {bound}")
{
    /// <summary>The parameter's name.</summary>
    public string Parameter => parameter;

    /// <summary>The value that was refused.</summary>
    public string Value => value;

    /// <summary>The bound that it breaks, in words.</summary>
    public string Bound => bound;
}
