using Microsoft.Win32.SafeHandles;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>Takes over the descriptor of an <c>fd:</c> address, or one that was passed.</summary>
internal static class InheritedDescriptor
{
    /// <exception cref="ConnectFailedException">It is not open for reading, or of a kind that carries no stream.</exception>
    public static (PolledDescriptor Descriptor, DescriptorKind Kind) ForReading(DescriptorUri uri) => TakeOver(uri, forWriting: false);

    /// <param name="uri">The descriptor.</param>
    /// <param name="source">What must not be written to.</param>
    /// <exception cref="ConnectFailedException">It is not open for writing, of a kind that carries no stream, or the source.</exception>
    public static (PolledDescriptor Descriptor, DescriptorKind Kind) ForWriting(DescriptorUri uri, FileNode? source) =>
        FileNode.IsSameStorage(FileNode.Of(uri), source) ? throw OpenedFile.IsSource(uri) : TakeOver(uri, forWriting: true);

    /// <summary>A passed descriptor; it is closed when this fails.</summary>
    /// <exception cref="ConnectFailedException">It is not open for that direction, of a kind that carries no stream, or the source.</exception>
    public static (PolledDescriptor Descriptor, DescriptorKind Kind) Take(PassedDescriptorUri uri, bool forWriting, FileNode? source = null)
    {
        try
        {
            if (FileNode.IsSameStorage(FileNode.Of(uri), source))
            {
                throw OpenedFile.IsSource(uri);
            }

            DescriptorKind kind = KindOf(uri, (int)uri.Handle.DangerousGetHandle(), forWriting);
            return (new PolledDescriptor(uri.Handle, uri.ToString()), kind);
        }
        catch
        {
            uri.Handle.Dispose();
            throw;
        }
    }

    private static (PolledDescriptor Descriptor, DescriptorKind Kind) TakeOver(DescriptorUri uri, bool forWriting)
    {
        DescriptorKind kind = KindOf(uri, uri.Number, forWriting);
        return (new PolledDescriptor(new SafeFileHandle(Own(uri), ownsHandle: true), uri.ToString()), kind);
    }

    private static DescriptorKind KindOf(MigrationUri uri, int number, bool forWriting)
    {
        if (FileNode.Of(number) is not { } node)
        {
            throw new ConnectFailedException(
                $"{uri}: this process has no descriptor {number}; open it when you start the process, in a shell with {number}<FILE or {number}>FILE");
        }

        if (!(forWriting ? Descriptor.IsWritable(number) : Descriptor.IsReadable(number)))
        {
            throw new ConnectFailedException($"{uri}: the descriptor is not open for {(forWriting ? "writing" : "reading")}");
        }

        if (node.Kind is FileKind.Socket)
        {
            return Descriptor.IsStreamSocket(number)
                ? DescriptorKind.Socket
                : throw new ConnectFailedException($"{uri}: the socket is not a stream socket (SOCK_STREAM)");
        }

        if (Descriptor.IsTerminal(number))
        {
            throw new ConnectFailedException($"{uri}: the descriptor is a terminal; redirect it");
        }

        return node.Kind switch
        {
            FileKind.Regular or FileKind.BlockDevice => DescriptorKind.File,
            FileKind.Fifo or FileKind.CharacterDevice => DescriptorKind.Pipe,
            _ => throw new ConnectFailedException($"{uri}: the descriptor is not a socket, a pipe or a file"),
        };
    }

    /// <summary>
    /// The number to use. The standard streams' own numbers must not come free: the next file to be opened would get one, and what is printed.
    /// </summary>
    private static int Own(DescriptorUri uri)
    {
        if (uri.Number >= Descriptor.FirstOwn)
        {
            _ = Descriptor.SetCloseOnExec(uri.Number);
            return uri.Number;
        }

        CallResult own = Descriptor.Duplicate(uri.Number, Descriptor.FirstOwn);
        CallResult nothing = own.Failed ? own : Descriptor.Open("/dev/null", OpenModes.ReadWrite);
        CallResult replaced = nothing.Failed ? nothing : Descriptor.DuplicateOnto((int)nothing.Value, uri.Number);
        if (!nothing.Failed)
        {
            _ = Descriptor.Close((int)nothing.Value);
        }

        if (!replaced.Failed)
        {
            return (int)own.Value;
        }

        if (!own.Failed)
        {
            _ = Descriptor.Close((int)own.Value);
        }

        throw new ConnectFailedException($"{uri}: cannot be taken over: {replaced.Error.Text()}");
    }
}
