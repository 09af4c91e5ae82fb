using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Cli.Tests;

public sealed class InspectTests : IDisposable
{
    private readonly string _file = Path.GetTempFileName();

    public InspectTests() => File.WriteAllBytes(_file, StreamBuilder.SmallMachine());

    public void Dispose() => File.Delete(_file);

    [Fact]
    public void Text_has_machine_blocks_with_their_zero_share_and_devices()
    {
        CommandLine inspected = CommandLine.Run("inspect", _file);

        Assert.Equal(ExitCode.Done, inspected.ExitCode);
        Assert.Matches(@"(?m)^machine type +test$", inspected.Out);
        Assert.Matches(@"(?m)^RAM +20 KiB in 2 blocks, 40\.0 % zero$", inspected.Out);
        Assert.Matches(@"(?m)^a +16 KiB +2 +2 +50\.0 %$", inspected.Out);
        Assert.Matches(@"(?m)^b +4 KiB +1 +0 +0\.0 %$", inspected.Out);
        Assert.Matches(@"(?m)^dev +0 +1 +4 +1$", inspected.Out);
    }

    [Fact]
    public void A_capture_at_the_start_of_a_huge_file_is_inspected()
    {
        using (FileStream file = File.OpenWrite(_file))
        {
            file.SetLength(100L << 30);
        }

        CommandLine inspected = CommandLine.Run("inspect", _file);

        Assert.Equal(ExitCode.Done, inspected.ExitCode);
        Assert.Matches(@"(?m)^machine type +test$", inspected.Out);
    }

    [Fact]
    public void Fields_of_one_device_come_with_their_values_and_nothing_else()
    {
        CommandLine inspected = CommandLine.Run("inspect", _file, "--device", "dev", "--fields");

        Assert.Equal(ExitCode.Done, inspected.ExitCode);
        Assert.StartsWith("dev  instance 0, version 1, 4 bytes at 0x", inspected.Out, StringComparison.Ordinal);
        Assert.Matches(@"(?m)^  x +uint32 +4277009102$", inspected.Out);
        Assert.DoesNotContain("machine type", inspected.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Json_is_one_object_with_the_same_facts()
    {
        CommandLine inspected = CommandLine.Run("inspect", _file, "--json");

        Assert.Equal(ExitCode.Done, inspected.ExitCode);
        using JsonDocument document = JsonDocument.Parse(inspected.Out);
        JsonElement root = document.RootElement;
        Assert.Equal("test", root.GetProperty("machine-type").GetString());
        Assert.Equal(20480, root.GetProperty("ram").GetProperty("total-length").GetInt64());
        JsonElement block = root.GetProperty("ram").GetProperty("blocks")[0];
        Assert.Equal(
            ("a", 2, 0.5), (block.GetProperty("name").GetString(), block.GetProperty("zero-pages").GetInt32(), block.GetProperty("zero-share").GetDouble()));
        JsonElement field = root.GetProperty("devices")[0].GetProperty("state").GetProperty("fields")[0];
        Assert.Equal(("x", "4277009102"), (field.GetProperty("name").GetString(), field.GetProperty("values")[0].GetString()));
        Assert.Single(inspected.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public void A_device_that_is_not_there_ends_with_1_and_the_names_that_are()
    {
        CommandLine inspected = CommandLine.Run("inspect", _file, "--device", "vga");

        Assert.Equal(ExitCode.Failed, inspected.ExitCode);
        Assert.EndsWith("has no device 'vga'; it has dev\n", inspected.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_truncated_stream_ends_with_1_and_where_it_broke_off()
    {
        File.WriteAllBytes(_file, StreamBuilder.SmallMachine()[..5000]);

        CommandLine inspected = CommandLine.Run("inspect", _file);

        Assert.Equal(ExitCode.Failed, inspected.ExitCode);
        Assert.Empty(inspected.Out);
        Assert.Contains("stream offset 0x", inspected.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_not_there_ends_with_1()
    {
        CommandLine inspected = CommandLine.Run("inspect", _file + ".gone");

        Assert.Equal(ExitCode.Failed, inspected.ExitCode);
        Assert.Contains(_file + ".gone", inspected.Error, StringComparison.Ordinal);
    }
}
