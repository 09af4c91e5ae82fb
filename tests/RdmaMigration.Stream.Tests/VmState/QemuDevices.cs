using RdmaMigration.VmState;

namespace RdmaMigration.Streams.Tests.VmState;

/// <summary>QEMU's real-time clock, version 3.</summary>
internal sealed class Rtc
{
    public byte[] Cmos { get; } = new byte[128];

    public byte Index { get; set; }

    public long PeriodicTimer { get; set; }

    public long NextPeriodicTime { get; set; }

    public uint IrqCoalesced { get; set; }

    public uint Period { get; set; }

    public ulong BaseRtc { get; set; }

    public ulong LastUpdate { get; set; }

    public long Offset { get; set; }

    public long UpdateTimer { get; set; }

    public ulong NextAlarmTime { get; set; }

    public static VmStateDescription<Rtc> Description { get; } = new VmStateDescription<Rtc>("mc146818rtc", 3, 1)
        .Buffer("cmos_data", 128, s => s.Cmos)
        .Integer("cmos_index", s => s.Index, (s, v) => s.Index = v)
        .Unused(7 * 4)
        .Integer("periodic_timer", s => s.PeriodicTimer, (s, v) => s.PeriodicTimer = v, type: "timer")
        .Integer("next_periodic_time", s => s.NextPeriodicTime, (s, v) => s.NextPeriodicTime = v)
        .Unused(3 * 8)
        .Integer("irq_coalesced", s => s.IrqCoalesced, (s, v) => s.IrqCoalesced = v, since: 2)
        .Integer("period", s => s.Period, (s, v) => s.Period = v, since: 2)
        .Integer("base_rtc", s => s.BaseRtc, (s, v) => s.BaseRtc = v, since: 3)
        .Integer("last_update", s => s.LastUpdate, (s, v) => s.LastUpdate = v, since: 3)
        .Integer("offset", s => s.Offset, (s, v) => s.Offset = v, since: 3)
        .Integer("update_timer", s => s.UpdateTimer, (s, v) => s.UpdateTimer = v, since: 3, type: "timer")
        .Integer("next_alarm_time", s => s.NextAlarmTime, (s, v) => s.NextAlarmTime = v, since: 3);
}

/// <summary>QEMU's interval timer, version 3.</summary>
internal sealed class Pit
{
    public uint IrqDisabled { get; set; }

    public Channel[] Channels { get; } = [new(), new(), new()];

    public long NextTransition { get; set; }

    public static VmStateDescription<Pit> Description { get; } = new VmStateDescription<Pit>("i8254", 3, 2)
        .Integer("channels[0].irq_disabled", s => s.IrqDisabled, (s, v) => s.IrqDisabled = v, since: 3)
        .StructArray(
            "channels",
            3,
            new VmStateDescription<Channel>("pit channel", 2)
                .Integer("count", c => c.Count, (c, v) => c.Count = v)
                .Integer("latched_count", c => c.LatchedCount, (c, v) => c.LatchedCount = v)
                .Integer("count_latched", c => c.CountLatched, (c, v) => c.CountLatched = v)
                .Integer("status_latched", c => c.StatusLatched, (c, v) => c.StatusLatched = v)
                .Integer("status", c => c.Status, (c, v) => c.Status = v)
                .Integer("read_state", c => c.ReadState, (c, v) => c.ReadState = v)
                .Integer("write_state", c => c.WriteState, (c, v) => c.WriteState = v)
                .Integer("write_latch", c => c.WriteLatch, (c, v) => c.WriteLatch = v)
                .Integer("rw_mode", c => c.RwMode, (c, v) => c.RwMode = v)
                .Integer("mode", c => c.Mode, (c, v) => c.Mode = v)
                .Integer("bcd", c => c.Bcd, (c, v) => c.Bcd = v)
                .Integer("gate", c => c.Gate, (c, v) => c.Gate = v)
                .Integer("count_load_time", c => c.LoadTime, (c, v) => c.LoadTime = v)
                .Integer("next_transition_time", c => c.NextTransition, (c, v) => c.NextTransition = v),
            s => s.Channels)
        .Integer("channels[0].next_transition_time", s => s.NextTransition, (s, v) => s.NextTransition = v);

    internal sealed class Channel
    {
        public int Count { get; set; }

        public ushort LatchedCount { get; set; }

        public byte CountLatched { get; set; }

        public byte StatusLatched { get; set; }

        public byte Status { get; set; }

        public byte ReadState { get; set; }

        public byte WriteState { get; set; }

        public byte WriteLatch { get; set; }

        public byte RwMode { get; set; }

        public byte Mode { get; set; }

        public byte Bcd { get; set; }

        public byte Gate { get; set; }

        public long LoadTime { get; set; }

        public long NextTransition { get; set; }
    }
}

/// <summary>QEMU's interrupt controller, version 1. A machine has two.</summary>
internal sealed class Pic
{
    public static readonly string[] Names =
    [
        "last_irr", "irr", "imr", "isr", "priority_add", "irq_base", "read_reg_select", "poll", "special_mask", "init_state", "auto_eoi", "rotate_on_auto_eoi",
        "special_fully_nested_mode", "init4", "single_mode", "elcr",
    ];

    private readonly byte[] _registers = new byte[Names.Length];

    public static VmStateDescription<Pic> Description { get; } = Describe();

    public byte this[string register] => _registers[Array.IndexOf(Names, register)];

    private static VmStateDescription<Pic> Describe()
    {
        VmStateDescription<Pic> description = new("i8259", 1);
        for (int i = 0; i < Names.Length; i++)
        {
            int register = i;
            description.Integer(Names[i], s => s._registers[register], (s, v) => s._registers[register] = v);
        }

        return description;
    }
}

/// <summary>QEMU's keyboard controller, version 3, with its subsections.</summary>
internal sealed class Keyboard
{
    public byte WriteCommand { get; set; }

    public byte Status { get; set; }

    public byte Mode { get; set; }

    public byte Pending { get; set; }

    public byte? OutPort { get; set; }

    public bool HasExtendedState { get; set; }

    public uint MigrationFlags { get; set; }

    public uint OutputSource { get; set; }

    public byte OutputData { get; set; }

    public byte ControllerData { get; set; }

    public static VmStateDescription<Keyboard> Description { get; } = new VmStateDescription<Keyboard>("pckbd", 3)
        .Struct(
            "kbd",
            new VmStateDescription<Keyboard>("pckbd", 3) { PreLoad = s => (s.OutPort, s.HasExtendedState) = (null, false) }
                .Integer("write_cmd", s => s.WriteCommand, (s, v) => s.WriteCommand = v)
                .Integer("status", s => s.Status, (s, v) => s.Status = v)
                .Integer("mode", s => s.Mode, (s, v) => s.Mode = v)
                .Integer("pending_tmp", s => s.Pending, (s, v) => s.Pending = v)
                .Subsection(
                    new VmStateDescription<Keyboard>("pckbd_outport", 1) { Needed = s => s.OutPort is not null }
                        .Integer("outport", s => s.OutPort ?? 0, (s, v) => s.OutPort = v))
                .Subsection(
                    new VmStateDescription<Keyboard>("pckbd/extended_state")
                    {
                        Needed = s => s.HasExtendedState,
                        PostLoad = (s, _) => s.HasExtendedState = true,
                    }
                        .Integer("migration_flags", s => s.MigrationFlags, (s, v) => s.MigrationFlags = v)
                        .Integer("obsrc", s => s.OutputSource, (s, v) => s.OutputSource = v)
                        .Integer("obdata", s => s.OutputData, (s, v) => s.OutputData = v)
                        .Integer("cbdata", s => s.ControllerData, (s, v) => s.ControllerData = v)),
            s => s);
}

/// <summary>QEMU's event timer, version 2: structures counted by a byte.</summary>
internal sealed class Hpet
{
    public ulong Config { get; set; }

    public ulong Isr { get; set; }

    public ulong Counter { get; set; }

    public byte Count { get; set; }

    public IReadOnlyList<Comparator> Timers { get; set; } = [];

    public static VmStateDescription<Hpet> Description { get; } = new VmStateDescription<Hpet>("hpet", 2, 1)
        .Integer("config", s => s.Config, (s, v) => s.Config = v)
        .Integer("isr", s => s.Isr, (s, v) => s.Isr = v)
        .Integer("hpet_counter", s => s.Counter, (s, v) => s.Counter = v)
        .Integer("num_timers", s => s.Count, (s, v) => s.Count = v, since: 2, accepts: (_, v) => v is >= 3 and <= 32)
        .VariableStructArray(
            "timer",
            "num_timers",
            32,
            new VmStateDescription<Comparator>("hpet_timer", 1)
                .Integer("tn", t => t.Number, (t, v) => t.Number = v)
                .Integer("config", t => t.Config, (t, v) => t.Config = v)
                .Integer("cmp", t => t.Compare, (t, v) => t.Compare = v)
                .Integer("fsb", t => t.Fsb, (t, v) => t.Fsb = v)
                .Integer("period", t => t.Period, (t, v) => t.Period = v)
                .Integer("wrap_flag", t => t.WrapFlag, (t, v) => t.WrapFlag = v)
                .Integer("qemu_timer", t => t.Timer, (t, v) => t.Timer = v, type: "timer"),
            s => s.Timers,
            (s, v) => s.Timers = v,
            () => new Comparator());

    internal sealed class Comparator
    {
        public byte Number { get; set; }

        public ulong Config { get; set; }

        public ulong Compare { get; set; }

        public ulong Fsb { get; set; }

        public ulong Period { get; set; }

        public byte WrapFlag { get; set; }

        public long Timer { get; set; }
    }
}

/// <summary>QEMU's PCI bus, version 1: integers counted by an integer, which has to be the bus's own.</summary>
internal sealed class PciBus
{
    public int Irqs { get; set; } = 4;

    public int[] Counts { get; set; } = new int[4];

    public static VmStateDescription<PciBus> Description { get; } = new VmStateDescription<PciBus>("PCIBUS", 1)
        .Integer("nirq", s => s.Irqs, (s, v) => s.Irqs = v, accepts: (s, v) => v == s.Irqs, type: "int32 equal")
        .VariableArray("irq_count", "nirq", 16, s => s.Counts, (s, v) => s.Counts = v);
}
