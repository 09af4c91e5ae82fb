namespace RdmaMigration.Streams;

/// <summary>What a section handler has reached.</summary>
internal enum SectionOutcome
{
    /// <summary>The next byte is the type of the next section or command.</summary>
    NextSection,

    /// <summary>The stream is over.</summary>
    EndOfStream,
}

/// <summary>Reads the sections of one kind.</summary>
internal interface ISectionHandler
{
    /// <summary>Reads what follows a section's header, up to and including its footer.</summary>
    /// <param name="header">The header. Of a PART or END section whose START this handler did not take, only type and id are known.</param>
    /// <param name="at">Offset in the stream of the header's first byte.</param>
    /// <param name="state">Whether the caller holds the big lock.</param>
    SectionOutcome Read(in SectionHeader header, ulong at, BigLockState state);
}

/// <summary>
/// Which handler reads which section: START sections by name and instance, PART and END sections by the id that START gave. A nested stream, such as a
/// packaged command, uses the table of the stream around it.
/// </summary>
/// <param name="others">Reads every section that no handler claims.</param>
internal sealed class SectionTable(ISectionHandler others)
{
    private readonly Dictionary<(byte Type, string Name, uint Instance), ISectionHandler> _handlers = [];
    private readonly Dictionary<uint, (ISectionHandler Handler, SectionHeader Header)> _opened = [];

    /// <summary>Has the handler read the sections of this name that begin with a START, with what continues them, or are a FULL one.</summary>
    public void Add(byte type, string name, uint instance, ISectionHandler handler) => _handlers.Add((type, name, instance), handler);

    /// <summary>The handler of a START or FULL section.</summary>
    public ISectionHandler Open(in SectionHeader header)
    {
        if (!_handlers.TryGetValue((header.Type, header.Name, header.InstanceId), out ISectionHandler? handler))
        {
            return others;
        }

        if (header.Type == SectionType.Start)
        {
            _opened[header.Id] = (handler, header);
        }

        return handler;
    }

    /// <summary>The handler of a PART or END section, and the header as its START gave it.</summary>
    public ISectionHandler Continue(byte type, uint id, out SectionHeader header)
    {
        if (_opened.TryGetValue(id, out (ISectionHandler Handler, SectionHeader Header) opened))
        {
            header = opened.Header with { Type = type };
            return opened.Handler;
        }

        header = new SectionHeader(type, id, "unknown", 0, 0);
        return others;
    }
}
