using System.IO.Pipes;

namespace RdmaMigration.Linux.Tests;

public class WakeEventTests
{
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(20);

    [Fact]
    public void Set_wakes_a_thread_that_waits_for_a_silent_descriptor()
    {
        using AnonymousPipeServerStream pipe = new(PipeDirection.In);
        using WakeEvent wake = new();
        WakeReasons reasons = WakeReasons.None;
        Thread waiting = new(() => reasons = wake.Wait(Number(pipe), PollEvents.Readable, Deadline.After(s_soon)));
        waiting.Start();
        wake.Set();
        Assert.True(waiting.Join(s_soon));
        Assert.Equal(WakeReasons.Set, reasons);
    }

    [Fact]
    public void It_stays_set_until_it_is_reset()
    {
        using WakeEvent wake = new();
        Assert.False(wake.Wait(Deadline.Passed));
        wake.Set();
        wake.Set();
        Assert.True(wake.Wait(Deadline.Never));
        Assert.True(wake.Wait(Deadline.Never));
        wake.Reset();
        Assert.False(wake.Wait(Deadline.After(TimeSpan.FromMilliseconds(1))));
    }

    [Fact]
    public void A_readable_descriptor_ends_the_wait_by_itself()
    {
        using AnonymousPipeServerStream pipe = new(PipeDirection.In);
        using AnonymousPipeClientStream writer = new(PipeDirection.Out, pipe.ClientSafePipeHandle);
        using WakeEvent wake = new();
        writer.WriteByte(1);
        Assert.Equal(WakeReasons.Ready, wake.Wait(Number(pipe), PollEvents.Readable, Deadline.Never));
    }

    [Fact]
    public void Set_after_dispose_touches_no_other_file()
    {
        WakeEvent wake = new();
        int number = wake.Descriptor;
        wake.Dispose();
        using WakeEvent other = new();
        Assert.Equal(number, other.Descriptor);
        wake.Set();
        Assert.False(other.Wait(Deadline.Passed));
    }

    private static int Number(AnonymousPipeServerStream pipe) => (int)pipe.SafePipeHandle.DangerousGetHandle();
}
