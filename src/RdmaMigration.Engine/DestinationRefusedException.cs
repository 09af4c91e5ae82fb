using RdmaMigration.Linux;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>The destination said that it failed. The message says what it said; what it means for people is added where the machine is known.</summary>
internal sealed class DestinationRefusedException(string message, Exception? inner = null) : TransportException(FailureReason.Refused, message, inner);
