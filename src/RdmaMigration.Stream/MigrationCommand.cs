namespace RdmaMigration.Streams;

/// <summary>MIG_CMD_*: what a COMMAND section carries (FORMAT.md, Commands).</summary>
internal enum MigrationCommand
{
    /// <summary>Never valid.</summary>
    Invalid = 0,

    /// <summary>The source reads a return path.</summary>
    OpenReturnPath = 1,

    /// <summary>Asks for a PONG with the same be32 value on the return path.</summary>
    Ping = 2,

    /// <summary>Postcopy may follow. Payload: nothing, or be64 page sizes in use and be64 target page size.</summary>
    PostcopyAdvise = 3,

    /// <summary>Postcopy: start listening.</summary>
    PostcopyListen = 4,

    /// <summary>Postcopy: start the machine.</summary>
    PostcopyRun = 5,

    /// <summary>Postcopy: pages that became dirty again.</summary>
    PostcopyRamDiscard = 6,

    /// <summary>A package follows: a nested stream of sections and commands. Payload: be32, its length.</summary>
    Packaged = 7,

    /// <summary>COLO will follow.</summary>
    EnableColo = 8,

    /// <summary>Postcopy recovery: go on.</summary>
    PostcopyResume = 9,

    /// <summary>Postcopy recovery: asks for a block's received bitmap.</summary>
    ReceiveBitmap = 10,

    /// <summary>The machine is stopped; END sections follow (QEMU 10.0 and later, machine types 10.0 and later).</summary>
    SwitchoverStart = 11,
}
