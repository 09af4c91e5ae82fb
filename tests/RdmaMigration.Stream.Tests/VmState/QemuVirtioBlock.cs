using RdmaMigration.VmState;

namespace RdmaMigration.Streams.Tests.VmState;

/// <summary>A virtio device's common part on PCI, and the little that a block device without requests adds.</summary>
internal sealed class VirtioBlock
{
    private const int MostQueues = 1024;
    private const int Vectors = 2;

    public int PciVersion { get; set; } = 2;

    public byte[] PciConfig { get; } = new byte[256];

    public byte[] PciIrqs { get; } = new byte[16];

    public byte[] MsixTable { get; } = new byte[16 * Vectors];

    public byte[] MsixPending { get; } = new byte[(Vectors + 7) / 8];

    public ushort ConfigVector { get; set; }

    public byte Status { get; set; }

    public byte Isr { get; set; }

    public ushort SelectedQueue { get; set; }

    public uint LowFeatures { get; set; }

    public uint ConfigLength { get; set; }

    public byte[] Config { get; set; } = [];

    public uint QueueCount { get; set; }

    public IReadOnlyList<Queue> Queues { get; set; } = [];

    public IReadOnlyList<object> Requests { get; set; } = [];

    public ulong Features { get; set; }

    public Ring[] Rings { get; } = [.. Enumerable.Range(0, MostQueues).Select(_ => new Ring())];

    public uint DeviceFeatureSelect { get; set; }

    public uint GuestFeatureSelect { get; set; }

    public uint[] GuestFeatures { get; } = new uint[2];

    public ModernQueue[] ModernQueues { get; } = [.. Enumerable.Range(0, MostQueues).Select(_ => new ModernQueue())];

    public bool? Started { get; set; }

    public bool? Disabled { get; set; }

    public static VmStateDescription<VirtioBlock> Description { get; } =
        new VmStateDescription<VirtioBlock>("virtio-blk", 2).Opaque("virtio", "virtio", Common(), s => s);

    private static VmStateDescription<VirtioBlock> Common() => new VmStateDescription<VirtioBlock>("common")
        .Integer("version_id", s => s.PciVersion, (s, v) => s.PciVersion = v, accepts: (_, v) => v <= 2, type: "int32 le")
        .Buffer("config", 256, s => s.PciConfig, type: "pci config")
        .Buffer("irq_state", 16, s => s.PciIrqs, type: "pci irq state")
        .Buffer("msix_table", 16 * Vectors, s => s.MsixTable)
        .Buffer("msix_pba", (Vectors + 7) / 8, s => s.MsixPending)
        .Integer("config_vector", s => s.ConfigVector, (s, v) => s.ConfigVector = v)
        .Integer("status", s => s.Status, (s, v) => s.Status = v)
        .Integer("isr", s => s.Isr, (s, v) => s.Isr = v)
        .Integer("queue_sel", s => s.SelectedQueue, (s, v) => s.SelectedQueue = v)
        .Integer("guest_features", s => s.LowFeatures, (s, v) => s.LowFeatures = v)
        .Integer("config_len", s => s.ConfigLength, (s, v) => s.ConfigLength = v)
        .VariableBuffer("config", "config_len", 256, s => s.Config, (s, v) => s.Config = v)
        .Integer("queues", s => s.QueueCount, (s, v) => s.QueueCount = v)
        .VariableStructArray(
            "queue",
            "queues",
            MostQueues,
            new VmStateDescription<Queue>("queue")
                .Integer("num", q => q.Length, (q, v) => q.Length = v)
                .Integer("desc", q => q.Descriptors, (q, v) => q.Descriptors = v)
                .Integer("last_avail_idx", q => q.LastAvailable, (q, v) => q.LastAvailable = v)
                .Integer("vector", q => q.Vector, (q, v) => q.Vector = v),
            s => s.Queues,
            (s, v) => s.Queues = v,
            () => new Queue())
        .List("requests", 0, new VmStateDescription<object>("request"), s => s.Requests, (s, v) => s.Requests = v, () => new object())
        .Struct("virtio", Modern(), s => s);

    private static VmStateDescription<VirtioBlock> Modern() => new VmStateDescription<VirtioBlock>("virtio", 1)
        .Subsection(
            new VmStateDescription<VirtioBlock>("virtio/64bit_features", 1) { Needed = s => s.Features >> 32 != 0 }
                .Integer("guest_features", s => s.Features, (s, v) => s.Features = v))
        .Subsection(
            new VmStateDescription<VirtioBlock>("virtio/virtqueues", 1) { Needed = s => s.Features >> 32 != 0 }
                .StructArray(
                    "vq",
                    MostQueues,
                    new VmStateDescription<Ring>("virtqueue_state", 1)
                        .Integer("vring.avail", r => r.Available, (r, v) => r.Available = v)
                        .Integer("vring.used", r => r.Used, (r, v) => r.Used = v),
                    s => s.Rings))
        .Subsection(new VmStateDescription<VirtioBlock>("virtio/extra_state", 1)
            .Opaque("extra_state", "virtqueue_extra_state", ModernPci(), s => s))
        .Subsection(
            new VmStateDescription<VirtioBlock>("virtio/started", 1) { Needed = s => s.Started is not null }
                .Bool("started", s => s.Started ?? false, (s, v) => s.Started = v))
        .Subsection(
            new VmStateDescription<VirtioBlock>("virtio/disabled", 1) { Needed = s => s.Disabled is not null }
                .Bool("disabled", s => s.Disabled ?? false, (s, v) => s.Disabled = v));

    private static VmStateDescription<VirtioBlock> ModernPci() => new VmStateDescription<VirtioBlock>("virtio_pci", 1)
        .Subsection(
            new VmStateDescription<VirtioBlock>("virtio_pci/modern_state", 1)
                .Integer("dfselect", s => s.DeviceFeatureSelect, (s, v) => s.DeviceFeatureSelect = v)
                .Integer("gfselect", s => s.GuestFeatureSelect, (s, v) => s.GuestFeatureSelect = v)
                .Array("guest_features", 2, s => s.GuestFeatures)
                .StructArray(
                    "vqs",
                    MostQueues,
                    new VmStateDescription<ModernQueue>("virtio_pci/modern_queue_state", 1)
                        .Integer("num", q => q.Length, (q, v) => q.Length = v)
                        .Unused(1)
                        .Bool("enabled", q => q.IsEnabled, (q, v) => q.IsEnabled = v)
                        .Array("desc", 2, q => q.Descriptors)
                        .Array("avail", 2, q => q.Available)
                        .Array("used", 2, q => q.Used),
                    s => s.ModernQueues),
            isRequired: true);

    internal sealed class Queue
    {
        public uint Length { get; set; }

        public ulong Descriptors { get; set; }

        public ushort LastAvailable { get; set; }

        public ushort Vector { get; set; }
    }

    internal sealed class Ring
    {
        public ulong Available { get; set; }

        public ulong Used { get; set; }
    }

    internal sealed class ModernQueue
    {
        public ushort Length { get; set; }

        public bool IsEnabled { get; set; }

        public uint[] Descriptors { get; } = new uint[2];

        public uint[] Available { get; } = new uint[2];

        public uint[] Used { get; } = new uint[2];
    }
}
