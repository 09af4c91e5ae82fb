namespace RdmaMigration.Memory;

/// <summary>The pages of one pass over RAM: all of them, or those that a dirty bitmap names. Used by the sending thread.</summary>
internal interface IPageSet
{
    /// <summary>Every page of every block is in the set.</summary>
    bool IsWhole { get; }

    /// <summary>The next run of pages of a block.</summary>
    /// <param name="block">Index of the block.</param>
    /// <param name="from">Offset in the block from which to look, a multiple of the target page.</param>
    /// <param name="start">Offset of the run's first byte, a multiple of the target page.</param>
    /// <param name="end">Offset behind its last byte, a multiple of the target page.</param>
    /// <returns>False if there is none; start and end mean nothing then.</returns>
    bool TryNext(int block, ulong from, out ulong start, out ulong end);
}
