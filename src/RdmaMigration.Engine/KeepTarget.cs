namespace RdmaMigration.Engine;

/// <summary>
/// A machine that arrives stays in the memory of this process (<see cref="MachineProcess.Kept"/>). The process stops listening once it has arrived. A source
/// gets success then, so this copy may be the only one until the machine is sent on; it ends with the process.
/// </summary>
internal sealed record KeepTarget : MachineTarget;
