using System.Buffers;
using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Options;
using RdmaMigration.Engine;
using RdmaMigration.Qmp;
using RdmaMigration.Transport;

namespace RdmaMigration.Service.Tests.Serve;

/// <summary>Options, capabilities and parameters of a service: what is shown is what applies.</summary>
public sealed class ServeSettingsTests
{
    [Fact]
    public void Options_of_the_command_line_are_capabilities_that_can_be_disabled()
    {
        ParameterSet started = ParameterSet.Defaults.With(MigrationParameters.PinAll, true).With(MigrationParameters.ReturnPath, true);
        MigrationCapabilities capabilities = new(QemuProfile.Qemu111, started);
        Assert.Equal(["rdma-pin-all", "return-path"], Enabled(capabilities));

        capabilities.Set([("rdma-pin-all", false), ("pause-before-switchover", true), ("auto-converge", true)]);

        Assert.Equal(["auto-converge", "return-path", "pause-before-switchover"], Enabled(capabilities));
        ParameterSet applied = capabilities.Apply(started);
        Assert.Equal(
            (false, true, true),
            (applied.Get(MigrationParameters.PinAll), applied.Get(MigrationParameters.ReturnPath), applied.Get(MigrationParameters.PauseBeforeSwitchover)));
    }

    [Theory]
    [InlineData(null, 0)]
    [InlineData(5UL << 20, 5UL << 20)]
    public void The_bandwidth_that_is_shown_is_the_one_that_applies(ulong? started, ulong shown)
    {
        ParameterSet parameters = ParameterSet.Defaults.With(MigrationParameters.MaxBandwidth, started);
        QemuParameters monitor = new(QemuProfile.Qemu111, parameters);
        Assert.Equal(shown, Bandwidth(monitor));
        Assert.Equal(started, monitor.Apply(parameters).Get(MigrationParameters.MaxBandwidth));
    }

    [Theory]
    [InlineData(1UL << 20, 1UL << 20)]
    [InlineData(1UL, 1024UL)]
    [InlineData(0UL, null)]
    [InlineData(ulong.MaxValue, null)]
    public void A_bandwidth_that_is_set_applies_and_0_is_no_limit(ulong set, ulong? applied)
    {
        ParameterSet parameters = ParameterSet.Defaults.With(MigrationParameters.MaxBandwidth, 5UL << 20);
        QemuParameters monitor = new(QemuProfile.Qemu72, parameters);
        using JsonDocument document = JsonDocument.Parse($$"""{"max-bandwidth": {{set}}, "downtime-limit": 5}""");
        monitor.Set(new QmpArguments(document.RootElement, monitor.SettingsType));
        Assert.Equal(set, Bandwidth(monitor));
        Assert.Equal(applied, monitor.Apply(parameters).Get(MigrationParameters.MaxBandwidth));
    }

    [Fact]
    public void Parameters_of_the_engine_have_the_default_and_the_range_of_its_table()
    {
        HasRangeOf(MigrationParameters.ThrottleTriggerThreshold, percent => percent);
        HasRangeOf(MigrationParameters.CpuThrottleInitial, percent => percent);
        HasRangeOf(MigrationParameters.CpuThrottleIncrement, percent => percent);
        HasRangeOf(MigrationParameters.MaxCpuThrottle, percent => percent);
        HasRangeOf(MigrationParameters.DowntimeLimit, limit => (int)limit.TotalMilliseconds);
    }

    [Fact]
    public void An_option_that_means_nothing_for_the_incoming_address_is_refused()
    {
        ParameterSet parameters = ParameterSet.Defaults.With(MigrationParameters.Allow, [new AllowedPeers(IPNetwork.Parse("10.0.0.0/8"))]);
        ServeOptions options = new() { Monitor = "/nowhere/qmp", Incoming = new ServeIncoming(new UnixUri("/nowhere/socket")), Parameters = parameters };
        OptionsValidationException refused = Assert.Throws<OptionsValidationException>(() => new ServeHost(options, new Observer()).Run());
        Assert.Contains("allow", refused.Failures.Single(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tcp:127.0.0.1:0")]
    [InlineData("unix:/nowhere")]
    public void An_option_that_a_later_migrate_can_use_is_not_refused(string incoming)
    {
        ParameterSet parameters = ParameterSet.Defaults
            .With(MigrationParameters.PinAll, true).With(MigrationParameters.ReturnPathTimeout, TimeSpan.FromSeconds(1));
        Assert.Empty(OptionChecks.Arrival(parameters, MigrationUri.Parse(incoming)));
    }

    private static void HasRangeOf<T>(Parameter<T> row, Func<T, int> number)
    {
        QemuParameters monitor = new(QemuProfile.Qemu111, ParameterSet.Defaults);
        Assert.Equal(number(row.Default), Written(monitor.Write).GetProperty(row.Name).GetInt32());
        (int least, int most) = (number(row.Kind.Bounds!.Value.Least), number(row.Kind.Bounds.Value.Most));
        Set(least);
        Set(most);
        Assert.Throws<QmpException>(() => Set(least - 1));
        Assert.Throws<QmpException>(() => Set(most + 1));
        Assert.Equal(most, Written(monitor.Write).GetProperty(row.Name).GetInt32());

        void Set(int value)
        {
            using JsonDocument document = JsonDocument.Parse($$"""{"{{row.Name}}": {{value}}}""");
            monitor.Set(new QmpArguments(document.RootElement, monitor.SettingsType));
        }
    }

    private static string[] Enabled(MigrationCapabilities capabilities) =>
    [
        .. Written(capabilities.Write).EnumerateArray()
            .Where(capability => capability.GetProperty("state").GetBoolean()).Select(capability => capability.GetProperty("capability").GetString()!),
    ];

    private static ulong Bandwidth(QemuParameters parameters) => Written(parameters.Write).GetProperty("max-bandwidth").GetUInt64();

    private static JsonElement Written(Action<Utf8JsonWriter> write)
    {
        ArrayBufferWriter<byte> bytes = new();
        using (Utf8JsonWriter writer = new(bytes))
        {
            write(writer);
        }

        return JsonElement.Parse(bytes.WrittenSpan);
    }
}
