namespace RdmaMigration.Stream;

internal static class VmDescriptionReader
{
    public const int MaxDepth = 1000;
}
