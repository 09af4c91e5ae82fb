using System.Text;

namespace RdmaMigration.Qmp.Tests;

public sealed class QmpFramerTests
{
    private const string Error = "error";

    [Theory]
    [InlineData("{}", "{}")]
    [InlineData(" \r\n\t{}\n", "{}")]
    [InlineData("{\"a\":[1,{}]}{\"b\":2}", "{\"a\":[1,{}]}", "{\"b\":2}")]
    [InlineData("{\"a\":\n1 }", "{\"a\":\n1 }")]
    [InlineData("{'a':'b'}", "{\"a\":\"b\"}")]
    [InlineData("{'a\"':'\\'\\\\'}", "{\"a\\\"\":\"'\\\\\"}")]
    [InlineData("{\"it\\'s\":\"}\"}", "{\"it's\":\"}\"}")]
    [InlineData("{\"a\":\"\\\"}\"}", "{\"a\":\"\\\"}\"}")]
    [InlineData("[]", "[]")]
    [InlineData("5 -1.5e+3\n0\n", "5", "-1.5e+3", "0")]
    [InlineData("\"text\"'text'", "\"text\"", "\"text\"")]
    [InlineData("null true\n", "null", "true")]
    [InlineData("5{}", "5", "{}")]
    [InlineData(",:", ",", ":")]
    [InlineData("}{}", Error, "{}")]
    [InlineData("{]{}", Error, "{}")]
    [InlineData("{\"a\":[}{}", Error, "{}")]
    [InlineData("{\"a\":\"open\n{}", Error, "{}")]
    [InlineData("{\"a\":\"open\\\n{}", Error, "{}")]
    [InlineData("{\"a\":01}{}", Error, Error, "{}")]
    [InlineData("{\"a\":-}{}", Error, "{}")]
    [InlineData("+\n{}", Error, "{}")]
    [InlineData("NaN {}", Error, "{}")]
    [InlineData("\u00ff\u00ff{}", Error, Error, "{}")]
    [InlineData("\u00ff{}", Error, "{}")]
    [InlineData("{\"a\":\"\u0000b\"}{}", Error, Error, "{}")]
    public void A_text_ends_where_QEMU_ends_it_at_every_split(string input, params string[] texts)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(input);
        for (int split = 0; split <= bytes.Length; split++)
        {
            QmpFramer framer = new();
            Assert.Equal(texts, (string[])[.. Cut(framer, bytes[..split]), .. Cut(framer, bytes[split..])]);
        }
    }

    [Theory]
    [InlineData(1024, false)]
    [InlineData(1025, true)]
    public void Nesting_above_1024_ends_the_connection(int depth, bool isLast)
    {
        QmpFramer framer = new();
        byte[] input = Encoding.Latin1.GetBytes(new string('[', depth) + new string(']', depth));
        framer.Read(input, out QmpText? text);
        Assert.Equal(isLast, Assert.NotNull(text).IsLast);
        Assert.Equal(isLast, text.Value.Error is not null);
    }

    [Fact]
    public void A_text_above_10_MiB_ends_the_connection()
    {
        QmpFramer framer = new();
        byte[] part = new byte[1 << 20];
        part.AsSpan().Fill((byte)'x');
        framer.Read("\""u8, out _);
        QmpText? text = null;
        int parts = 0;
        for (; text is null; parts++)
        {
            framer.Read(part, out text);
        }

        Assert.True(text.Value.IsLast);
        Assert.Equal(10, parts);
    }

    private static IEnumerable<string> Cut(QmpFramer framer, byte[] input)
    {
        for (int taken = 0; taken < input.Length;)
        {
            taken += framer.Read(input.AsSpan(taken), out QmpText? text);
            if (text is { } one)
            {
                yield return one.Json is { } json ? Encoding.Latin1.GetString(json) : Error;
            }
        }
    }
}
