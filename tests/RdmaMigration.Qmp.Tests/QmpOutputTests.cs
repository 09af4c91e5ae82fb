using System.Text;

namespace RdmaMigration.Qmp.Tests;

public sealed class QmpOutputTests
{
    [Fact]
    public async Task Lines_that_wait_are_sent_together_in_their_order()
    {
        byte[][] lines = [.. Enumerable.Range(0, 1000).Select(number => Encoding.ASCII.GetBytes($"line {number}\r\n")), new byte[100_000], [1, 2, 3]];
        QmpOutput output = new(_ => Assert.Fail("there is no overflow"));
        foreach (byte[] line in lines)
        {
            output.Enqueue(line);
        }

        output.Complete();
        using Client client = new();
        await output.SendAsync(client, TestContext.Current.CancellationToken);

        Assert.Equal(lines.SelectMany(line => line), client.ToArray());
        Assert.Equal(2, client.Writes);
    }

    private sealed class Client : MemoryStream
    {
        public int Writes { get; private set; }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Writes++;
            return base.WriteAsync(buffer, cancellationToken);
        }
    }
}
