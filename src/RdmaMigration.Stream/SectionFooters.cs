namespace RdmaMigration.Streams;

/// <summary>Footers of sections. Whether a stream has them shows behind its first section whose end is known.</summary>
internal sealed class SectionFooters(SourceReader reader)
{
    /// <summary>Sections end with a footer; null while that is not known.</summary>
    public bool? Present { get; set; }

    /// <summary>Reads the footer of a section whose data has been read, if this stream has footers.</summary>
    public void Read(uint sectionId)
    {
        if (Present is false)
        {
            return;
        }

        ulong at = reader.Position;
        byte marker = Present is null && reader.IsAtPackageEnd ? SectionType.EndOfFile : reader.PeekByte();
        Present ??= marker == SectionType.Footer;
        if (Present is false)
        {
            return;
        }

        if (marker != SectionType.Footer)
        {
            throw reader.Malformed(at, $"0x{marker:x2} where the section's footer (0x{SectionType.Footer:x2}) should be");
        }

        reader.ReadByte();
        uint id = reader.ReadUInt32();
        if (id != sectionId)
        {
            throw reader.Malformed(at, $"the footer names section {id}, but section {sectionId} ends here");
        }
    }
}
