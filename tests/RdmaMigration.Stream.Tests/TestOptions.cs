namespace RdmaMigration.Streams.Tests;

/// <summary>Options of an incoming stream, which Stream gives no defaults.</summary>
internal static class TestOptions
{
    public static IncomingStreamOptions Stream { get; } = new() { MaxDeviceState = 1 << 30, DeviceStateInMemory = 64 << 20, TargetPageSize = 4096 };
}
