using RdmaMigration.Memory;
using RdmaMigration.VmState;

namespace RdmaMigration.Engine;

/// <summary>
/// A machine that runs in this process: a program that works in RAM blocks and keeps state in devices. The engine moves it; it owns neither its RAM nor its
/// devices. It runs at most at one of two hosts.
/// </summary>
internal interface ILiveMachine
{
    /// <summary>The machine type in the stream's configuration: 1 to 255 printable ASCII characters. Both sides must have the same.</summary>
    string Type { get; }

    /// <summary>The RAM blocks, the same list for as long as the machine lives. They stay the machine's.</summary>
    RamBlockList Ram { get; }

    /// <summary>The devices, in the order in which they are sent.</summary>
    DeviceList Devices { get; }

    /// <summary>Between <see cref="Start"/> and <see cref="Stop"/>. Any thread.</summary>
    bool IsRunning { get; }

    /// <summary>
    /// Starts the program; RAM and device state are complete. Main thread, with the big lock held: it must not wait for a peer. What it throws means that the
    /// program does not run.
    /// </summary>
    void Start();

    /// <summary>
    /// Stops the program. When this returns, no thread writes RAM or device state. Main thread, with the big lock held; its time is part of the downtime.
    /// </summary>
    void Stop();

    /// <summary>
    /// Forgets what RAM has, since the machine arrives anew. On the thread mig/dst/main, without the lock, before anything arrives: the time grows with the RAM
    /// that is in use.
    /// </summary>
    void Clear();

    /// <summary>Slows the program's writers. On the thread mig/src/main, without the lock.</summary>
    /// <param name="percent">The share of time in which they must not run, 0 to 99; 0 ends the throttling.</param>
    void Throttle(int percent);

    /// <summary>Makes what finds the pages that the program writes. On the thread mig/src/main; the caller disposes it.</summary>
    IDirtyTracker CreateTracker();
}
