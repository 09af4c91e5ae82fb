using RdmaMigration.Memory;

namespace RdmaMigration.Transport.Tests;

/// <summary>Registering a whole block, up to the point where a device is needed.</summary>
public sealed class RamRegistrationTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_loss_ends_the_registration_of_much_memory_after_16_mebibytes_at_most(bool asChunks)
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 256 << 20);
        int looks = 0;
        using RamRegistration registration = new(null!, RamRegistration.DefaultLargestWindow, () =>
        {
            if (++looks == 3)
            {
                throw new ConnectionLostException(ConnectionLoss.Shutdown, "cancelled", 0);
            }
        });
        Assert.Equal(
            "cancelled",
            Assert.Throws<ConnectionLostException>(() => asChunks ? registration.RegisterChunks(block, 0, 255) : registration.RegisterBlock(block)).Message);
        Assert.Equal(32UL << 20, block.ResidentBytes);
    }
}
