using System.Text;

namespace RdmaMigration.Qmp.Tests;

/// <summary>An input of a seeded generator.</summary>
/// <param name="Text">The bytes, one a character.</param>
/// <param name="IsError">At least one reply must be an error. Others may be valid by chance, or end in a half line.</param>
/// <param name="IsOob">The client that sends it has enabled oob.</param>
internal readonly record struct MalformedInput(string Text, bool IsError, bool IsOob)
{
    /// <summary>For messages.</summary>
    public string Shown => Text.Length > 200 ? Text[..200] : Text;
}

/// <summary>The generator.</summary>
internal static class MalformedInputs
{
    private const int Seed = 20261127;

    private static readonly string[] s_valid =
    [
        """{"execute":"query-status","id":1}""",
        """{"execute":"stop","arguments":{},"id":{"a":[1,null,"x"]}}""",
        """{"execute":"migrate-set-capabilities","arguments":{"capabilities":[{"capability":"events","state":true}]},"id":"c-1"}""",
        """{"exec-oob":"yank","arguments":{"instances":[{"type":"migration"}]},"id":-1.5e3}""",
        """{'execute':'query-commands','id':'single "quotes"'}""",
    ];

    /// <summary>A thousand, the same in each run.</summary>
    public static IEnumerable<MalformedInput> All()
    {
        Random random = new(Seed);
        for (int i = 0; i < 1000; i++)
        {
            (string input, bool isError) = Next(random, i);
            yield return new MalformedInput(input, isError, IsOob: random.Next(2) == 0);
        }
    }

    /// <returns>An input, and whether at least one reply must be an error. Others may be valid by chance, or end in a half line.</returns>
    private static (string Input, bool IsError) Next(Random random, int number)
    {
        string valid = s_valid[random.Next(s_valid.Length)];
        return (number % 10) switch
        {
            0 => (valid[..random.Next(valid.Length)], false),
            1 => (Mutate(valid, random), false),
            2 => (Mutate(Mutate(valid, random), random) + "\n" + valid, false),
            3 => (Nested(random), true),
            4 => ($$"""{"execute":"query-status","id":"{{BadUtf8(random)}}"}""", true),
            5 => (WrongType(random), true),
            6 => ($$$"""{"execute":"query-status","arguments":{"x{{{random.Next()}}}":1}}""", true),
            7 when number % 500 == 7 => ("{\"id\":\"" + new string('x', QmpFramer.MaximumBytes + random.Next(10)) + "\"}", true),
            7 => ($$"""{"execute":"query-status","id":"\ud8{{random.Next(16):x}}{{random.Next(16):x}}"}""", true),
            8 => ($$"""{"execute":"query-status","{{(char)('a' + random.Next(26))}}":1,"id":1}""", true),
            _ => (RandomBytes(random), false),
        };
    }

    private static string Mutate(string text, Random random)
    {
        int at = random.Next(text.Length);
        string piece = random.Next(2) == 0 ? $"{(char)random.Next(256)}" : $"{"{}[]\"':,\\\n"[random.Next(10)]}";
        return random.Next(3) switch
        {
            0 => text[..at] + piece + text[(at + 1)..],
            1 => text[..at] + piece + text[at..],
            _ => text[..at] + text[(at + 1)..],
        };
    }

    private static string Nested(Random random)
    {
        int depth = 1025 + random.Next(2000);
        string open = random.Next(2) == 0 ? new string('[', depth) : string.Concat(Enumerable.Repeat("{\"a\":", depth));
        return """{"execute":"query-status","id":""" + open;
    }

    /// <summary>Bytes, one a character, that are not UTF-8.</summary>
    private static string BadUtf8(Random random) => random.Next(5) switch
    {
        0 => "\u00ff",
        1 => "\u00c3(",
        2 => "\u00e2\u0082",
        3 => "\u0080",
        _ => "\u00ed\u00a0\u0080",
    };

    private static string WrongType(Random random)
    {
        string[] types = ["5", "null", "true", "[]", "\"text\"", "1.5"];
        string type = types[random.Next(types.Length)];
        return random.Next(3) switch
        {
            0 => $$"""{"execute":"query-status","arguments":{{type}}}""",
            1 => $$$"""{"execute":"migrate-set-capabilities","arguments":{"capabilities":[{"capability":{},"state":{{{type}}}}]}}""",
            _ => type + "\n",
        };
    }

    private static string RandomBytes(Random random)
    {
        byte[] bytes = new byte[random.Next(300)];
        random.NextBytes(bytes);
        return Encoding.Latin1.GetString(bytes);
    }
}
