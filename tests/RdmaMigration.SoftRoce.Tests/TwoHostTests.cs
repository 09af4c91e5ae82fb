namespace RdmaMigration.SoftRoce.Tests;

public class TwoHostTests
{
    /// <summary>"once" sends one ping and says what became of it, "wait" sends until one is answered.</summary>
    private const string Pinger = """
        ping() { busybox ping -c 1 -W 2 10.77.0.1 > /dev/null 2>&1; }
        while read -r request; do
          until ping && echo reached; do
            [[ $request == wait ]] || { echo lost; break; }
          done
        done
        """;

    [Fact]
    public async Task Two_hosts_on_a_wire_connect_over_RDMA()
    {
        using Rig pair = Rig.Start(
            "pair", "--memory", "1024", "--timeout", "120", "rping -s -a 10.77.0.1 -C 2; exit 3", "until rping -c -a 10.77.0.1 -C 2 -v; do sleep 1; done");
        (int code, string? output, string _) = await pair.End();

        Assert.Equal(3, code);
        Assert.Contains("b: ping data: rdma-ping-1", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wire_is_cut_and_restored()
    {
        string wire = $"test-{Environment.ProcessId}";
        using Rig a = Rig.Run("--memory", "1024", "--wire", wire, "--host", "a", "--", "sleep", "1000");
        using Rig b = Rig.Run("--memory", "1024", "--wire", wire, "--host", "b", "--stdin", "--", "bash", "-c", Pinger);

        Assert.Equal("reached", await Ask(b, "wait"));
        await Link("off", wire);
        Assert.Equal("lost", await Ask(b, "once"));
        await Link("on", wire);
        Assert.Equal("reached", await Ask(b, "wait"));
    }

    private static async Task<string> Ask(Rig rig, string request)
    {
        await rig.Input.WriteLineAsync(request);
        await rig.Input.FlushAsync(rig.Deadline);
        return await rig.Line();
    }

    private static async Task Link(string state, string wire)
    {
        using Rig link = Rig.Start("link", state, wire, "b");
        (int code, string _, string? error) = await link.End();
        Assert.True(code == 0, error);
    }
}
