using System.Buffers.Binary;
using System.Runtime.InteropServices;

using RdmaMigration.Linux;
using RdmaMigration.Verbs.Handles;
using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

/// <summary>An RDMA device of this host. Holds nothing native; thread-safe.</summary>
public sealed unsafe class RdmaDevice
{
    private RdmaDevice(string name, ulong nodeGuid)
    {
        Name = name;
        NodeGuid = nodeGuid;
    }

    /// <summary>The kernel's name of the device, for example mlx5_0 or rxe0.</summary>
    public string Name { get; }

    /// <summary>The device's GUID in host byte order.</summary>
    public ulong NodeGuid { get; }

    /// <summary>The devices that there are now. Empty when there is none, or when the libraries are missing (see <see cref="RdmaSupport"/>).</summary>
    public static IReadOnlyList<RdmaDevice> GetDevices()
    {
        List<RdmaDevice> devices = new();
        using DeviceList list = new();
        for (int i = 0; i < list.Count; i++)
        {
            devices.Add(new RdmaDevice(NameOf(list[i]), BinaryPrimitives.ReverseEndianness(LibIbVerbs.ibv_get_device_guid(list[i]))));
        }

        return devices;
    }

    /// <summary>Opens the device. The caller disposes the context.</summary>
    /// <exception cref="VerbsException">The device is gone or may not be opened.</exception>
    public DeviceContext Open()
    {
        using DeviceList list = new();
        for (int i = 0; i < list.Count; i++)
        {
            if (NameOf(list[i]) != Name)
            {
                continue;
            }

            nint context = LibIbVerbs.ibv_open_device(list[i]);
            if (context == 0)
            {
                throw new VerbsException("ibv_open_device", Marshal.GetLastPInvokeError(), Name);
            }

            return new DeviceContext(context, Name, new DeviceContextHandle(context));
        }
        throw new VerbsException("ibv_open_device", (int)Errno.ENODEV, Name);
    }

    /// <inheritdoc/>
    public override string ToString() => Name;

    internal static int Count()
    {
        using DeviceList list = new();
        return list.Count;
    }

    private static string NameOf(nint device) => Marshal.PtrToStringUTF8((nint)LibIbVerbs.ibv_get_device_name(device))!;

    // The entries are valid until the list is freed; a context that was opened from one stays valid.
    private readonly ref struct DeviceList
    {
        private readonly nint* _list;

        public DeviceList()
        {
            if (NativeLibraries.MissingReason is not null)
            {
                return;
            }

            int count = 0;
            _list = LibIbVerbs.ibv_get_device_list(&count);
            // ENOSYS is the library's word for a kernel without RDMA.
            if (_list is null && Marshal.GetLastPInvokeError() is not ((int)Errno.ENOSYS or (int)Errno.ENOENT) and int errno)
            {
                throw new VerbsException("ibv_get_device_list", errno);
            }

            Count = count;
        }

        public int Count { get; }

        public nint this[int index] => _list[index];

        public void Dispose()
        {
            if (_list is not null)
            {
                LibIbVerbs.ibv_free_device_list(_list);
            }
        }
    }
}
