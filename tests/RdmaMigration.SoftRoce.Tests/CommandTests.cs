using System.Security.Cryptography;

namespace RdmaMigration.SoftRoce.Tests;

public class CommandTests
{
    [Fact]
    public async Task Exit_code_and_both_streams_come_through_apart()
    {
        (int code, string? output, string? error) = await Rig.RunToEnd("--", "bash", "-c", "echo out; echo err >&2; exit 7");

        Assert.Equal((7, "out\n", "err\n"), (code, output, error));
    }

    [Fact]
    public async Task The_kernel_of_another_Debian_has_a_soft_RoCE_device_too()
    {
        (int code, string? output, string _) = await Rig.RunToEnd("--kernel", "trixie", "--", "bash", "-c", "uname -r; ls /sys/class/infiniband");

        Assert.Equal(0, code);
        Assert.Matches(@"^6\.12\.\S+\nrxe0\n$", output);
    }

    [Fact]
    public async Task Arguments_variables_and_working_directory_arrive_as_they_are()
    {
        (int code, string? output, string? error) = await Rig.RunToEnd(
            "--env", "QUOTED=a 'b' \"$c\"", "--", "bash", "-c", "printf '%s\\n' \"$PWD\" \"$QUOTED\" \"$@\"", "-", "two words", "*", "");

        Assert.Equal((0, $"{Rig.Repository}\na 'b' \"$c\"\ntwo words\n*\n\n", ""), (code, output, error));
    }

    [Fact]
    public async Task Standard_input_arrives_byte_for_byte_and_ends()
    {
        using Rig rig = Rig.Run("--stdin", "--", "od", "-An", "-c");
        await rig.Input.WriteAsync("one\r\n\0\u0004two");
        rig.Input.Close();

        (int code, string? output, string _) = await rig.End();

        Assert.Equal((0, "   o   n   e  \\r  \\n  \\0 004   t   w   o\n"), (code, output));
    }

    [Fact]
    public async Task A_hundred_megabytes_of_output_are_the_same_byte_for_byte()
    {
        string file = Path.Combine(Rig.Repository, ".artifacts", $"random-{Guid.NewGuid():N}");
        try
        {
            byte[] random = new byte[100_000_000];
            new Random(1).NextBytes(random);
            await File.WriteAllBytesAsync(file, random, TestContext.Current.CancellationToken);

            using Rig rig = Rig.Run("--", "cat", file);
            byte[] arrived = await SHA256.HashDataAsync(rig.RawOutput, rig.Deadline);

            Assert.Equal(SHA256.HashData(random), arrived);
            Assert.Equal(0, await rig.ExitCode());
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task The_guest_writes_to_the_repository_and_nowhere_else_on_the_host()
    {
        string file = Path.Combine(Rig.Repository, ".artifacts", $"written-{Guid.NewGuid():N}");
        try
        {
            (int code, string _, string? error) = await Rig.RunToEnd(
                "--", "bash", "-c", "echo guest > \"$1\"; touch /tmp/own /run/own /dev/shm/own && ! touch /etc/others", "-", file);

            Assert.True(code == 0, error);
            Assert.Equal("guest\n", await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken));
            Assert.False(File.Exists("/etc/others"));
            Assert.False(File.Exists("/dev/shm/own"));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task The_guest_has_an_RDMA_device_that_connects_over_both_address_families()
    {
        const string Script = """
            for address in 10.77.0.1 fd77::1; do
              rping -s -a $address -C 2 & until rping -c -a $address -C 2 -v; do read -t 1 < <(sleep 1); done; wait
            done
            ulimit -l
            """;
        (int code, string? output, string? error) = await Rig.RunToEnd("--timeout", "120", "--", "bash", "-c", Script);

        Assert.True(code == 0, error);
        Assert.Equal(2, output.Split('\n').Count(line => line.StartsWith("ping data: rdma-ping-1", StringComparison.Ordinal)));
        Assert.EndsWith("unlimited\n", output, StringComparison.Ordinal);
    }
}
