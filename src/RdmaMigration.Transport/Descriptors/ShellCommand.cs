using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.IO.Pipes;
using Microsoft.Win32.SafeHandles;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>A command that <c>/bin/sh</c> runs at the other end of a pipe.</summary>
internal sealed class ShellCommand : IDisposable
{
    /// <summary>A command closes its end just before it exits; so long its exit code is waited for when the pipe has ended.</summary>
    private static readonly TimeSpan s_exitAfterClose = TimeSpan.FromMilliseconds(500);

    private readonly Process _process;
    private readonly Task<int> _exit;
    private readonly CancellationTokenSource _stopWaiting = new();

    private ShellCommand(Process process, ExecUri uri, SafeFileHandle pipe)
    {
        _process = process;
        _exit = ExitAsync(process);
        Descriptor = new PolledDescriptor(pipe, uri.ToString()) { Disconnection = DescribeEnd };
    }

    /// <summary>Our end of the pipe; the channel owns it.</summary>
    public PolledDescriptor Descriptor { get; }

    /// <summary>The exit code of a command that has exited; 128 and the signal's number for one that was killed.</summary>
    public int ExitCode => _exit.GetAwaiter().GetResult();

    /// <summary>How the command ended, in words.</summary>
    public string Ending => string.Create(CultureInfo.InvariantCulture, $"{Descriptor.Peer} ended with exit code {ExitCode}");

    /// <summary>Called by <see cref="Dispose"/>, which does not throw, with what could not be killed, in words.</summary>
    public Action<string>? LeftBehind { get; set; }

    /// <summary>Kills a process and all that it started. For tests: what happens when that is refused.</summary>
    internal Action<Process> Kill { get; set; } = KillTree;

    /// <summary>Starts the command.</summary>
    /// <param name="uri">What to run.</param>
    /// <param name="givesInput">True: the pipe is its standard input; false: its standard output. The other streams are this process's.</param>
    /// <exception cref="ConnectFailedException">There is no shell, or no process can be made.</exception>
    public static ShellCommand Start(ExecUri uri, bool givesInput)
    {
        ProcessStartInfo start = new("/bin/sh", ["-c", uri.Command]) { RedirectStandardInput = givesInput, RedirectStandardOutput = !givesInput };
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception failed)
        {
            throw new ConnectFailedException($"cannot start {uri}: {failed.Message}", failed);
        }

        try
        {
            return new ShellCommand(process, uri, Take(givesInput ? process.StandardInput.BaseStream : process.StandardOutput.BaseStream));
        }
        catch (ConnectFailedException failed)
        {
            string? left = End(process, hasExited: false, uri.ToString(), KillTree);
            throw left is null ? failed : new ConnectFailedException($"{failed.Message}; {left}", failed);
        }
    }

    /// <summary>Waits for the command's end; false when the time is over, or after <see cref="StopWaiting"/>.</summary>
    public bool WaitForExit(TimeSpan timeout)
    {
        try
        {
            return _exit.Wait(timeout, _stopWaiting.Token);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>Makes <see cref="WaitForExit"/> return. Any thread.</summary>
    public void StopWaiting() => _stopWaiting.Cancel();

    /// <summary>Kills the command and what it started, unless it has exited. The descriptor stays open.</summary>
    public void Dispose()
    {
        if (End(_process, _exit.IsCompleted, Descriptor.Peer, Kill) is { } left)
        {
            LeftBehind?.Invoke(left);
        }
    }

    private static void KillTree(Process process) => process.Kill(entireProcessTree: true);

    /// <summary>The one reader of the exit code: a <see cref="Process"/> that several threads ask says for a moment that it has exited, and 0.</summary>
    private static async Task<int> ExitAsync(Process process)
    {
        await process.WaitForExitAsync().ConfigureAwait(false);
        return process.ExitCode;
    }

    /// <summary>Returns what could not be killed, in words.</summary>
    private static string? End(Process process, bool hasExited, string name, Action<Process> kill)
    {
        using (process)
        {
            try
            {
                if (!hasExited)
                {
                    kill(process);
                }

                return null;
            }
            catch (InvalidOperationException)
            {
                // It has exited meanwhile.
                return null;
            }
            catch (Exception refused) when (refused is Win32Exception or AggregateException)
            {
                // What runs as another user, by sudo, is not ours to kill.
                return string.Create(
                    CultureInfo.InvariantCulture, $"{name} could not be killed: {refused.Message} Kill process {process.Id} and its child processes");
            }
        }
    }

    /// <summary>The pipe's descriptor, out of the stream's ownership.</summary>
    private static SafeFileHandle Take(Stream stream)
    {
        using PipeStream pipe = (PipeStream)stream;
        CallResult own = Linux.Descriptor.Duplicate((int)pipe.SafePipeHandle.DangerousGetHandle());
        return own.Failed
            ? throw new ConnectFailedException($"cannot duplicate the descriptor of the command's pipe: {own.Error.Text()}")
            : new SafeFileHandle((nint)own.Value, ownsHandle: true);
    }

    private string DescribeEnd() => WaitForExit(s_exitAfterClose) ? Ending : $"{Descriptor.Peer} closed the pipe but is still running";
}
