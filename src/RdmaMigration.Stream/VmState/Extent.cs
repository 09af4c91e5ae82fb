namespace RdmaMigration.VmState;

/// <summary>How many elements an array has, or bytes a buffer.</summary>
/// <param name="CountField">Index of the field that says it; -1 for exactly <paramref name="Maximum"/>.</param>
/// <param name="Maximum">The most there may be.</param>
internal readonly record struct Extent(int CountField, int Maximum)
{
    /// <summary>The number of elements that the stream has, checked before anything is allocated for them.</summary>
    public int Read<T>(StateReader reader, in FieldView<T> view, int size)
        where T : class =>
        reader.CheckCount(CountField < 0 ? Maximum : view.At(CountField), Maximum, size);

    /// <summary>Checks that an object has as many elements as it should.</summary>
    public void Check<T>(StateWriter writer, in FieldView<T> view, int count)
        where T : class
    {
        long expected = CountField < 0 ? Maximum : view.At(CountField);
        if (count != expected || count > Maximum)
        {
            throw writer.Wrong($"the device has {count} elements, its description says {expected} of at most {Maximum}");
        }
    }
}
