using System.Text.Json;
using Microsoft.Extensions.Logging;
using RdmaMigration.Testing;

namespace RdmaMigration.Qmp.Tests;

/// <summary>Each of a thousand inputs gets an error or the connection's end, and the next client is answered.</summary>
public sealed class MalformedInputTests
{
    private const string End = "end of input";

    [Fact]
    public async Task A_thousand_malformed_inputs_get_an_error_or_a_close()
    {
        await using RunningMonitor monitor = new();
        foreach (MalformedInput input in MalformedInputs.All())
        {
            await AssertRefusedAsync(monitor.Path, input);
        }

        await monitor.AssertAnswersAsync();
        Assert.Empty(monitor.Log.At(LogLevel.Error));
    }

    [Fact]
    [Trait("needs", "qemu")]
    public async Task A_service_survives_the_thousand_malformed_inputs()
    {
        await using ServeProcess service = await ServeProcess.StartAsync();
        foreach (MalformedInput[] batch in MalformedInputs.All().Chunk(100))
        {
            foreach (MalformedInput input in batch)
            {
                await AssertRefusedAsync(service.Socket, input);
            }

            // A client that was there before is answered too.
            Assert.Equal("prelaunch", (await service.Monitor.ExecuteAsync("query-status")).GetProperty("status").GetString());
        }

        await service.Monitor.ExecuteAsync("quit");
        Assert.Equal(0, await service.Process.WaitForExitAsync(Deadlines.Answer));
    }

    /// <summary>
    /// A service gives the replies of a QEMU by class, or their beginning and then closes. Left out are texts that are larger than a service reads, for which a
    /// QEMU needs minutes; those at which a QEMU aborts, which it does only at clients that have enabled oob; and those with a bracket that closes nothing of
    /// its kind: there QEMU 7.2 waits until the numbers of brackets match, and the service begins anew.
    /// </summary>
    [Fact]
    [Trait("needs", "qemu")]
    public async Task A_service_answers_malformed_inputs_with_the_error_classes_of_QEMU()
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--profile", "7.2");
        QemuFixture qemu = new();
        await qemu.InitializeAsync();
        int compared = 0;
        int brackets = 0;
        List<string> aborts = [];
        List<string> differences = [];
        try
        {
            foreach (MalformedInput input in MalformedInputs.All().Where(input => input.Text.Length < QmpFramer.MaximumBytes))
            {
                Replies expected = await AskAsync(qemu.Path, input);
                if (expected.HasEnded)
                {
                    aborts.Add(input.Shown);
                    Assert.True(input.IsOob, $"QEMU aborts without oob: {input.Shown}");
                    await qemu.DisposeAsync();
                    qemu = new QemuFixture();
                    await qemu.InitializeAsync();
                    continue;
                }

                Replies actual = await AskAsync(service.Socket, input);
                if (actual.HasWrongBracket && !actual.Classes.SequenceEqual(expected.Classes))
                {
                    brackets++;
                    Assert.Contains("GenericError", expected.Classes);
                    continue;
                }

                compared++;
                IEnumerable<string> due = actual.HasEnded ? expected.Classes.Take(actual.Classes.Count) : expected.Classes;
                if (!due.SequenceEqual(actual.Classes))
                {
                    differences.Add($"{input.Shown}\nQEMU: {string.Join(' ', expected.Classes)}\nhere: {string.Join(' ', actual.Classes)}");
                }
            }
        }
        finally
        {
            await qemu.DisposeAsync();
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{compared} compared, {brackets} with a wrong bracket, QEMU aborts at {aborts.Count}");
        Assert.True(differences.Count == 0, string.Join('\n', differences));
        Assert.InRange(compared, 850, 1000);
    }

    /// <summary>Sends the input as the only one of a client, and reads to the end.</summary>
    private static async Task AssertRefusedAsync(string path, MalformedInput input)
    {
        // The next client is answered: its negotiation succeeds.
        await using RawClient client = await RawClient.ConnectAsync(path);
        await client.NegotiateAsync(input.IsOob);
        Exception? cut = await Record.ExceptionAsync(() => client.SendAsync(input.Text));
        Assert.True(cut is null or IOException, $"{input.Shown}: {cut}");
        if (cut is null)
        {
            client.EndSending();
        }

        List<JsonElement> replies = await client.ReadToEndAsync();
        Assert.All(replies, reply => Assert.True(
            reply.TryGetProperty("return", out _) || reply.TryGetProperty("error", out _) || reply.TryGetProperty("event", out _), input.Shown));
        Assert.True(!input.IsError || replies.Any(reply => reply.TryGetProperty("error", out _)), $"no error: {input.Shown}");
    }

    /// <summary>
    /// Sends the input, a byte that ends every text, and a line that shows the end. With oob, replies may overtake each other, so they are in order of their
    /// classes.
    /// </summary>
    private static async Task<Replies> AskAsync(string path, MalformedInput input)
    {
        await using RawClient client = await RawClient.ConnectAsync(path);
        await client.NegotiateAsync(input.IsOob);
        Task sending = client.SendAsync($$"""{{input.Text}}{{"\n\u00ff\n"}}{"execute":"query-status","id":"{{End}}"}""");
        List<string> answers = [];
        bool hasEnded = false;
        bool hasWrongBracket = false;
        while (true)
        {
            JsonElement reply;
            try
            {
                reply = await client.ReadAsync();
            }
            catch (IOException)
            {
                hasEnded = true;
                break;
            }

            if (reply.TryGetProperty("id", out JsonElement id) && id.ValueKind is JsonValueKind.String && id.GetString() == End)
            {
                break;
            }

            if (reply.TryGetProperty("return", out _))
            {
                answers.Add("return");
            }
            else if (reply.TryGetProperty("error", out _))
            {
                (string? errorClass, string? description) = RawClient.Error(reply);
                answers.Add(errorClass!);
                hasWrongBracket |= description!.Contains("closes nothing", StringComparison.Ordinal);
            }
        }

        Exception? cut = await Record.ExceptionAsync(() => sending);
        Assert.True(cut is null or IOException, $"{input.Shown}: {cut}");
        if (input.IsOob)
        {
            answers.Sort(StringComparer.Ordinal);
        }

        return new Replies(answers, hasEnded, hasWrongBracket);
    }

    /// <param name="Classes">The class of each error, "return" for a value.</param>
    /// <param name="HasEnded">The server has closed the connection.</param>
    /// <param name="HasWrongBracket">A service has found a bracket that closes nothing.</param>
    private sealed record Replies(List<string> Classes, bool HasEnded, bool HasWrongBracket);
}
