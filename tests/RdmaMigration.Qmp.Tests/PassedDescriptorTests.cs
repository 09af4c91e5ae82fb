using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using RdmaMigration.Testing;

namespace RdmaMigration.Qmp.Tests;

/// <summary>Which request gets a descriptor, and when one that no command took is closed: the other end of a pipe shows it.</summary>
public sealed class PassedDescriptorTests
{
    [Fact]
    public async Task A_command_takes_the_descriptor_that_came_with_its_bytes()
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync();
        await client.SendAsync("""{"execute":"take","id":1}""");
        int[] before = await TakenAsync(client, [1]);
        using SafeFileHandle file = File.OpenHandle("/dev/null");
        client.Send("""{"execute":"query-status","id":3}{"execute":"take","id":4}{"execute":"take","id":5}""", file);
        await client.SendAsync("""{"execute":"take","id":6}""");

        int[] taken = await TakenAsync(client, [4, 5, 6]);
        Assert.Equal([0, 1, 0, 0], [.. before, .. taken]);
    }

    [Fact]
    public async Task A_request_in_two_pieces_has_the_descriptor_of_the_first()
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync();
        using SafeFileHandle file = File.OpenHandle("/dev/null");
        client.Send("""{"execute":""", file);
        await client.SendAsync(""" "take","id":1}""");
        await client.SendAsync("""{"execute":"take","id":2}""");

        int[] taken = await TakenAsync(client, [1, 2]);
        Assert.Equal([1, 0], taken);
    }

    /// <summary>qemu.qmp sends a descriptor with a space, and the command behind it.</summary>
    [Fact]
    public async Task A_descriptor_that_comes_with_white_space_is_for_the_next_request()
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync();
        using SafeFileHandle file = File.OpenHandle("/dev/null");
        client.Send(" ", file);
        await client.SendAsync("\n");
        await client.SendAsync("""{"execute":"take","id":1}""");
        int[] taken = await TakenAsync(client, [1]);
        await client.SendAsync("""{"execute":"take","id":2}""");
        int[] later = await TakenAsync(client, [2]);
        Assert.Equal([1, 0], [.. taken, .. later]);
    }

    [Theory]
    [InlineData("""{"execute":"query-status"}""")]
    [InlineData("""{"execute":"no-such-command"}""")]
    [InlineData("}")]
    public async Task A_descriptor_that_no_command_takes_is_closed(string bytes)
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync();
        (Stream readEnd, SafeFileHandle writeEnd) = Pipe();
        await using (readEnd)
        {
            using (writeEnd)
            {
                client.Send(bytes, writeEnd);
            }

            await ClosedAsync(readEnd);
        }
    }

    [Theory]
    [InlineData(" ")]
    [InlineData("""{"execute":""")]
    public async Task A_descriptor_without_a_complete_request_is_closed_with_the_session(string bytes)
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync();
        (Stream readEnd, SafeFileHandle writeEnd) = Pipe();
        await using (readEnd)
        {
            using (writeEnd)
            {
                client.Send(bytes, writeEnd);
            }

            client.EndSending();
            await ClosedAsync(readEnd);
        }
    }

    private static async Task ClosedAsync(Stream readEnd)
    {
        using CancellationTokenSource deadline = new(Deadlines.Answer);
        Assert.Equal(0, await readEnd.ReadAsync(new byte[1], deadline.Token));
    }

    private static (Stream ReadEnd, SafeFileHandle WriteEnd) Pipe()
    {
        System.IO.Pipes.AnonymousPipeServerStream readEnd = new(System.IO.Pipes.PipeDirection.In);
        SafeFileHandle writeEnd = new(readEnd.ClientSafePipeHandle.DangerousGetHandle(), ownsHandle: true);
        readEnd.ClientSafePipeHandle.SetHandleAsInvalid();
        return (readEnd, writeEnd);
    }

    /// <summary>How many descriptors each of the requests took, by id.</summary>
    private static async Task<int[]> TakenAsync(RawClient client, int[] ids)
    {
        Dictionary<int, int> taken = [];
        while (!ids.All(taken.ContainsKey))
        {
            JsonElement reply = await client.ReadAsync();
            JsonElement value = reply.GetProperty("return");
            taken[reply.GetProperty("id").GetInt32()] = value.ValueKind is JsonValueKind.Number ? value.GetInt32() : 0;
        }

        return [.. ids.Select(id => taken[id])];
    }
}
