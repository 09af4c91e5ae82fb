using Spectre.Console;

namespace RdmaMigration.Cli;

/// <summary>
/// Where a command writes: results to <see cref="Out"/>, everything about the work to <see cref="Error"/>.
/// Colour, tables and live progress only where the stream is a terminal.
/// </summary>
internal sealed class Screen(TextWriter output, TextWriter error, bool outputIsTerminal = false, bool errorIsTerminal = false)
{
    public TextWriter Out { get; } = output;

    public TextWriter Error { get; } = error;

    public bool OutputIsTerminal { get; } = outputIsTerminal;

    public bool ErrorIsTerminal { get; } = errorIsTerminal;

    /// <summary>
    /// The process's own streams, once: the console's writers are these from then on. A terminal with TERM=dumb is written to as if it were a file.
    /// </summary>
    public static Screen OpenStandard()
    {
        StandardStream.ReserveNumbers();
        Console.SetOut(new StreamWriter(StandardStream.Output(), Console.OutputEncoding) { AutoFlush = true });
        Console.SetError(new StreamWriter(StandardStream.Error(), Console.OutputEncoding) { AutoFlush = true });
        bool dumb = Environment.GetEnvironmentVariable("TERM") is null or "" or "dumb";
        return new Screen(Console.Out, Console.Error, !dumb && !Console.IsOutputRedirected, !dumb && !Console.IsErrorRedirected);
    }

    /// <summary>Tables and colour for <see cref="Out"/>; only when it is a terminal.</summary>
    public IAnsiConsole OpenConsole() => AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Out) });
}
