namespace RdmaMigration.Engine.Tests;

public sealed class CaptureSourceTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_cancel_ends_the_wait_for_a_pipes_bytes_also_before_its_writer_came(bool writerCame)
    {
        using Fifo fifo = new();
        using CancellationTokenSource cancel = new();
        using CaptureSource source = new(fifo.Path, cancel.Token);
        byte[] buffer = new byte[16];
        if (writerCame)
        {
            fifo.Write([1, 2, 3]);
            Assert.Equal(3, source.Read(buffer));
        }

        Task<int> read = Task.Run(() => source.Read(buffer), TestContext.Current.CancellationToken);
        cancel.CancelAfter(TimeSpan.FromMilliseconds(50));

        await Assert.ThrowsAsync<OperationCanceledException>(() => read.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
    }

    [Fact]
    public void A_pipe_ends_when_its_writer_has_closed_it()
    {
        using Fifo fifo = new();
        using CaptureSource source = new(fifo.Path);
        fifo.Write([1, 2, 3]);
        fifo.End();
        byte[] buffer = new byte[16];
        Assert.Equal((3, 0), (source.Read(buffer), source.Read(buffer)));
        Assert.Equal((3, (long?)null), (source.BytesRead, source.Length));
    }
}
