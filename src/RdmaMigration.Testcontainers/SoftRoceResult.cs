namespace RdmaMigration.Testcontainers;

/// <summary>How the command of a guest ended.</summary>
/// <param name="ExitCode">
/// The exit code of the command; 124 after the time limit of <see cref="SoftRoceBuilder.WithGuestTimeout"/>; 125 if the guest failed; 137 if the container was
/// killed.
/// </param>
/// <param name="Output">What the command wrote to standard output.</param>
/// <param name="Error">What the command wrote to standard error. If the guest failed, the reason.</param>
public sealed record SoftRoceResult(long ExitCode, string Output, string Error);
