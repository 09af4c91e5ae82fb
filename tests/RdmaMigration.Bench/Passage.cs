namespace RdmaMigration.Bench;

/// <summary>One migration, as measured.</summary>
/// <param name="Route">Who sent to whom.</param>
/// <param name="Mode">How RAM travelled.</param>
/// <param name="Workload">The machine.</param>
/// <param name="TotalMilliseconds">The sender's own total-time.</param>
/// <param name="SetupMilliseconds">Of it, the sender's own setup-time.</param>
/// <param name="RamMilliseconds">Of it, what RAM took: rdmamig's from active to device; QEMU's without setup.</param>
/// <param name="Sender">CPU time of the sending program during the migration.</param>
/// <param name="SenderBefore">What rdmamig used before that: to start, load the file and connect.</param>
/// <param name="Receiver">CPU time of the receiving program during the migration.</param>
/// <param name="ReceiverAfter">What rdmamig used after that: to write the machine to its file.</param>
internal sealed record Passage(
    Route Route,
    Mode Mode,
    Workload Workload,
    double TotalMilliseconds,
    double SetupMilliseconds,
    double RamMilliseconds,
    ProcessorTime Sender,
    ProcessorTime SenderBefore,
    ProcessorTime Receiver,
    ProcessorTime ReceiverAfter)
{
    /// <summary>MiB/s of memory that is not zero, over the whole migration.</summary>
    public double Rate => Workload.DataMebibytes / (TotalMilliseconds / 1000);

    /// <summary>The same over the time that RAM took.</summary>
    public double RamRate => Workload.DataMebibytes / (RamMilliseconds / 1000);

    /// <summary>GiB of the machine's RAM, zero or not.</summary>
    public double Gibibytes => Workload.Mebibytes / 1024.0;
}

/// <summary>What the sender says of a migration that completed.</summary>
internal sealed record Sent(double TotalMilliseconds, double SetupMilliseconds, double RamMilliseconds, ProcessorTime Cpu, ProcessorTime CpuBefore);
