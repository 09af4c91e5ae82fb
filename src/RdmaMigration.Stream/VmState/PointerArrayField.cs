namespace RdmaMigration.VmState;

/// <summary>
/// Pointers to structures, each of which may be null. In QEMU's older form ('0' for null, else the structure) both sides have the same pointers; in its newer
/// one ('0' for null, '1' and the structure else) the stream decides.
/// </summary>
/// <param name="terms">Name, and when the field is there.</param>
/// <param name="description">The structure.</param>
/// <param name="length">How many pointers.</param>
/// <param name="get">The pointers. A commit of the newer form puts other ones there.</param>
/// <param name="create">Makes a structure's object; null for the older form.</param>
internal sealed class PointerArrayField<T, TPart>(
    FieldTerms<T> terms, VmStateDescription<TPart> description, int length, Func<T, IList<TPart?>> get, Func<TPart>? create)
    : VmStateField<T>(terms)
    where T : class
    where TPart : class
{
    private const byte Null = (byte)'0';
    private const byte Valid = (byte)'1';

    public override string Type => StructElements.Type;

    public override bool IsUniformWithin(HashSet<object>? outer) =>
        base.IsUniformWithin(outer) && create is null && description.Layout.IsUniformWithin(outer);

    public override ApplyField<T> Decode(StateReader reader, in FieldView<T> view, int index)
    {
        IList<TPart?> own = get(view.State);
        List<StagedPart<TPart>?> parts = [];
        for (int i = 0; i < length; i++)
        {
            reader.Path.At(i);
            reader.CountElement();
            bool isNull = create is null ? own[i] is null : false;
            if (create is not null || isNull)
            {
                ulong at = reader.Position;
                byte marker = reader.ReadByte();
                if (marker != Null && (marker != Valid || isNull))
                {
                    throw reader.Malformed(at, $"0x{marker:x2} is no marker of a pointer{(isNull ? ": it is null here" : "")}");
                }

                isNull = marker == Null;
            }

            parts.Add(isNull ? null : StagedPart<TPart>.Decode(reader, description, create is null ? own[i]! : create()));
        }

        return (state, context) =>
        {
            IList<TPart?> pointers = get(state);
            for (int i = 0; i < length; i++)
            {
                context.Path.At(i);
                parts[i]?.State.Commit(parts[i]!.Value.Object, context);
                if (create is not null)
                {
                    int at = i;
                    context.Set(pointers, list => list[at], (list, part) => list[at] = part, parts[i]?.Object);
                }
            }
        };
    }

    public override void Encode(StateWriter writer, in FieldView<T> view, string name)
    {
        IList<TPart?> pointers = get(view.State);
        if (pointers.Count != length)
        {
            throw writer.Wrong($"the device has {pointers.Count} pointers, its description says {length}");
        }

        bool isUniform = IsUniform;
        int runEnd = 0;
        for (int i = 0; i < length; i++)
        {
            writer.Path.At(i);
            bool isNull = pointers[i] is null;

            // Runs of pointers that are alike are described once: an older QEMU's description of a mix is wrong.
            bool isDescribed = i >= runEnd || !isUniform;
            if (isDescribed)
            {
                runEnd = i + 1;
                while (isUniform && runEnd < length && pointers[runEnd] is null == isNull)
                {
                    runEnd++;
                }
            }
            else
            {
                writer.Description.Mute();
            }

            EncodeElement(writer, name, pointers[i], runEnd - i);
            if (!isDescribed)
            {
                writer.Description.Unmute();
            }
        }
    }

    private void EncodeElement(StateWriter writer, string name, TPart? part, int alike)
    {
        if (part is null || create is not null)
        {
            DescriptionText text = writer.Description;
            text.StartObject();
            text.Add("name", name);
            if (alike > 1)
            {
                text.Add("array_len", alike);
            }

            text.Add("type", create is null ? "nullptr" : "ptr-marker");
            writer.Write([part is null ? Null : Valid]);
            EndDescription(writer, 1);
        }

        if (part is not null)
        {
            Describe(writer, name, 0, alike);
            long before = writer.Bytes.Length;
            StructElements.Encode(writer, description, part);
            EndDescription(writer, writer.Bytes.Length - before);
        }
    }
}
