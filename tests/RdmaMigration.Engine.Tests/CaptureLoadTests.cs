using RdmaMigration.Linux;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>The file that is to be sent, and what is wrong with it: found before anything is connected to.</summary>
public sealed class CaptureLoadTests : IDisposable
{
    private const int Seed = 7;

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void A_file_that_is_not_there_is_an_error_of_storage_that_names_it()
    {
        string path = Path.Combine(_directory.FullName, "absent");
        Refused(path, FailureReason.Storage, $"cannot read '{path}': No such file or directory");
    }

    [Fact]
    public void A_directory_is_an_error_of_storage_that_names_it() =>
        Refused(_directory.FullName, FailureReason.Storage, $"cannot read '{_directory.FullName}': Is a directory");

    [Fact]
    public void An_empty_file_is_refused() => Refused([], FailureReason.Stream, "cannot be read as a migration stream");

    [Fact]
    public void A_file_that_is_no_capture_is_refused() =>
        Refused([.. "#!/bin/sh\nexit 0\n"u8], FailureReason.Stream, "cannot be read as a migration stream", "magic");

    [Fact]
    public void The_stream_of_an_RDMA_migration_says_where_its_RAM_went() =>
        Refused([.. StreamedMachine.Opening(returnPath: false), 0, 0, 0, 0, 0, 0, 0, 0x80], FailureReason.Stream, "HOOK", "'rdmamig receive'");

    [Fact]
    public void COLO_is_refused()
    {
        byte[] all = StreamedMachine.All(returnPath: true);
        all[8 + 5 + StreamedMachine.Machine.Length + 2] = 8;
        Refused(all, FailureReason.Stream, "x-colo");
    }

    [Fact]
    public void A_file_cut_off_anywhere_is_broken_and_the_error_says_where()
    {
        byte[] all = StreamedMachine.All();
        Random random = new(Seed);
        for (int i = 0; i < 50; i++)
        {
            // The last part is the vmdescription, which ends with the file.
            int length = i % 2 == 0 ? random.Next(1, all.Length) : i % 4 == 1 ? random.Next(1, 200) : all.Length - random.Next(1, 200);
            Refused(all[..length], FailureReason.Stream, "cannot be read as a migration stream", "offset");
        }
    }

    [Fact]
    public void A_page_outside_of_its_block_is_broken_and_the_error_says_where()
    {
        byte[] all = StreamedMachine.All();
        all[StreamedMachine.Announcement(returnPath: false).Length + 5] = 0x7f;
        Refused(all, FailureReason.Stream, "cannot be read as a migration stream", "pc.ram", "offset");
    }

    [Fact]
    public void More_than_this_host_can_give_is_an_error_of_memory_with_the_bound()
    {
        ScriptedDestination destination = new();
        using RunningSource source = new(destination);
        MigrationInfo failed = source.SendToEnd(options => options.With(MigrationParameters.MaxRam, 1UL << 20));
        Assert.Equal((MigrationStatus.Failed, FailureReason.Memory), (failed.Status, failed.ErrorClass));
        Assert.Contains(source.File, failed.ErrorDescription, StringComparison.Ordinal);
        Assert.Contains("1048576 bytes", failed.ErrorDescription, StringComparison.Ordinal);
        Assert.Equal((0, 0), ((int)destination.SentBytes, destination.ErrorsTold));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4096)]
    public void A_capture_is_not_sent_into_its_own_file(long offset)
    {
        using RunningSource source = new();
        MigrationInfo failed = source.SendToEnd(options => options with { Uri = new FileUri(source.File, offset) });
        Assert.Equal((MigrationStatus.Failed, FailureReason.Policy), (failed.Status, failed.ErrorClass));
        Assert.Contains(new FileUri(source.File, offset).ToString(), failed.ErrorDescription, StringComparison.Ordinal);
    }

    [Fact]
    public void A_capture_that_comes_through_a_pipe_is_sent()
    {
        using Fifo fifo = new();
        using RunningSource source = new(new ScriptedDestination());
        source.Send(path: fifo.Path);
        fifo.Write(StreamedMachine.All());
        fifo.End();
        MigrationInfo completed = source.Ended();
        Assert.Equal((MigrationStatus.Completed, StreamedMachine.All().Length, 0), (completed.Status, (int)completed.LoadedBytes, (int)completed.FileBytes));
    }

    [Fact]
    public void A_pipe_with_more_than_this_host_can_hold_is_a_memory_error()
    {
        using Fifo fifo = new();
        using RunningSource source = new(_ => throw new InvalidOperationException("it was sent"));
        source.Send(options => options.With(MigrationParameters.MaxRam, 512UL << 10), fifo.Path);
        Assert.Throws<IOException>(() => fifo.Write([.. StreamedMachine.Announcement(returnPath: false), .. StreamedMachine.RamSection()]));
        MigrationInfo failed = source.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Memory), (failed.Status, failed.ErrorClass));
        Assert.StartsWith($"{fifo.Path}: ", failed.ErrorDescription, StringComparison.Ordinal);
        Assert.Contains("524288 bytes", failed.ErrorDescription, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pipe_may_give_a_page_more_than_once_and_only_what_it_takes_counts()
    {
        using Fifo fifo = new();
        using RunningSource source = new(new ScriptedDestination());
        source.Send(options => options.With(MigrationParameters.MaxRam, (ulong)StreamedMachine.RamSize / 2), fifo.Path);
        fifo.Write(StreamedMachine.Announcement(returnPath: false));
        fifo.Write(StreamedMachine.RamSection());
        fifo.Write(StreamedMachine.RamSection());
        fifo.Write(StreamedMachine.End());
        fifo.End();
        Assert.Equal(MigrationStatus.Completed, source.Ended().Status);
    }

    [Fact]
    public async Task A_writer_that_keeps_a_pipe_open_behind_a_machine_is_not_waited_for_for_ever()
    {
        using Fifo fifo = new();
        using CapturedMachine machine = new(ulong.MaxValue);
        ParameterSet parameters = ParameterSet.Defaults.With(MigrationParameters.SilenceTimeout, TimeSpan.FromMilliseconds(300));
        using CaptureLoad load = new(fifo.Path, parameters, machine, CancellationToken.None);
        Task writing = Task.Run(() => fifo.Write(StreamedMachine.All()), TestContext.Current.CancellationToken);

        Assert.Equal(StreamedMachine.Machine, load.Load().Configuration.MachineType);

        await writing;
    }

    [Fact]
    public void A_capture_at_the_start_of_a_huge_file_is_judged_by_its_stream()
    {
        string path = Write(StreamedMachine.All());
        using (FileStream disk = File.OpenWrite(path))
        {
            disk.SetLength(100L << 30);
        }

        using CapturedMachine captured = new(ulong.MaxValue);
        using CaptureLoad load = new(path, ParameterSet.Defaults, captured, CancellationToken.None);
        Assert.Equal((ulong)StreamedMachine.RamSize, load.Load().RamLength);
        Assert.InRange(load.BytesRead, StreamedMachine.All().Length, StreamedMachine.All().Length + (18 << 20));
    }

    [Fact]
    public void Zero_pages_of_the_file_take_no_memory()
    {
        using CapturedMachine captured = new(ulong.MaxValue);
        using CaptureLoad load = new(Write(StreamedMachine.All()), ParameterSet.Defaults, captured, CancellationToken.None);
        Assert.Equal((ulong)StreamedMachine.RamSize / 2, load.Load().RamBlocks.Single().ResidentBytes);
    }

    private void Refused(byte[] content, FailureReason expected, params string[] words)
    {
        string path = Write(content);
        Refused(path, expected, [path, .. words]);
        Assert.Equal(content, File.ReadAllBytes(path));
    }

    /// <summary>Sending it fails in these words, and connects to nothing.</summary>
    private static void Refused(string path, FailureReason expected, params string[] words)
    {
        using RunningSource source = new(_ => throw new InvalidOperationException("a broken file was sent"));
        MigrationInfo failed = source.SendToEnd(path: path);
        Assert.True((failed.Status, failed.ErrorClass) == (MigrationStatus.Failed, expected), $"{failed}");
        Assert.All(words, word => Assert.Contains(word, failed.ErrorDescription, StringComparison.Ordinal));
        Assert.Equal((TimeSpan.Zero, path), (failed.SetupTime, failed.File));
    }

    private string Write(byte[] content)
    {
        string path = Path.Combine(_directory.FullName, "capture");
        File.WriteAllBytes(path, content);
        return path;
    }
}
