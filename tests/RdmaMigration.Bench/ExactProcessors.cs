namespace RdmaMigration.Bench;

/// <summary>
/// Processors that run with <c>nohz_full</c>: the kernel counts there when a program enters and leaves it, where it looks at each tick of its clock elsewhere.
/// Where there are two, the sending program and the receiving one get one each.
/// </summary>
internal static class ExactProcessors
{
    private const string ListFile = "/sys/devices/system/cpu/nohz_full";

    private static readonly int[] s_numbers = File.Exists(ListFile) ? [.. Parse(File.ReadAllText(ListFile))] : [];

    public static bool AreThere => s_numbers.Length > 1;

    /// <summary>What starts a sending program there; empty where there are none.</summary>
    public static string[] ForSender => StartOn(0);

    /// <summary>What starts a receiving program there; empty where there are none.</summary>
    public static string[] ForReceiver => StartOn(1);

    /// <summary>The kernel's lists of processors: <c>1,4-6</c>; without any, an empty line or <c>(null)</c>.</summary>
    public static IEnumerable<int> Parse(string list)
    {
        foreach (string range in list.Trim().Split(',').Where(range => range.Length > 0 && char.IsAsciiDigit(range[0])))
        {
            int[] ends = [.. range.Split('-').Select(int.Parse)];
            for (int number = ends[0]; number <= ends[^1]; number++)
            {
                yield return number;
            }
        }
    }

    private static string[] StartOn(int index) => AreThere ? ["taskset", "--cpu-list", Report.Text($"{s_numbers[index]}")] : [];
}
