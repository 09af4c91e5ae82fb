using RdmaMigration.Bench.Matrix;
using RdmaMigration.Bench.Plots;

namespace RdmaMigration.Bench.Tests;

public sealed class PlotTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("plots-");

    [Fact]
    public void Every_picture_is_drawn_as_PNG_and_as_SVG_with_its_words()
    {
        foreach (Figure figure in MatrixPlots.Draw(Samples.Matrix))
        {
            figure.Save(_folder.FullName);
        }

        Assert.Equal(
            ["cpu.png", "cpu.svg", "registration.png", "registration.svg", "throughput.png", "throughput.svg", "total-time.png", "total-time.svg"],
            _folder.GetFiles().Select(file => file.Name).Order());
        Assert.All(_folder.GetFiles("*.png"), file => Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], File.ReadAllBytes(file.FullName)[..4]));
        string throughput = File.ReadAllText(Path.Combine(_folder.FullName, "throughput.svg"));
        Assert.Contains("ib_write_bw, 1 MiB: 90 MiB/s", throughput, StringComparison.Ordinal);
        Assert.Contains("rdmamig → QEMU", throughput, StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_without_a_device_has_plots_without_references()
    {
        MatrixFigures alone = Samples.Matrix with
        {
            References = [],
            Registrations = [],
            Passages = [.. Samples.Matrix.Passages.Where(p => p.Mode == Mode.Tcp && p.Route.From == Peer.Qemu && p.Workload == new Workload(64, 0))],
        };
        Assert.Equal(["throughput", "total-time", "cpu"], MatrixPlots.Draw(alone).Select(figure => figure.Name));
    }

    public void Dispose() => _folder.Delete(recursive: true);
}
