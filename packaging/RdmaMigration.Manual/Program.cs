using System.Globalization;
using RdmaMigration.Manual;

if (args is not [string directory, string text]
    || !DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out DateOnly date))
{
    Console.Error.WriteLine("usage: rdmamig-manual DIRECTORY DATE    DATE is the date of the pages, as in 2026-01-31");
    return 2;
}

foreach (ManualFile file in ManualFile.All(date))
{
    string path = Path.Combine(directory, file.Name);
    Directory.CreateDirectory(Path.GetDirectoryName(path)!);
    File.WriteAllText(path, file.Content);
}

return 0;
