using RdmaMigration.Testing;

namespace RdmaMigration.Qmp.Tests;

/// <summary>A real QEMU with a monitor for raw clients, one after another.</summary>
public sealed class QemuFixture : IAsyncLifetime
{
    private readonly WorkDirectory _directory = new();
    private QemuMachine? _machine;

    public string Path => _directory.File("raw");

    public async ValueTask InitializeAsync() => _machine = await QemuMachine.StartAsync(
        new QemuOptions("qmp", "pc", RamMebibytes: 64) { MemoryFile = "", HasPlainRam = true, Extra = ["-qmp", $"unix:{Path},server=on,wait=off"] });

    public async ValueTask DisposeAsync()
    {
        if (_machine is not null)
        {
            await _machine.DisposeAsync();
        }

        _directory.Dispose();
    }
}
