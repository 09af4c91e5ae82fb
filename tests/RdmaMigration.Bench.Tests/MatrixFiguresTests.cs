using RdmaMigration.Bench.Matrix;

namespace RdmaMigration.Bench.Tests;

public sealed class MatrixFiguresTests : IDisposable
{
    private readonly string _file = Path.GetTempFileName();

    [Fact]
    public async Task What_was_written_is_read_again()
    {
        await Samples.Matrix.WriteAsync(_file);
        MatrixFigures read = await MatrixFigures.ReadAsync(_file);
        Assert.Equal(Samples.Matrix.Passages, read.Passages);
        Assert.Equal(Samples.Matrix.References, read.References);
        Assert.Equal(Samples.Matrix.Registrations, read.Registrations);
        Assert.Equal(Samples.Matrix.Host, read.Host);
        Assert.Equal(Samples.Matrix.Started, read.Started);
    }

    [Fact]
    public async Task Other_programs_find_words_and_units_in_the_file()
    {
        await Samples.Matrix.WriteAsync(_file);
        string text = await File.ReadAllTextAsync(_file, TestContext.Current.CancellationToken);
        Assert.Contains("\"mode\": \"pin-all\"", text, StringComparison.Ordinal);
        Assert.Contains("\"from\": \"rdmamig\"", text, StringComparison.Ordinal);
        Assert.Contains("\"total-milliseconds\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_of_something_else_is_refused_by_name()
    {
        await File.WriteAllTextAsync(_file, "[1, 2]", TestContext.Current.CancellationToken);
        InvalidDataException e = await Assert.ThrowsAsync<InvalidDataException>(() => MatrixFigures.ReadAsync(_file));
        Assert.Contains(_file, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cell_is_the_median_of_its_repeats()
    {
        Cell cell = Samples.Matrix.Find(Route.All[0], Mode.Dynamic, new Workload(64, 0))!;
        Assert.Equal(new Statistic(100 + (64 * 13), 100 + (64 * 12), 100 + (64 * 14)), cell.TotalMilliseconds);
        Assert.Equal(64 / 0.932, cell.Rate.Median, tolerance: 1e-9);
        Assert.Equal(new ProcessorTime(1.1 * 16, 0.4 * 16), cell.SenderPerGibibyte);
        Assert.Null(Samples.Matrix.Find(Route.All[0], Mode.Dynamic, new Workload(1, 0)));
    }

    [Fact]
    public void The_table_has_a_row_a_cell_and_the_ratio_where_there_is_RDMA()
    {
        string[] lines = MatrixMarkdown.Write(Samples.Matrix).Split('\n');
        Assert.Equal(4, lines.Count(line => line.StartsWith("### ", StringComparison.Ordinal) && line.Contains(" MiB", StringComparison.Ordinal)));
        Assert.Equal(48, lines.Count(line => line.Contains(" → ", StringComparison.Ordinal)));
        Assert.Contains("| QEMU → rdmamig | dynamic | 932 (868–996) | 68.7 (64.3–73.7) | 0.76 | 17.60 + 6.40 | 3.20 + 4.80 |", lines);
        Assert.Contains("| QEMU → rdmamig | tcp | 932 (868–996) | 68.7 (64.3–73.7) |  | 17.60 + 6.40 | 3.20 + 4.80 |", lines);
        Assert.Contains("| 64 MiB | 120.0 ms/GiB | 40.0 ms/GiB |", lines);
    }

    public void Dispose() => File.Delete(_file);
}
