using System.Buffers;
using Nerdbank.Streams;
using RdmaMigration.Linux;

namespace RdmaMigration.VmState;

/// <summary>Collects devices' sections and their description in memory. Used by one thread.</summary>
internal sealed class StateWriter
{
    private const int SegmentLength = 64 * 1024;

    public Sequence<byte> Bytes { get; } = new() { MinimumSpanLength = SegmentLength, AutoIncreaseMinimumSpanLength = false };

    public DescriptionText Description { get; } = new();

    public FieldPath Path { get; } = new();

    public void Write<TValue>(Scalar<TValue> scalar, TValue value)
    {
        scalar.Write(value, Bytes.GetSpan(scalar.Size)[..scalar.Size]);
        Bytes.Advance(scalar.Size);
    }

    public void Write(ReadOnlySpan<byte> bytes) => Bytes.Write(bytes);

    /// <summary>A device does not fit its own description.</summary>
    public MigrationException Wrong(string detail) => new(FailureReason.Internal, $"{Path}: {detail}");

    /// <summary>A hook or a getter of the device threw.</summary>
    public MigrationException Failed(Exception cause) => new(FailureReason.Internal, $"{Path}: {cause.Message}", cause);
}
