using ScottPlot;

namespace RdmaMigration.Bench.Plots;

/// <summary>The font of all plots. Skia comes without fontconfig here, so the file is named.</summary>
internal static class Typeface
{
    private const string Name = "DejaVu Sans";
    private const string File = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";

    /// <exception cref="FileNotFoundException">This host does not have it; the message says how to get it.</exception>
    public static void Use()
    {
        if (!System.IO.File.Exists(File))
        {
            throw new FileNotFoundException($"{File} is not there, and plots need a font: apt-get install fonts-dejavu-core");
        }

        Fonts.AddFontFile(Name, File);
        Fonts.Default = Name;
        Fonts.Sans = Name;
    }
}
