using System.Text.RegularExpressions;
using RdmaMigration.Cli;
using RdmaMigration.Manual;
using RdmaMigration.Testing;

namespace RdmaMigration.Packaging.Tests;

public sealed partial class ManPageTests : IDisposable
{
    private static readonly string[] s_pages =
    [
        "rdmamig", "rdmamig-receive", "rdmamig-send", "rdmamig-relay", "rdmamig-serve", "rdmamig-migrate", "rdmamig-top", "rdmamig-qemu", "rdmamig-guest",
        "rdmamig-inspect", "rdmamig-doctor",
    ];

    private static readonly DateOnly s_date = new(2026, 1, 31);

    private readonly WorkDirectory _work = new();

    public static TheoryData<string> Pages => [.. s_pages];

    public void Dispose() => _work.Dispose();

    [Fact]
    public void Each_command_has_a_page()
    {
        IEnumerable<string> files = ManualFile.All(s_date).Select(file => file.Name);

        Assert.Equal(s_pages.Select(page => $"{page}.1"), files.Where(name => name.EndsWith(".1", StringComparison.Ordinal)));
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task Mandoc_man_and_lexgrog_find_no_fault_in_a_page(string page)
    {
        string file = Write(page);

        Assert.Equal((0, ""), await ChildProcess.RunAsync(Executables.OnPath("mandoc", "mandoc"), "-T", "lint", "-W", "warning", file));
        (int exitCode, string rendered) = await ChildProcess.RunAsync(
            "/usr/bin/env", "MANWIDTH=80", "LC_ALL=C.UTF-8", Executables.OnPath("man", "man-db"), "--warnings", "--local-file", file);
        Assert.Equal(0, exitCode);
        Assert.DoesNotContain("warning:", rendered, StringComparison.Ordinal);
        (exitCode, string name) = await ChildProcess.RunAsync(Executables.OnPath("lexgrog", "man-db"), file);
        Assert.Equal(0, exitCode);
        Assert.Contains($"\"{page} - ", name, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task A_page_has_the_options_defaults_examples_and_exit_codes_of_help(string page)
    {
        (int exitCode, string rendered) = await ChildProcess.RunAsync(Executables.OnPath("mandoc", "mandoc"), "-T", "utf8", Write(page));
        Assert.Equal(0, exitCode);
        string text = OneLine(Overstrike().Replace(rendered, ""));

        string[] help = Help(page).Split('\n');
        string[] options = [.. Section(help, "Arguments:"), .. Section(help, "Commands:"), .. Section(help, "Options:")];
        string[] others = [.. Section(help, "Examples:"), .. Section(help, "Exit codes:")];

        Assert.NotEmpty(options);
        Assert.NotEmpty(others);
        foreach (string line in options)
        {
            string[] columns = Columns().Split(line.Trim(), 2);
            Assert.All(Name().Matches(columns[0]), name => Assert.Contains(name.Value, text, StringComparison.Ordinal));
            Assert.Contains(OneLine(columns[1]), text, StringComparison.Ordinal);
        }

        Assert.All(others, line => Assert.Contains(OneLine(line), text, StringComparison.Ordinal));
    }

    private static string Help(string page)
    {
        using StringWriter output = new();
        string[] command = page == "rdmamig" ? [] : [page["rdmamig-".Length..]];
        Assert.Equal(0, Rdmamig.Run([.. command, "--help"], new Screen(output, TextWriter.Null)));
        return output.ToString();
    }

    private static IEnumerable<string> Section(string[] help, string title) =>
        help.SkipWhile(line => line != title).Skip(1).TakeWhile(line => line.Length > 0);

    private static string OneLine(string text) => Space().Replace(text, " ").Trim();

    private string Write(string page)
    {
        string path = _work.File($"{page}.1");
        File.WriteAllText(path, ManualFile.All(s_date).Single(file => file.Name == $"{page}.1").Content);
        return path;
    }

    /// <summary>mandoc prints bold and underlined letters as two, with a backspace between them.</summary>
    [GeneratedRegex(@".\x08")]
    private static partial Regex Overstrike();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Space();

    [GeneratedRegex(@"\s{2,}")]
    private static partial Regex Columns();

    [GeneratedRegex(@"(?<![\w<-])--?[\w?][\w-]*")]
    private static partial Regex Name();
}
