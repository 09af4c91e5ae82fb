namespace RdmaMigration.Engine.Tests;

public sealed class MainLoopTests
{
    [Fact]
    public void Bottom_halves_run_in_order_on_the_main_thread_with_the_big_lock_held()
    {
        MainLoop loop = new();
        List<string> ran = [];
        Thread other = new(() =>
        {
            for (int i = 0; i < 3; i++)
            {
                int number = i;
                loop.Schedule(() => ran.Add($"{number} main={loop.IsMainThread} held={loop.Lock.IsHeld}"));
            }

            loop.Quit();
        });
        other.Start();
        loop.Run();
        other.Join();
        Assert.Equal(["0 main=True held=True", "1 main=True held=True", "2 main=True held=True"], ran);
        Assert.False(loop.Lock.IsHeld);
    }

    [Fact]
    public void Timers_expire_in_the_order_of_their_times_and_a_disposed_one_never()
    {
        MainLoop loop = new();
        List<string> ran = [];
        loop.StartTimer(TimeSpan.FromMilliseconds(40), () =>
        {
            ran.Add("late");
            loop.Quit();
        });
        loop.StartTimer(TimeSpan.FromMilliseconds(10), () => ran.Add("early"));
        loop.StartTimer(TimeSpan.FromMilliseconds(20), () => ran.Add("disposed")).Dispose();
        loop.Run();
        Assert.Equal(["early", "late"], ran);
    }

    [Fact]
    public void WithoutLock_takes_the_lock_again_when_the_call_throws()
    {
        MainLoop loop = new();
        List<bool> held = [];
        loop.Schedule(() =>
        {
            Assert.Throws<InvalidDataException>(() => loop.WithoutLock(() =>
            {
                held.Add(loop.Lock.IsHeld);
                throw new InvalidDataException();
            }));
            held.Add(loop.Lock.IsHeld);
            loop.Quit();
        });
        loop.Run();
        Assert.Equal([false, true], held);
    }

    [Fact]
    public async Task Who_asks_the_main_loop_gets_the_result_or_the_exception()
    {
        MainLoop loop = new();
        Task<string> answer = loop.InvokeAsync(() => $"main={loop.IsMainThread} held={loop.Lock.IsHeld}");
        Task<int> failure = loop.InvokeAsync<int>(() => throw new InvalidDataException());
        Task done = loop.InvokeAsync(loop.Quit);
        loop.Run();
        Assert.Equal("main=True held=True", await answer);
        await Assert.ThrowsAsync<InvalidDataException>(() => failure);
        await done;
        Assert.True(loop.InvokeAsync(() => 1).IsCanceled);
    }

    [Fact]
    public void The_timers_of_an_owner_stop_together()
    {
        MainLoop loop = new();
        object owner = new();
        List<string> ran = [];
        loop.StartTimer(TimeSpan.FromMilliseconds(1), () => ran.Add("owned"), owner);
        loop.StartTimer(TimeSpan.FromMilliseconds(2), () => ran.Add("owned"), owner);
        loop.StartTimer(TimeSpan.FromMilliseconds(20), loop.Quit);
        loop.StopTimers(owner);
        loop.Run();
        Assert.Empty(ran);
    }
}
