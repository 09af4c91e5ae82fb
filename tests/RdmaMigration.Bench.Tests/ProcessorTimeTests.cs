using System.Diagnostics;

namespace RdmaMigration.Bench.Tests;

public sealed class ProcessorTimeTests
{
    [Fact]
    public void A_process_that_computes_uses_user_time_and_one_that_has_ended_has_none()
    {
        using Process busy = Process.Start(new ProcessStartInfo("sh", ["-c", "while :; do :; done"]))!;
        ProcessorTime used = ProcessorTime.OfProcess(busy.Id);
        long deadline = Environment.TickCount64 + 20_000;
        while (used.User < 0.1 && Environment.TickCount64 < deadline)
        {
            used = ProcessorTime.OfProcess(busy.Id);
        }

        busy.Kill();
        busy.WaitForExit();

        Assert.InRange(used.User, 0.1, 20);
        Assert.True(used.System < used.User, $"{used}");
        Assert.Null(ProcessorTime.OfProcessOrNone(busy.Id));
        Assert.Throws<InvalidOperationException>(() => ProcessorTime.OfProcess(busy.Id));
    }

    [Theory]
    [InlineData("1-2\n", new[] { 1, 2 })]
    [InlineData("1,4-6,9\n", new[] { 1, 4, 5, 6, 9 })]
    [InlineData("\n", new int[0])]
    [InlineData("(null)\n", new int[0])]
    public void The_kernels_list_of_processors_is_read(string list, int[] numbers) => Assert.Equal(numbers, ExactProcessors.Parse(list));
}
