using System.Runtime.InteropServices;

namespace RdmaMigration.Linux;

/// <summary>What a system call returned: a value of zero or more, or an error number. It keeps the error, which a later call cannot overwrite.</summary>
public readonly record struct CallResult
{
    private readonly long _value;

    private CallResult(long value) => _value = value;

    /// <summary>The call failed.</summary>
    public bool Failed => _value < 0;

    /// <summary>The error, or <see cref="Errno.None"/>.</summary>
    public Errno Error => _value < 0 ? (Errno)(-_value) : Errno.None;

    /// <summary>The value that the call returned; 0 for a call that returns none. Look at it only when the call did not fail.</summary>
    public long Value => _value;

    /// <summary>The value, for calls whose value fits into 32 bits.</summary>
    /// <param name="call">The call's name, for the message.</param>
    /// <exception cref="LinuxException">The call failed.</exception>
    public int OrThrow(string call) => Failed ? throw new LinuxException(call, Error) : checked((int)_value);

    /// <summary>Takes the return value of a libc function that sets errno. No other call may come in between.</summary>
    internal static CallResult Of(long returned) => new(returned >= 0 ? returned : -Marshal.GetLastPInvokeError());
}
