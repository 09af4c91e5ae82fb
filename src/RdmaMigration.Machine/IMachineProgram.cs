namespace RdmaMigration.Machines;

/// <summary>
/// The program that runs in a machine: what writes to its RAM and its devices' state. The machine calls <see cref="Start"/> and <see cref="Stop"/> from its
/// main thread with its lock held. A member returns soon, and waits for nothing that needs the machine.
/// </summary>
public interface IMachineProgram
{
    /// <summary>
    /// Runs the program: at the start, when it has arrived from another process, and when a migration failed after <see cref="Stop"/>. RAM and devices' state
    /// are complete.
    /// </summary>
    void Start();

    /// <summary>
    /// Stops the program. When this returns, nothing writes to RAM or to the state of a device until <see cref="Start"/>. The time that this takes is
    /// a part of the downtime.
    /// </summary>
    void Stop();

    /// <summary>
    /// Slows the program, because it writes faster than the migration can send. A program that cannot be slowed does nothing. On the migration's thread, with
    /// the program running or stopped.
    /// </summary>
    /// <param name="percent">The share of the time in which the program should not run: 0 to 99; 0 ends the slowing.</param>
    void Throttle(int percent)
    {
    }
}
