namespace RdmaMigration.Engine.Tests;

public class ByteSizeTests
{
    [Theory]
    [InlineData("0", 0)]
    [InlineData("4096", 4096)]
    [InlineData("1B", 1)]
    [InlineData("512M", 512UL << 20)]
    [InlineData("512m", 512UL << 20)]
    [InlineData("16G", 16UL << 30)]
    [InlineData("16Gi", 16UL << 30)]
    [InlineData("16GiB", 16UL << 30)]
    [InlineData("1.5G", 3UL << 29)]
    [InlineData("64K", 64UL << 10)]
    [InlineData("2T", 2UL << 40)]
    [InlineData("1P", 1UL << 50)]
    [InlineData("18446744073709551615", ulong.MaxValue)]
    public void Reads_binary_units(string text, ulong bytes)
    {
        Assert.True(ByteSize.TryParse(text, out ulong read, out _));
        Assert.Equal(bytes, read);
    }

    [Theory]
    [InlineData("", "not a size")]
    [InlineData("G", "not a size")]
    [InlineData("-1G", "not a size")]
    [InlineData("1e3", "not a size")]
    [InlineData("1,5G", "not a size")]
    [InlineData("16GB", "not a unit")]
    [InlineData("1Mi5", "not a size")]
    [InlineData("1MG", "not a unit")]
    [InlineData("0.3K", "whole number of bytes")]
    [InlineData("16384P", "larger than 16 EiB")]
    [InlineData("18446744073709551616", "larger than 16 EiB")]
    public void Refuses_what_is_no_size_and_says_why(string text, string why)
    {
        Assert.False(ByteSize.TryParse(text, out _, out string? error));
        Assert.Contains(why, error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(655360, "640 KiB")]
    [InlineData(3UL << 29, "1.50 GiB")]
    [InlineData(ulong.MaxValue, "16384 PiB")]
    public void Writes_the_largest_unit_that_fits(ulong bytes, string text) => Assert.Equal(text, ByteSize.Format(bytes));
}
