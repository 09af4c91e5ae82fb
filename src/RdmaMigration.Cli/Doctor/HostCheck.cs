namespace RdmaMigration.Cli.Doctor;

/// <summary>How a check ended. Anything missing means that no migration can arrive here.</summary>
internal enum CheckStatus
{
    Ok,
    Warn,
    Missing,
}

/// <summary>One line of the report: what was looked at, what was found, and the shell line that mends it.</summary>
internal sealed record HostCheck(string Group, string Name, CheckStatus Status, string Detail, string? Mend = null);
