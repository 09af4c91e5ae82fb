using System.Buffers.Binary;
using RdmaMigration.Bench.Guests;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Tests;

public sealed class DirtyingGuestTests : IDisposable
{
    private const uint First = 16 << 20;
    private const uint End = 24 << 20;

    private readonly WorkDirectory _work = new();

    [Fact]
    public void The_boot_sector_has_range_pace_and_signature_where_the_listing_says()
    {
        byte[] sector = DirtyingGuest.BootSector(First, End, pagesPerTick: 12, pagesPerCharacter: 34);

        Assert.Equal(512, sector.Length);
        Assert.Equal([0x55, 0xaa], sector[510..]);
        Assert.All([0x4e, 0x6c], at => Assert.Equal(34U, Number(sector, at)));
        Assert.All([0x53, 0x63], at => Assert.Equal(12U, Number(sector, at)));
        Assert.Equal((First, End), (Number(sector, 0x59), Number(sector, 0x7b)));
        Assert.Equal((0xfb, 0xf4), (sector[0x57], sector[0x67])); // sti, hlt
    }

    [Fact]
    public void The_tables_of_the_boot_sector_have_their_entries()
    {
        byte[] sector = DirtyingGuest.BootSector(First, End, pagesPerTick: 1, pagesPerCharacter: 1);

        Assert.Equal([0xb0, 0x7c], sector[0x08..0x0a]);
        Assert.Equal([0xb6, 0x7c], sector[0x0d..0x0f]);
        Assert.Equal(0x7c90U, Number(sector, 0xb2));
        Assert.Equal(0U, Number(sector, 0x90) | Number(sector, 0x94));
        Assert.Equal([0xff, 0xff, 0, 0, 0, 0x9a, 0xcf, 0], sector[0x98..0xa0]);
        Assert.Equal([0xff, 0xff, 0, 0, 0, 0x92, 0xcf, 0], sector[0xa0..0xa8]);
        Assert.Equal(0x7ca8U, Number(sector, 0xb8) + (0x20 * 8));
        Assert.Equal([0x83, 0x7c, 0x08, 0, 0, 0x8e, 0, 0], sector[0xa8..0xb0]);
        Assert.Equal([0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf], sector[0x83..0x8a]); // the code that the gate points to
    }

    [Fact]
    public void A_guest_without_a_pace_never_halts_and_writes_a_character_every_256_rounds()
    {
        string image = _work.File("boot");
        DirtyingGuest.WriteImage(image, First, End);
        byte[] bytes = File.ReadAllBytes(image);

        Assert.Equal(1 << 20, bytes.Length);
        Assert.Equal(DirtyingGuest.BootSector(First, End, pagesPerTick: 0, pagesPerCharacter: 256 * 2048), bytes[..512]);
        Assert.Equal((0x90, 0x90), (bytes[0x57], bytes[0x67]));
        Assert.All(bytes[512..], b => Assert.Equal(0, b));
        Assert.Throws<ArgumentOutOfRangeException>(() => DirtyingGuest.BootSector(First, End, pagesPerTick: 0, pagesPerCharacter: 0));
    }

    [Fact]
    public async Task A_guest_with_a_pace_dirties_at_most_at_its_rate()
    {
        GuestPlan plan = new() { Mebibytes = 64, WorkingSetPercent = 25, Rates = [2], Modes = [], BeforeSeconds = 2 };
        using QemuGuest qemu = new(plan);

        GuestPace pace = await qemu.MeasureAsync(2);

        // A busy host makes the guest miss ticks, but no guest is ahead of its timer.
        Assert.InRange(pace.Reached, 0.2, 2.2);
    }

    public void Dispose() => _work.Dispose();

    private static uint Number(byte[] sector, int at) => BinaryPrimitives.ReadUInt32LittleEndian(sector.AsSpan(at));
}
