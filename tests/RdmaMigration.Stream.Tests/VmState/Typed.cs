using System.Buffers;
using System.Text;
using RdmaMigration.Linux;
using RdmaMigration.Testing;
using RdmaMigration.VmState;

namespace RdmaMigration.Streams.Tests.VmState;

/// <summary>Streams of machines whose devices are typed.</summary>
internal static class Typed
{
    public const uint FirstSection = 5;

    public static DeviceList List(params Device[] devices)
    {
        DeviceList list = [];
        foreach (Device device in devices)
        {
            list.Add(device);
        }

        return list;
    }

    /// <summary>A whole stream: a machine of one page with these devices.</summary>
    public static byte[] Stream(SavedDevices saved, bool footers = true) =>
        Ram(footers).Raw(saved.Sections.ToArray()).VmDescription(Encoding.ASCII.GetString(saved.VmDescription.Span)).ToArray();

    public static byte[] Stream(params Device[] devices) => Stream(DeviceWriter.Save(List(devices), footers: true, FirstSection, StreamBuilder.Page));

    /// <summary>A machine of one page, up to its device state.</summary>
    public static StreamBuilder Ram(bool footers = true) => StreamBuilder.WithConfiguration()
        .Opened(StreamBuilder.Start, StreamBuilder.RamId, "ram", 0, 4).BlockList(("a", StreamBuilder.Page)).Eos().Footer(StreamBuilder.RamId, footers)
        .Continued(StreamBuilder.End, StreamBuilder.RamId).Zero("a", 0).Eos().Footer(StreamBuilder.RamId, footers);

    /// <summary>Commits a device as the engine does: on a thread that may not block.</summary>
    public static void Commit(StagedDevice staged)
    {
        BlockingCalls.Forbid("the big lock is held");
        try
        {
            staged.Commit(BigLockState.Held);
        }
        finally
        {
            BlockingCalls.Allow();
        }
    }

    /// <summary>Loads the stream and commits every device.</summary>
    public static void Load(byte[] stream, DeviceList devices, int mostPerRead = int.MaxValue)
    {
        foreach (StagedDevice staged in Decode(stream, devices, mostPerRead))
        {
            Commit(staged);
        }
    }

    public static IReadOnlyList<StagedDevice> Decode(byte[] stream, DeviceList devices, int mostPerRead = int.MaxValue, IncomingStreamOptions? options = null)
    {
        using RecordingHandler handler = new();
        using IncomingStream incoming = new(new MemorySource(stream, mostPerRead), handler, options ?? TestOptions.Stream, devices);
        return incoming.LoadDevices(BigLockState.NotHeld);
    }

    /// <summary>Expects that the load is refused, and by an error that names its place.</summary>
    public static StreamFormatException Refused(byte[] stream, DeviceList devices, IncomingStreamOptions? options = null)
    {
        StreamFormatException e = Assert.Throws<StreamFormatException>(() => Decode(stream, devices, options: options));
        AssertClear(e, stream.Length);
        return e;
    }

    public static void AssertClear(StreamFormatException e, int length)
    {
        Assert.StartsWith(e.Step, e.Message, StringComparison.Ordinal);
        Assert.Contains($"(stream offset 0x{e.Offset:x})", e.Message, StringComparison.Ordinal);
        Assert.InRange(e.Offset, 0UL, (ulong)length);
        Assert.DoesNotContain(e.Message, char.IsControl);
    }
}
