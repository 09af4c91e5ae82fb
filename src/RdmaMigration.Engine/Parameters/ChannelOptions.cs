using RdmaMigration.Memory;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>Fills the option records of the projects below, which have no defaults of their own, from a set of parameters.</summary>
internal static class ChannelOptions
{
    /// <summary>The record of received pages may always take this much memory: that of 6 TiB of RAM. Beyond it, an eighth of what is available.</summary>
    private const ulong PageRecord = 256 << 20;

    /// <summary>Options of a listener.</summary>
    /// <param name="parameters">The values.</param>
    /// <param name="queues">Further sources wait while a migration runs.</param>
    public static ListenerOptions ForListener(this ParameterSet parameters, bool queues) => new()
    {
        KeepAliveInterval = parameters.Get(MigrationParameters.KeepAliveInterval),
        AcceptTimeout = parameters.Get(MigrationParameters.AcceptTimeout),
        FirstBytesTimeout = parameters.Get(MigrationParameters.SetupTimeout),
        ExchangeTimeout = parameters.Get(MigrationParameters.SetupTimeout),
        Allow = parameters.Get(MigrationParameters.Allow),
        Tls = parameters.Tls(),
        Queues = queues,
        Backlog = parameters.Get(MigrationParameters.Backlog),
        SpinTime = parameters.Get(MigrationParameters.SpinTime),
    };

    /// <summary>Options of an outgoing RDMA channel.</summary>
    public static RdmaConnectOptions ForRdma(this ParameterSet parameters) => new()
    {
        PinAll = parameters.Get(MigrationParameters.PinAll),
        ReturnPath = parameters.Get(MigrationParameters.ReturnPath),
        WindowBytes = parameters.Get(MigrationParameters.Window),
        ConnectTimeout = parameters.Get(MigrationParameters.ConnectTimeout),
        ReturnPathTimeout = parameters.Get(MigrationParameters.ReturnPathTimeout),
        AnswerTimeout = parameters.Get(MigrationParameters.AnswerTimeout),
        KeepAliveInterval = parameters.Get(MigrationParameters.KeepAliveInterval),
        SpinTime = parameters.Get(MigrationParameters.SpinTime),
    };

    /// <summary>Options of an outgoing channel of another kind.</summary>
    /// <param name="parameters">The values.</param>
    /// <param name="source">The file that is sent; null when it is not a file.</param>
    public static DescriptorChannelOptions ForDescriptors(this ParameterSet parameters, FileNode? source) => new()
    {
        ConnectTimeout = parameters.Get(MigrationParameters.ConnectTimeout),
        KeepAliveInterval = parameters.Get(MigrationParameters.KeepAliveInterval),
        Tls = parameters.Tls(),
        Source = source,
    };

    /// <summary>Options of an incoming stream.</summary>
    /// <param name="parameters">The values.</param>
    /// <param name="ramIsFresh">RAM reads as zero, and nothing but the stream writes to it.</param>
    /// <param name="sourceCloses">The source closes when it has sent everything.</param>
    public static IncomingStreamOptions ForStream(this ParameterSet parameters, bool ramIsFresh, bool sourceCloses = true) => new()
    {
        MaxDeviceState = parameters.Get(MigrationParameters.MaxDeviceState),
        DeviceStateInMemory = (long)parameters.Get(MigrationParameters.DeviceStateInMemory),
        TargetPageSize = (int)parameters.Get(MigrationParameters.PageSize),
        RamIsFresh = ramIsFresh,
        SourceCloses = sourceCloses,
        SilenceTimeout = parameters.Get(MigrationParameters.SilenceTimeout),
        MaxPageRecord = PageRecord,
        MaxPageRecordOfHost = static () => HostMemory.Available / 8,
    };

    /// <summary>The most bytes of RAM, read when a machine arrives: what a host can give changes.</summary>
    public static ulong RamLimit(this ParameterSet parameters) => parameters.Get(MigrationParameters.MaxRam) ?? HostMemory.Available;

    /// <summary>The rate of what is sent, in bytes a second; null for no limit.</summary>
    public static long? Rate(this ParameterSet parameters) =>
        parameters.Get(MigrationParameters.MaxBandwidth) is { } bytes ? (long)Math.Min(bytes, long.MaxValue) : null;

    private static TlsOptions? Tls(this ParameterSet parameters) => parameters.Get(MigrationParameters.TlsCreds) is { Length: > 0 } directory
        ? new TlsOptions
        {
            Directory = directory,
            Hostname = parameters.Get(MigrationParameters.TlsHostname) is { Length: > 0 } hostname ? hostname : null,
            AuthorizedName = parameters.Get(MigrationParameters.TlsAuthz) is { Length: > 0 } name ? name : null,
        }
        : null;
}
