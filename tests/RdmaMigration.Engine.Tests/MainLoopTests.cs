namespace RdmaMigration.Engine.Tests;

public sealed class MainLoopTests
{
    [Fact]
    public void BottomHalvesRunInOrderOnTheMainThreadWithTheBigLockHeld()
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

            loop.Quit(7);
        });
        other.Start();
        Assert.Equal(7, loop.Run());
        other.Join();
        Assert.Equal(["0 main=True held=True", "1 main=True held=True", "2 main=True held=True"], ran);
        Assert.False(loop.Lock.IsHeld);
    }

    [Fact]
    public void TimersExpireInTheOrderOfTheirTimesAndADisposedOneNever()
    {
        MainLoop loop = new();
        List<string> ran = [];
        loop.StartTimer(TimeSpan.FromMilliseconds(40), () =>
        {
            ran.Add("late");
            loop.Quit(0);
        });
        loop.StartTimer(TimeSpan.FromMilliseconds(10), () => ran.Add("early"));
        loop.StartTimer(TimeSpan.FromMilliseconds(20), () => ran.Add("disposed")).Dispose();
        loop.Run();
        Assert.Equal(["early", "late"], ran);
    }

    [Fact]
    public void WithoutLockDropsItAroundTheCallAndTakesItAgainEvenWhenTheCallThrows()
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
            loop.Quit(0);
        });
        loop.Run();
        Assert.Equal([false, true], held);
    }

    [Fact]
    public void TheFirstExitCodeStays()
    {
        MainLoop loop = new();
        loop.Quit(1);
        loop.Quit(0);
        Assert.Equal(1, loop.Run());
    }
}
