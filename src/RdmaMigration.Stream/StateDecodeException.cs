namespace RdmaMigration.Streams;

/// <summary>Device state and vmdescription do not fit together. Becomes the device's problem in a report; never leaves the inspector.</summary>
internal sealed class StateDecodeException(string message) : Exception(message);
