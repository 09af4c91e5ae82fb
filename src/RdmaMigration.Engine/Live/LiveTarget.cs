namespace RdmaMigration.Engine;

/// <summary>A machine that arrives becomes this one, which starts then. The process stops listening once it has arrived.</summary>
internal sealed record LiveTarget(ILiveMachine Machine) : MachineTarget;
