using RdmaMigration.Linux;

namespace RdmaMigration.Cli;

/// <summary>Results cannot be written to standard output: it is closed, or on a full disk.</summary>
internal sealed class OutputException(string message, Exception inner) : IOException(message, inner);

/// <summary>
/// Standard output or standard error, with what happens when it cannot be written. A reader that has gone, as of <c>| head</c>, is no failure: the runtime
/// drops what is written to it.
/// </summary>
internal sealed class StandardStream : Stream
{
    private readonly Stream _inner;
    private readonly bool _throws;

    private StandardStream(Stream inner, bool throws)
    {
        _inner = inner;
        _throws = throws;
    }

    /// <summary>For results. What cannot be written is an <see cref="OutputException"/>.</summary>
    public static StandardStream Output() => new(Console.OpenStandardOutput(), throws: true);

    /// <summary>For words about the work. They end nothing: what cannot be said here can be said nowhere.</summary>
    public static StandardStream Error() => new(Console.OpenStandardError(), throws: false);

    /// <summary>
    /// Gives a number that is closed to a file that can neither be read nor written as that stream is: else the next file or socket to be opened would get it,
    /// and what is printed.
    /// </summary>
    public static void ReserveNumbers()
    {
        for (int number = 0; number < Descriptor.FirstOwn; number++)
        {
            if (!Descriptor.IsOpen(number))
            {
                // The lowest number that is free, and so this one. It must pass to commands that this process starts, as a standard stream does.
                _ = Descriptor.Open("/dev/null", (number == 0 ? OpenModes.Write : OpenModes.Read) | OpenModes.Inherited);
            }
        }
    }

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        try
        {
            _inner.Write(buffer);
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException or ArgumentOutOfRangeException)
        {
            if (_throws)
            {
                // The runtime calls a descriptor that is not open for writing a path to which access is denied; the kernel's word is inside.
                // It calls EFBIG, the limit of a file's size, an argument out of range.
                string reason = failed is ArgumentOutOfRangeException ? Errno.EFBIG.Text() : (failed.InnerException ?? failed).Message;
                throw new OutputException($"cannot write to standard output: {reason}", failed);
            }
        }
    }

    public override void Flush() => _inner.Flush();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
