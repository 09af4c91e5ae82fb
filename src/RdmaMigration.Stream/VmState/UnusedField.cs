using Nerdbank.Streams;

namespace RdmaMigration.VmState;

/// <summary>Bytes that once meant something: written as zero, and not looked at.</summary>
internal sealed class UnusedField<T>(FieldTerms<T> terms, int length) : VmStateField<T>(terms)
    where T : class
{
    public override string Type => "unused_buffer";

    public override ApplyField<T> Decode(StateReader reader, in FieldView<T> view, int index)
    {
        Span<byte> scratch = stackalloc byte[256];
        for (int left = length; left > 0; left -= scratch.Length)
        {
            reader.ReadExactly(scratch[..Math.Min(left, scratch.Length)]);
        }

        return (_, _) => { };
    }

    public override void Encode(StateWriter writer, in FieldView<T> view, string name)
    {
        DescribeAll(writer, name, 1, length);
        Sequence<byte> bytes = writer.Bytes;
        bytes.GetSpan(length)[..length].Clear();
        bytes.Advance(length);
    }
}
