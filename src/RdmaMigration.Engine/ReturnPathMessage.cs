namespace RdmaMigration.Engine;

/// <summary>MIG_RP_MSG_*: what the destination says on the return path (THREADING.md, Return path). A message is be16 type, be16 length, payload.</summary>
internal enum ReturnPathMessage : ushort
{
    Shut = 1,
    Pong = 2,
    RequestPagesOfBlock = 3,
    RequestPages = 4,
    ReceivedBitmap = 5,
    ResumeAcknowledged = 6,
    SwitchoverAcknowledged = 7,

    /// <summary>No message: the first bytes of a TLS record with an alert.</summary>
    TlsAlert = 0x1503,
}
