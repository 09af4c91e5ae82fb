using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs.Handles;

internal sealed class DeviceContextHandle(nint native) : VerbsHandle(native)
{
    protected override int Destroy(nint native) => LibIbVerbs.ibv_close_device(native);
}

internal sealed class ProtectionDomainHandle(nint native, VerbsHandle device) : VerbsHandle(native, device)
{
    protected override int Destroy(nint native) => LibIbVerbs.ibv_dealloc_pd(native);
}

internal sealed class MemoryRegionHandle(nint native, ProtectionDomainHandle domain) : VerbsHandle(native, domain)
{
    protected override int Destroy(nint native) => LibIbVerbs.ibv_dereg_mr(native);
}
