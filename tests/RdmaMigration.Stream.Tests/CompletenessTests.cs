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
    [InlineData("0000:00:04.0/virtio-mem", "")]
    [InlineData("0000:00:04.0/virtio-balloon", "virtio-balloon-device/free-page-report")]
    public void Memory_that_the_guest_does_without_need_not_come(string device, string state)
    {
        byte[] bytes = Machine(b => b.PageOf("a", 0, 7).Zero(null, Page), StreamBuilder.Full, device, state);
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler, options: TestOptions.Stream);
        Assert.Equal([new MissingPages("a", 2, 4, 2 * Page)], stream.NotSent);
    }

    [Fact]
    public void Pages_far_apart_are_told_from_those_that_never_came()
    {
        ReceivedPages received = new();
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

    private static byte[] Machine(Func<StreamBuilder, StreamBuilder> pages, byte type, string device = "dev", string state = "") => pages(
        StreamBuilder.WithConfiguration().Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("a", 4 * Page)).Eos().Footer(2)
            .Continued(StreamBuilder.End, 2)).Eos().Footer(2)
        .Opened(type, 9, device, 0, 1).Text(state).Footer(9).EndOfFile().VmDescription("{}").ToArray();

    private static int IndexOfDevice(byte[] bytes) => bytes.AsSpan().LastIndexOf((byte[])[StreamBuilder.Full, 0, 0, 0, 9]);
}
