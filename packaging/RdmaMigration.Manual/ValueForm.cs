namespace RdmaMigration.Manual;

/// <summary>What a shell can complete of a value.</summary>
/// <param name="Words">The words that it can be.</param>
/// <param name="IsFile">Whether it can be a file or a directory.</param>
internal sealed record ValueForm(IReadOnlyList<string> Words, bool IsFile)
{
    private static readonly string[] s_files = ["FILE", "DIR", "DIR/", "PATH", "SOCKET"];

    /// <summary>Reads the name that help gives to a value: words in lower case stand for themselves, the others for what the user has.</summary>
    public static ValueForm Of(string name)
    {
        string[] alternatives = name.Split('|');
        return new ValueForm(
            [.. alternatives.Where(alternative => alternative.All(letter => char.IsAsciiLetterLower(letter) || letter == '-'))],
            alternatives.Any(alternative => s_files.Contains(alternative)));
    }
}
