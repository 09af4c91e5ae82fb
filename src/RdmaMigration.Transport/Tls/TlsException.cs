using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>
/// The two sides do not agree on TLS: <see cref="FailureReason.Policy"/> when this side does not trust the other, <see cref="FailureReason.Refused"/> when the
/// other refuses this one, <see cref="FailureReason.Timeout"/> when the handshake takes too long, <see cref="FailureReason.Protocol"/> for what is no TLS.
/// </summary>
internal sealed class TlsException(FailureReason reason, string message, Exception? inner = null) : TransportException(reason, message, inner);
