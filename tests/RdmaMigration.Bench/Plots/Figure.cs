using ScottPlot;
using SkiaSharp;

namespace RdmaMigration.Bench.Plots;

/// <summary>Panels side by side under one title, with one legend below: a picture that can be saved.</summary>
internal sealed class Figure
{
    private const int Top = 62;
    private const int Bottom = 38;
    private const int Scale = 2;
    private readonly string _title;
    private readonly string _caption;
    private readonly PixelSize _size;
    private readonly Multiplot _panels = new();
    private readonly List<LegendItem> _legend = [];

    static Figure() => Typeface.Use();

    public Figure(string name, string title, string caption, int width, int height)
    {
        Name = name;
        _title = title;
        _caption = caption;
        _size = new PixelSize(width, height);
        _panels.Layout = new ScottPlot.MultiplotLayouts.Columns();
        _panels.Subplots.RemoveAt(0);
    }

    /// <summary>Its file name, without extension.</summary>
    public string Name { get; }

    /// <summary>Adds a panel to the right of those that are there.</summary>
    public Plot AddPanel(string title)
    {
        Plot plot = new();
        _panels.Subplots.Add(plot);
        plot.Title(title, 14);
        plot.Axes.Title.Label.Bold = false;
        plot.Axes.Bottom.Label.Bold = plot.Axes.Left.Label.Bold = plot.Axes.Right.Label.Bold = false;
        plot.Axes.Bottom.Label.FontSize = plot.Axes.Left.Label.FontSize = plot.Axes.Right.Label.FontSize = 13;
        plot.Axes.Left.MinorTickStyle.Length = 0;
        plot.Axes.Top.IsVisible = false;
        plot.Axes.Right.FrameLineStyle.IsVisible = false;
        plot.Axes.Top.FrameLineStyle.IsVisible = false;
        plot.Grid.MajorLineColor = Palette.Grid;
        plot.Grid.XAxisStyle.IsVisible = false;
        return plot;
    }

    public void AddLegend(string text, Color color) =>
        _legend.Add(new LegendItem { LabelText = text, FillColor = color, LabelFontSize = 13, LineColor = Colors.Transparent });

    public void AddLegendLine(string text, Color color) => _legend.Add(
        new LegendItem { LabelText = text, LabelFontSize = 13, LineColor = color, LineWidth = 2, LinePattern = LinePattern.Dashed });

    /// <summary>Writes NAME.png, at twice the size for sharp screens, and NAME.svg.</summary>
    public void Save(string folder)
    {
        using (SKBitmap bitmap = new((int)_size.Width * Scale, (int)_size.Height * Scale))
        {
            using (SKCanvas canvas = new(bitmap))
            {
                canvas.Scale(Scale);
                Draw(canvas);
            }

            using FileStream png = File.Create(Path.Combine(folder, Name + ".png"));
            bitmap.Encode(png, SKEncodedImageFormat.Png, quality: 100);
        }

        using FileStream svg = File.Create(Path.Combine(folder, Name + ".svg"));
        using SKCanvas vectors = SKSvgCanvas.Create(new SKRect(0, 0, _size.Width, _size.Height), svg);
        Draw(vectors);
    }

    private void Draw(SKCanvas canvas)
    {
        canvas.Save();
        canvas.Translate(0, Top);
        _panels.Render(canvas, new PixelRect(0, _size.Width, _size.Height - Bottom - Top, 0));
        canvas.Restore();

        // The panels' renderer clears the canvas around them, which an SVG shows as black.
        using (SKPaint white = new() { Color = SKColors.White })
        {
            canvas.DrawRect(0, 0, _size.Width, Top + 1, white);
            canvas.DrawRect(0, _size.Height - Bottom - 1, _size.Width, Bottom + 1, white);
        }

        using Paint paint = Paint.NewDisposablePaint();
        Write(canvas, paint, _title, 18, 10, Colors.Black);
        Write(canvas, paint, _caption, 11, 36, Palette.Faint);
        Legend legend = new(_panels.Subplots.GetPlot(0))
        {
            IsVisible = true,
            ManualItems = _legend,
            DisplayPlottableLegendItems = false,
            Orientation = Orientation.Horizontal,
            TightHorizontalWrapping = true,
            SymbolWidth = 26,
            OutlineWidth = 0,
            ShadowColor = Colors.Transparent,
            BackgroundColor = Colors.Transparent,
        };
        legend.Render(canvas, paint, new PixelRect(0, _size.Width, _size.Height, _size.Height - Bottom), Alignment.MiddleCenter);
    }

    private static void Write(SKCanvas canvas, Paint paint, string text, float size, float y, Color color)
    {
        LabelStyle label = new() { Text = text, FontSize = size, ForeColor = color, Alignment = Alignment.UpperLeft };
        label.Render(canvas, new Pixel(14, y), paint);
    }
}
