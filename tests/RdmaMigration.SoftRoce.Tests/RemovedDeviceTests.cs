using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>The RDMA device goes away under a receiver and comes back. In a guest of its own, with a real QEMU as source.</summary>
public sealed class RemovedDeviceTests
{
    private const string Prologue = """
        cp -r "$1" /dev/shm/cli && mkdir /dev/shm/captures
        qemu() {
          qemu-system-x86_64 -M pc,accel=tcg -m 64 -display none -S -nodefaults -monitor unix:/tmp/hmp,server,nowait 2> /dev/null &
          source=$!
          until [ -S /tmp/hmp ]; do sleep 0.2; done
          python3 -c 'import socket,sys,time
        s = socket.socket(socket.AF_UNIX); s.connect("/tmp/hmp")
        for line in sys.argv[1:]: s.sendall(line.encode() + b"\n"); time.sleep(0.5)
        time.sleep(2)' "$@"
        }
        /dev/shm/cli/rdmamig receive rdma:10.77.0.1:4444 --to /dev/shm/captures/ > /tmp/out 2> /tmp/err &
        receiver=$!
        until grep -q listening /tmp/out; do sleep 0.2; done

        """;

    private const string Again = """

        until grep -q again /tmp/err; do sleep 0.2; done
        rm -f /tmp/hmp
        qemu "migrate_set_parameter max-bandwidth 1G" "migrate -d rdma:10.77.0.1:4444"
        until ls /dev/shm/captures | grep -vq partial && [ -n "$(ls /dev/shm/captures)" ]; do sleep 0.5; done
        kill -TERM $receiver; wait $receiver; echo "receiver $?"
        cat /tmp/out /tmp/err
        """;

    [Fact]
    public async Task A_waiting_receiver_lets_the_device_go_and_serves_again_when_it_is_back()
    {
        (int code, string output, string error) = await RunAsync($"""
            {Prologue}
            rdma link delete rxe0; echo "deleted $?"
            rdma link add rxe0 type rxe netdev roce0
            {Again}
            """);

        Assert.True(code == 0, output + error);
        Assert.Contains("deleted 0", output, StringComparison.Ordinal);
        Assert.Contains("listening on 10.77.0.1:4444 again", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_migration_whose_device_is_removed_fails_and_the_receiver_serves_the_next()
    {
        (int code, string output, string error) = await RunAsync($"""
            {Prologue}
            qemu "migrate_set_parameter max-bandwidth 100k" "migrate -d rdma:10.77.0.1:4444"
            until grep -q connected /tmp/out; do sleep 0.2; done
            rdma link delete rxe0 & deleting=$!
            until grep -q failed /tmp/out /tmp/err; do sleep 0.2; done
            kill -KILL $source
            wait $deleting; echo "deleted $?"
            rdma link add rxe0 type rxe netdev roce0
            {Again}
            """);

        Assert.True(code == 0, output + error);
        Assert.Contains("deleted 0", output, StringComparison.Ordinal);
        Assert.Contains("the device rxe0 under the connection", output, StringComparison.Ordinal);
    }

    private static Task<(int Code, string Output, string Error)> RunAsync(string script) =>
        Rig.RunToEnd("--timeout", "240", "--", "bash", "-c", script, "-", Path.GetDirectoryName(Executables.Rdmamig)!);
}
