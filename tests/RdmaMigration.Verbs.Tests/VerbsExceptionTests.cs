using RdmaMigration.Linux;

namespace RdmaMigration.Verbs.Tests;

public sealed class VerbsExceptionTests
{
    [Theory]
    [InlineData("rdma_bind_addr", Errno.EADDRINUSE, "Another program listens on this port")]
    [InlineData("rdma_listen", Errno.EADDRINUSE, "Another program listens on this port")]
    [InlineData("rdma_bind_addr", Errno.EADDRNOTAVAIL, "No RDMA device has this address")]
    [InlineData("rdma_bind_addr", Errno.ENODEV, "No RDMA device has this address")]
    [InlineData("rdma_resolve_addr", Errno.ENODEV, "does not leave through an RDMA device")]
    [InlineData("RDMA_CM_EVENT_ADDR_ERROR", Errno.ETIMEDOUT, "Nobody answers for this address")]
    [InlineData("rdma_resolve_addr", Errno.ENETUNREACH, "There is no route")]
    [InlineData("RDMA_CM_EVENT_ROUTE_ERROR", Errno.EINVAL, "GID table")]
    [InlineData("RDMA_CM_EVENT_UNREACHABLE", Errno.ETIMEDOUT, "UDP port 4791")]
    [InlineData("rdma_create_event_channel", Errno.ENODEV, "modprobe rdma_ucm")]
    [InlineData("ibv_open_device", Errno.EACCES, "/dev/infiniband")]
    [InlineData("rdma_create_qp", Errno.ENOMEM, "ulimit -l")]
    [InlineData("ibv_create_cq", Errno.EMFILE, "LimitNOFILE")]
    internal void Message_names_call_and_errno_and_says_what_to_do(string call, Errno errno, string advice)
    {
        VerbsException exception = new(call, (int)errno, "10.77.0.1:4444");
        Assert.StartsWith($"{call}: {errno} (10.77.0.1:4444). ", exception.Message, StringComparison.Ordinal);
        Assert.Contains(advice, exception.Message, StringComparison.Ordinal);
        Assert.Equal((call, (int)errno, errno.ToString()), (exception.Call, exception.Errno, exception.ErrnoName));
    }

    [Fact]
    public void Unknown_errno_is_told_as_a_number()
    {
        Assert.Equal("ibv_modify_qp: errno 200", new VerbsException("ibv_modify_qp", 200).Message);
    }

    [Fact]
    public void Memlock_advice_tells_limit_and_need()
    {
        string advice = MemlockLimit.Advise(537UL << 20, 8192UL << 10);
        Assert.Contains("memlock limit is 8192 KiB", advice, StringComparison.Ordinal);
        Assert.Contains("needs 537 MiB", advice, StringComparison.Ordinal);
        Assert.Contains("LimitMEMLOCK", advice, StringComparison.Ordinal);
    }

    [Fact]
    public void Memlock_advice_without_a_limit_blames_device_or_host()
    {
        Assert.Contains("unlimited", MemlockLimit.Advise(1 << 20, null), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(WorkCompletionStatus.Success, "success")]
    [InlineData(WorkCompletionStatus.TransportRetryExceeded, "transport retry counter exceeded")]
    [InlineData(WorkCompletionStatus.WorkRequestFlushed, "Work Request Flushed Error")]
    public void Status_is_described_in_the_words_of_libibverbs(WorkCompletionStatus status, string words)
    {
        Assert.Equal(words, status.Describe());
    }
}
