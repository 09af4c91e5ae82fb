using System.Runtime.InteropServices;

using RdmaMigration.Linux;
using RdmaMigration.Verbs.Handles;
using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

/// <summary>What may be done to a memory region, by whom.</summary>
[Flags]
public enum MemoryAccess
{
    /// <summary>The device may read it for this process.</summary>
    None = 0,

    /// <summary>The device may write it for this process: the target of receives and RDMA reads.</summary>
    LocalWrite = 1,

    /// <summary>A peer may write it. Needs <see cref="LocalWrite"/>.</summary>
    RemoteWrite = 2,

    /// <summary>A peer may read it.</summary>
    RemoteRead = 4,

    /// <summary>A peer may do atomics on it. Needs <see cref="LocalWrite"/>.</summary>
    RemoteAtomic = 8,

    /// <summary>Pages are not pinned but faulted in by the device, where it can; see <see cref="DeviceContext.OnDemandPagingSupport"/>.</summary>
    OnDemand = 1 << 6,

    /// <summary>The range is backed by huge pages; only together with <see cref="OnDemand"/>.</summary>
    HugePages = 1 << 7,

    /// <summary>Writes may become visible in another order than they were made, where the device can.</summary>
    RelaxedOrdering = 1 << 20,
}

/// <summary>Memory regions and queue pairs of one domain may be used together, those of different ones may not.</summary>
/// <remarks>Thread-safe, but for Dispose against other calls. The caller disposes it; the native domain stays until what was made from it is gone.</remarks>
public sealed unsafe class ProtectionDomain : IDisposable
{
    private readonly nint _context;

    private ProtectionDomain(ProtectionDomainHandle handle, nint context)
    {
        Handle = handle;
        _context = context;
    }

    internal ProtectionDomainHandle Handle { get; }

    /// <summary>Allocates a domain on a device. Holds on to the device, or to the id that lends it.</summary>
    /// <exception cref="VerbsException">The device has none left, or was removed.</exception>
    public static ProtectionDomain Allocate(DeviceContext context)
    {
        using VerbsHandle.Scope scope = context.Handle.Use();
        nint domain = LibIbVerbs.ibv_alloc_pd(context.Context);
        if (domain == 0)
        {
            throw new VerbsException("ibv_alloc_pd", Marshal.GetLastPInvokeError(), context.DeviceName);
        }

        return new ProtectionDomain(new ProtectionDomainHandle(domain, context.Handle), context.Context);
    }

    /// <summary>
    /// Registers memory with the device, which pins it unless <see cref="MemoryAccess.OnDemand"/> is asked for. The memory must
    /// stay mapped until the region is disposed.
    /// </summary>
    /// <param name="address">Where it begins; any alignment.</param>
    /// <param name="length">In bytes, up to <see cref="DeviceAttributes.MaxMemoryRegionSize"/>.</param>
    /// <param name="access">What may be done to it.</param>
    /// <exception cref="VerbsException">The memlock limit is too low (ENOMEM), the range is not mapped (EFAULT), or the device cannot do that.</exception>
    public MemoryRegion Register(nint address, nuint length, MemoryAccess access)
    {
        using VerbsHandle.Scope scope = Handle.Use();
        ibv_mr* region = LibIbVerbs.ibv_reg_mr_iova2(scope.Native, address, length, (ulong)address, (uint)access);
        if (region is null)
        {
            throw RegistrationFailed(Marshal.GetLastPInvokeError(), length);
        }

        return new MemoryRegion(region, new MemoryRegionHandle((nint)region, Handle));
    }

    /// <summary>Asks the device to fault pages of on-demand regions in ahead of their use.</summary>
    /// <param name="region">A region of this domain that was registered with <see cref="MemoryAccess.OnDemand"/>.</param>
    /// <param name="offset">Offset in the region, in bytes.</param>
    /// <param name="length">In bytes.</param>
    /// <param name="forWrite">Whether the pages will be written.</param>
    /// <returns>False where the device or its driver has no such verb: nothing is lost but time.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the region.</exception>
    /// <exception cref="VerbsException">The device refused.</exception>
    public bool TryPrefetch(MemoryRegion region, nuint offset, uint length, bool forWrite)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, region.Length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, region.Length - offset);
        using VerbsHandle.Scope scope = Handle.Use();
        using VerbsHandle.Scope regionScope = region.Handle.Use();
        ibv_sge segment = new() { addr = (ulong)region.Address + offset, length = length, lkey = region.LocalKey };
        uint advice = forWrite ? Constants.IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE : Constants.IBV_ADVISE_MR_ADVICE_PREFETCH;
        int errno = Shim.rdmamig_advise_mr(scope.Native, advice, Constants.IBV_ADVISE_MR_FLAG_FLUSH, &segment, 1);
        return errno switch
        {
            0 => true,
            (int)Errno.EOPNOTSUPP or (int)Errno.ENOSYS => false,
            _ => throw new VerbsException("ibv_advise_mr", errno),
        };
    }

    /// <summary>Frees the domain once nothing that was made from it is left.</summary>
    public void Dispose() => Handle.Dispose();

    private VerbsException RegistrationFailed(int errno, nuint length)
    {
        string device = Marshal.PtrToStringUTF8((nint)LibIbVerbs.ibv_get_device_name(*(nint*)_context))!;
        return new VerbsException(
            "ibv_reg_mr", errno, $"{device}, {MemlockLimit.Size(length)}", errno == (int)Errno.ENOMEM ? MemlockLimit.Advise(length) : null);
    }
}
