using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>A QEMU or a service that a script drives.</summary>
/// <param name="Monitor">Its monitor.</param>
/// <param name="Process">The process.</param>
/// <param name="Owner">Ends it.</param>
internal sealed record QmpProcess(QmpClient Monitor, ChildProcess Process, IAsyncDisposable Owner) : IAsyncDisposable
{
    public static QmpProcess Of(QemuMachine machine) => new(machine.Monitor, machine.Process, machine);

    public static QmpProcess Of(ServeProcess service) => new(service.Monitor, service.Process, service);

    public ValueTask DisposeAsync() => Owner.DisposeAsync();
}
