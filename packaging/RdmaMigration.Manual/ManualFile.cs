using System.CommandLine;
using RdmaMigration.Cli;

namespace RdmaMigration.Manual;

/// <summary>A file that is generated from the command tree.</summary>
/// <param name="Name">Its path in the directory of generated files.</param>
/// <param name="Content">The whole text.</param>
internal sealed record ManualFile(string Name, string Content)
{
    /// <summary>The completions: bash looks for the command's name, zsh for the name behind an underscore, fish for the suffix.</summary>
    public const string Bash = "rdmamig", Zsh = "_rdmamig", Fish = "rdmamig.fish";

    /// <summary>A man page for the program and for each command, then the completions.</summary>
    /// <param name="date">The date of the pages.</param>
    public static IEnumerable<ManualFile> All(DateOnly date)
    {
        RootCommand root = Rdmamig.CreateRoot(new Screen(TextWriter.Null, TextWriter.Null));
        foreach (Command command in root.Subcommands.Prepend(root))
        {
            yield return new ManualFile($"{ManPage.NameOf(command)}.1", ManPage.Write(root, command, date));
        }

        yield return new ManualFile(Bash, BashCompletion.Write(root));
        yield return new ManualFile(Zsh, ZshCompletion.Write(root));
        yield return new ManualFile(Fish, FishCompletion.Write(root));
    }
}
