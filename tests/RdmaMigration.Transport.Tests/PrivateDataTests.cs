namespace RdmaMigration.Transport.Tests;

public sealed class PrivateDataTests
{
    /// <summary>InfiniBand and RoCE pad a request's private data with zeros to this size.</summary>
    private const int Padded = 56;

    [Fact]
    public void A_purpose_is_read_as_it_was_written_behind_the_capabilities()
    {
        ConnectionPurpose purpose = ConnectionPurpose.NewMigration() with { Role = ConnectionRole.ReturnPath };
        byte[] privateData = new byte[Padded];
        new RdmaCapabilities(1, RdmaCapabilities.PinAll).Write(privateData);
        purpose.Write(privateData.AsSpan(RdmaCapabilities.Size));
        Assert.Equal(purpose, ConnectionPurpose.Read(privateData));
        Assert.Equal(new RdmaCapabilities(1, RdmaCapabilities.PinAll), RdmaCapabilities.Read(privateData));
    }

    [Fact]
    public void The_layout_is_what_the_protocol_page_says()
    {
        byte[] bytes = new byte[ConnectionPurpose.Size];
        new ConnectionPurpose(ConnectionRole.Main, new Guid("00112233-4455-6677-8899-aabbccddeeff")).Write(bytes);
        Assert.Equal("726D69670101000000112233445566778899AABBCCDDEEFF", Convert.ToHexString(bytes));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(8)]
    [InlineData(31)]
    [InlineData(Padded)]
    public void A_QEMUs_private_data_padded_or_not_has_no_purpose(int length)
    {
        byte[] privateData = new byte[length];
        if (length >= RdmaCapabilities.Size)
        {
            new RdmaCapabilities(1, 0).Write(privateData);
        }

        Assert.Null(ConnectionPurpose.Read(privateData));
    }
}
