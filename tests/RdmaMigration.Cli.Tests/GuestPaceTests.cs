using System.Diagnostics;
using RdmaMigration.Cli.Guest;

namespace RdmaMigration.Cli.Tests;

public sealed class GuestPaceTests
{
    private const int PagesPerSecond = 1000;
    private const int Pages = 300;

    [Theory]
    [InlineData(0, 1)]
    [InlineData(50, 2)]
    [InlineData(80, 5)]
    public void A_throttled_writer_does_not_catch_up_on_its_rate(int throttle, double slowedBy)
    {
        GuestGate gate = new(writers: 1);
        gate.Open();
        GuestPace pace = new(gate, PagesPerSecond * (double)GuestPage.Size);
        long began = Stopwatch.GetTimestamp();
        for (int i = 0; i < Pages; i++)
        {
            pace.AfterPage(throttle);
        }

        // What may be caught up, and the last slice, are less than a quarter.
        double nominal = (double)Pages / PagesPerSecond;
        Assert.True(Stopwatch.GetElapsedTime(began).TotalSeconds > 0.75 * slowedBy * nominal);
    }
}
