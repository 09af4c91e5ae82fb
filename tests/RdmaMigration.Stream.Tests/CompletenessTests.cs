using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

/// <summary>A machine counts as complete only when every page of every block has come.</summary>
public sealed class CompletenessTests
{
    private const ulong Page = StreamBuilder.Page;

    [Fact]
    public void Zero_pages_alone_are_multifd_and_refused_before_device_state()
    {
        byte[] bytes = Machine(b => b.Zero("a", 0).Zero(null, Page).Zero(null, 3 * Page), StreamBuilder.Full);
        StreamFormatException e = Streams.Refused(bytes, TestOptions.Stream);
        Assert.Equal(StreamFault.Incomplete, e.Fault);
        Assert.Contains("multifd", e.Message, StringComparison.Ordinal);
        Assert.Contains("1 of the 4 pages of RAM block 'a'", e.Message, StringComparison.Ordinal);
        Assert.Contains("0x2000", e.Message, StringComparison.Ordinal);
        Assert.Equal((ulong)IndexOfDevice(bytes), e.Offset);
    }

    [Fact]
    public void A_page_that_never_came_is_refused()
    {
        byte[] bytes = Machine(b => b.PageOf("a", 0, 7).Zero(null, Page).PageOf(null, 2 * Page, 7).PageOf(null, 2 * Page, 8), StreamBuilder.Full);
        StreamFormatException e = Streams.Refused(bytes, TestOptions.Stream);
        Assert.Equal(StreamFault.Incomplete, e.Fault);
        Assert.Contains("0x3000", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0000:00:04.0/virtio-mem", "", "0000:00:04.0/vmem")]
    [InlineData("virtio-mem", "", "vmem")]
    [InlineData("0000:00:04.0/virtio-balloon", "virtio-balloon-device/free-page-report", "a")]
    public void Memory_that_the_guest_does_without_need_not_come(string device, string state, string block)
    {
        byte[] bytes = Machine(b => b.PageOf(block, 0, 7).Zero(null, Page), StreamBuilder.Full, device, state, block);
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler, options: TestOptions.Stream);
        Assert.Equal([new MissingPages(block, 2, 4, 2 * Page)], stream.NotSent);
    }

    [Theory]
    [InlineData("a")]
    [InlineData("0000:00:05.0/vmem")]
    public void Virtio_mem_excuses_no_memory_but_its_own(string block)
    {
        byte[] bytes = Machine(b => b.PageOf(block, 0, 7).Zero(null, Page), StreamBuilder.Full, "0000:00:04.0/virtio-mem", "", block);
        Assert.Equal(StreamFault.Incomplete, Streams.Refused(bytes, TestOptions.Stream).Fault);
    }

    [Theory]
    [InlineData("0000:00:02.0/vga.vram")]
    [InlineData("/rom@etc/acpi/tables")]
    [InlineData("pc.bios")]
    public void Memory_of_a_device_is_not_excused_by_what_a_guest_does_without(string block)
    {
        byte[] bytes = Machine(b => b.PageOf(block, 0, 7).Zero(null, Page), StreamBuilder.Full, "0000:00:04.0/virtio-mem", "", block);
        StreamFormatException e = Streams.Refused(bytes, TestOptions.Stream);
        Assert.Equal(StreamFault.Incomplete, e.Fault);
        Assert.Contains(block, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("pc.rom", false)]
    [InlineData("backend", true)]
    [InlineData("0000:00:04.0/vmem", true)]
    public void With_x_ignore_shared_only_a_memory_backend_can_be_left_out(string block, bool isLeftOut)
    {
        byte[] bytes = new StreamBuilder().Header().Configuration("test").Subsection("configuration/capabilities").UInt32(1).Name("x-ignore-shared")
            .Opened(StreamBuilder.Start, 2, "ram", 0, 4)
            .UInt64((2 * Page) | 4).Name("a").UInt64(Page).UInt64(0).Name(block).UInt64(Page).UInt64(Page).Eos().Footer(2)
            .Continued(StreamBuilder.End, 2).PageOf("a", 0, 1).Eos().Footer(2).EndOfFile().VmDescription("{}").ToArray();
        using RecordingHandler handler = new();
        Exception? refused = Record.Exception(() => Streams.Load(bytes, handler, options: TestOptions.Stream));
        Assert.Equal(isLeftOut, refused is null);
        Assert.Equal(isLeftOut ? null : StreamFault.Incomplete, (refused as StreamFormatException)?.Fault);
    }

    [Fact]
    public void Pages_that_come_far_apart_take_little_memory()
    {
        ReceivedPages received = new(static () => { });
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (ulong page = 0; page < 100_000; page++)
        {
            received.Add(page << 20);
        }

        // An entry of the stream has 9 bytes.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100_000 * 9 * 80);
    }

    [Fact]
    public void Pages_far_apart_are_told_from_those_that_never_came()
    {
        ReceivedPages received = new(static () => { });
        ulong[] far = [0, 1, 63, 64, (1UL << 15) - 1, 1UL << 15, 1UL << 40];
        Assert.All(far, page => Assert.True(received.Add(page)));
        Assert.All(far, page => Assert.False(received.Add(page)));
        Assert.Equal((ulong)far.Length, received.Count);
        Assert.Equal(2UL, received.FirstMissing());
        for (ulong page = 2; page < 1UL << 15; page++)
        {
            received.Add(page);
        }

        Assert.Equal((1UL << 15) + 1, received.FirstMissing());
    }

    private static byte[] Machine(Func<StreamBuilder, StreamBuilder> pages, byte type, string device = "dev", string state = "", string block = "a") => pages(
        StreamBuilder.WithConfiguration().Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList((block, 4 * Page)).Eos().Footer(2)
            .Continued(StreamBuilder.End, 2)).Eos().Footer(2)
        .Opened(type, 9, device, 0, 1).Text(state).Footer(9).EndOfFile().VmDescription("{}").ToArray();

    private static int IndexOfDevice(byte[] bytes) => bytes.AsSpan().LastIndexOf((byte[])[StreamBuilder.Full, 0, 0, 0, 9]);
}
