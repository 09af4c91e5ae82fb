namespace RdmaMigration.Interop;

/// <summary>
/// What libvirt 12.8 sent to QEMU 11.1 and which events QEMU reported, in parts of a migration. A line is a command with its arguments, or an event behind *.
/// Two lines are short forms: "capabilities" sets all that libvirt knows, and enables those that follow; "parameters" sets back what query-migrate-parameters
/// has shown.
/// </summary>
internal static class LibvirtSequences
{
    /// <summary>The capabilities that libvirt sets in one command.</summary>
    public static string[] Capabilities { get; } =
    [
        "xbzrle", "auto-converge", "rdma-pin-all", "postcopy-ram", "pause-before-switchover", "late-block-activate", "multifd", "dirty-bitmaps",
        "return-path", "zero-copy-send", "postcopy-preempt", "switchover-ack", "mapped-ram",
    ];

    /// <summary>The parameters that libvirt sets back.</summary>
    public static string[] Parameters { get; } =
    [
        "cpu-throttle-initial", "cpu-throttle-increment", "tls-creds", "tls-hostname", "max-bandwidth", "downtime-limit", "xbzrle-cache-size",
        "max-postcopy-bandwidth", "multifd-channels", "multifd-compression", "multifd-zlib-level", "multifd-zstd-level", "avail-switchover-bandwidth",
        "direct-io",
    ];

    /// <summary>To each process that waits for a machine.</summary>
    public const string Begin = """
        query-migrate-capabilities
        migrate-set-capabilities {"capabilities":[{"capability":"events","state":true}]}
        query-chardev
        query-hotpluggable-cpus
        query-cpus-fast
        qom-list-get {"paths":["/machine/unattached/device[0]"]}
        query-iothreads
        set-action {"panic":"pause"}
        """;

    /// <summary>To a destination, once it has arrived: the guest runs on.</summary>
    public const string RunsOn = """
        cont
        * RESUME
        capabilities
        parameters
        """;

    /// <summary>To a destination, once it has arrived: the guest stays paused.</summary>
    public const string StaysPaused = SetsBack;

    /// <summary>To a process whose migration could not begin.</summary>
    public const string SetsBack = """
        capabilities
        parameters
        """;

    /// <summary>To a destination while memory is sent.</summary>
    public const string Arrives = """
        * active
        * completed
        query-chardev
        qom-list {"path":"/machine/peripheral"}
        query-block {"flat":true}
        """;

    /// <summary>To a destination whose source is lost, or cancels.</summary>
    public const string Fails = """
        * active
        * failed
        query-migrate
        """;

    /// <summary>To a source whose guest is to be paused first.</summary>
    public const string Suspends = """
        stop
        * STOP
        """;

    /// <summary>To a source whose guest runs.</summary>
    public const string Stops = """
        * setup
        * active
        * STOP
        """;

    /// <summary>To a source whose guest is paused already.</summary>
    public const string Sends = """
        * setup
        * active
        """;

    /// <summary>To a source when all memory is sent.</summary>
    public const string SwitchesOver = """
        * pre-switchover
        query-migrate
        migrate-continue {"state":"pre-switchover"}
        * device
        * completed
        query-migrate
        """;

    /// <summary>To a source while memory is sent: domjobinfo, then another rate, then domjobabort.</summary>
    public const string IsAborted = """
        query-migrate
        query-migrate
        migrate-set-parameters {"max-bandwidth":2097152}
        migrate_cancel
        * cancelling
        * cancelled
        capabilities
        parameters
        """;

    /// <summary>To a source whose destination is lost while memory is sent.</summary>
    public const string LosesDestination = """
        * failing
        * failed
        query-migrate
        capabilities
        parameters
        """;

    /// <summary>To a process that has a machine, for virsh domjobinfo, migrate-setspeed, migrate-setmaxdowntime, domstats, suspend and resume.</summary>
    public const string Queries = """
        query-migrate
        human-monitor-command {"command-line":"info migrate"}
        migrate-set-parameters {"max-bandwidth":104857600}
        query-migrate-parameters
        migrate-set-parameters {"downtime-limit":500}
        query-migrate-parameters
        query-stats {"target":"vcpu","providers":[{"provider":"kvm","names":["halt_poll_success_ns","halt_poll_fail_ns"]}]}
        query-stats-schemas
        query-stats {"target":"vcpu"}
        query-blockstats
        query-blockstats {"query-nodes":true}
        query-named-block-nodes {"flat":true}
        query-iothreads
        query-dirty-rate
        query-stats {"target":"vm"}
        stop
        * STOP
        cont
        * RESUME
        """;

    /// <summary>To a destination, which then listens.</summary>
    /// <param name="uri">Where it listens.</param>
    /// <param name="capabilities">Beside late-block-activate.</param>
    public static string Listens(string uri, string capabilities = "return-path switchover-ack") => $$"""
        query-migrate-parameters
        capabilities late-block-activate {{capabilities}}
        migrate-set-parameters {"tls-creds":"","tls-hostname":""}
        migrate-incoming {"uri":"{{uri}}","exit-on-error":false}
        * setup
        """;

    /// <summary>To a source, before it has a connection.</summary>
    /// <param name="bandwidth">The limit, in bytes a second.</param>
    /// <param name="capabilities">Beside pause-before-switchover.</param>
    public static string Prepares(long bandwidth = 9223372036853727232, string capabilities = "return-path switchover-ack") => $$"""
        query-migrate
        query-migrate
        query-named-block-nodes {"flat":true}
        query-named-block-nodes {"flat":true}
        query-migrate-parameters
        capabilities pause-before-switchover {{capabilities}}
        migrate-set-parameters {"tls-creds":"","tls-hostname":"","max-bandwidth":{{bandwidth}}}
        """;

    /// <summary>To a source, which then sends.</summary>
    public static string Migrates(string uri) => $$"""
        migrate {"resume":false,"uri":"{{uri}}"}
        """;
}
