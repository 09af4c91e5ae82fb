namespace RdmaMigration.Service;

/// <summary>Checks that options of several hosts share. What is wrong goes into a list, so that all of it is said at once.</summary>
internal static class OptionChecks
{
    public static void AboveZero(List<string> failures, string name, TimeSpan? value)
    {
        if (value <= TimeSpan.Zero)
        {
            failures.Add($"{name} is {value}: it must be above 0, or absent");
        }
    }

    public static void NotNegative(List<string> failures, string name, TimeSpan value)
    {
        if (value < TimeSpan.Zero)
        {
            failures.Add($"{name} is {value}: it must be above 0, or 0 to turn probes off");
        }
    }
}
