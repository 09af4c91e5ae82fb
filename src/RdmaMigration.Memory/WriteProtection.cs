using Microsoft.Win32.SafeHandles;
using RdmaMigration.Linux;

namespace RdmaMigration.Memory;

/// <summary>A userfaultfd that protects blocks from writes. The owner disposes it.</summary>
internal sealed unsafe class WriteProtection : IDisposable
{
    private readonly IReadOnlyList<RamBlock> _blocks;
    private readonly SafeFileHandle _userFault;
    private int _registered;

    private WriteProtection(IReadOnlyList<RamBlock> blocks, SafeFileHandle userFault)
    {
        _blocks = blocks;
        _userFault = userFault;
    }

    /// <summary>The blocks.</summary>
    public IReadOnlyList<RamBlock> Blocks => _blocks;

    /// <summary>The userfaultfd.</summary>
    public int Descriptor => (int)_userFault.DangerousGetHandle();

    /// <summary>Opens a userfaultfd for blocks. Nothing is registered yet.</summary>
    /// <exception cref="IOException">The kernel has none, lacks the feature, or this process has no right to it.</exception>
    public static WriteProtection Open(IReadOnlyList<RamBlock> blocks, bool isAsync)
    {
        UserFaultFeatures features = UserFaultFeatures.WriteProtect | UserFaultFeatures.WriteProtectFiles | (isAsync ? UserFaultFeatures.WriteProtectAsync : 0);
        CallResult opened = UserFault.Open(features, userModeOnly: isAsync, out SafeFileHandle? userFault);
        return userFault is not null ? new WriteProtection(blocks, userFault) : throw Refusal(opened.Error, isAsync);
    }

    /// <summary>Registers all blocks.</summary>
    /// <exception cref="RamAccessException">The kernel refuses one. None is registered.</exception>
    public void Register()
    {
        foreach (RamBlock block in _blocks)
        {
            // The kernel drops a transparent huge page's entry when it splits the page, and with it whether the page was written. Where there are none, the
            // kernel refuses the advice, which nobody needs then.
            _ = MemoryFile.AvoidHugePages(block.Pointer, block.Length);
            CallResult registered = UserFault.Register(Descriptor, block.Pointer, block.Length);
            if (registered.Failed)
            {
                Unregister();
                throw new RamAccessException(block.Name, "its writes cannot be tracked", "UFFDIO_REGISTER", registered.Error);
            }

            _registered++;
        }
    }

    /// <summary>Ends the registration of all blocks, and with it their protection. Writers that wait go on.</summary>
    public void Unregister()
    {
        for (; _registered > 0; _registered--)
        {
            RamBlock block = _blocks[_registered - 1];
            _ = UserFault.Unregister(Descriptor, block.Pointer, block.Length).OrThrow("UFFDIO_UNREGISTER");
        }
    }

    /// <summary>Protects a run of pages.</summary>
    /// <param name="block">The block, registered.</param>
    /// <param name="start">The first page of <see cref="RamBlock.LengthUnit"/>; of a block in huge pages, the first of a huge page.</param>
    /// <param name="end">The page after the last.</param>
    /// <exception cref="RamAccessException">The kernel refuses, for want of memory for page tables.</exception>
    public void Protect(RamBlock block, ulong start, ulong end)
    {
        CallResult done = UserFault.WriteProtect(Descriptor, block.Pointer + (start * RamBlock.LengthUnit), (end - start) * RamBlock.LengthUnit);
        if (done.Failed)
        {
            throw new RamAccessException(block.Name, $"pages {start} to {end} cannot be protected", "UFFDIO_WRITEPROTECT", done.Error);
        }
    }

    /// <summary>Closes the userfaultfd, which ends all registrations.</summary>
    public void Dispose() => _userFault.Dispose();

    private static IOException Refusal(Errno error, bool isAsync) => error switch
    {
        Errno.EINVAL => new MigrationException(
            FailureReason.Policy,
            isAsync
                ? "the kernel has no asynchronous write protection (since Linux 6.7)"
                : "the kernel cannot protect memory files from writes (since Linux 5.19)"),
        Errno.ENOSYS => new MigrationException(FailureReason.Policy, "the kernel has no userfaultfd (CONFIG_USERFAULTFD)"),
        Errno.EPERM => new MigrationException(
            FailureReason.Policy,
            "this process may not use userfaultfd: give it CAP_SYS_PTRACE or access to /dev/userfaultfd, or set the sysctl vm.unprivileged_userfaultfd to 1"),
        _ => new LinuxException("userfaultfd", error),
    };
}
