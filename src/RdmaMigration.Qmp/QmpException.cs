namespace RdmaMigration.Qmp;

/// <summary>A request fails: the client gets this class and this description.</summary>
internal sealed class QmpException(QmpErrorClass errorClass, string description) : Exception(description)
{
    /// <summary>An error of class GenericError.</summary>
    public QmpException(string description)
        : this(QmpErrorClass.GenericError, description)
    {
    }

    /// <summary>The class, for programs.</summary>
    public QmpErrorClass ErrorClass => errorClass;
}
