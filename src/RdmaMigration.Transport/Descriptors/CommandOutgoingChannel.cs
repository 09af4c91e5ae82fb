namespace RdmaMigration.Transport;

/// <summary>Into a shell command's standard input. Its output and error stream are this process's.</summary>
internal sealed class CommandOutgoingChannel : DescriptorOutgoingChannel
{
    private readonly ShellCommand _command;

    public CommandOutgoingChannel(ExecUri uri) : this(ShellCommand.Start(uri, givesInput: true))
    {
    }

    internal CommandOutgoingChannel(ShellCommand command) : base(command.Descriptor) => _command = command;

    /// <inheritdoc/>
    public override bool FinishConfirms => true;

    /// <summary>Ends the command's input and waits until it exits, however long it takes.</summary>
    /// <exception cref="ConnectionLostException">Its exit code is not 0, or the channel was shut down.</exception>
    public override void Finish()
    {
        BeforeIo?.Invoke();
        Descriptor.ThrowIfLost();
        Descriptor.Close();
        if (!_command.WaitForExit(Timeout.InfiniteTimeSpan))
        {
            Descriptor.ThrowIfLost();
        }

        if (_command.ExitCode != 0)
        {
            Descriptor.Fail(ConnectionLoss.PeerError, _command.Ending);
            Descriptor.ThrowIfLost();
        }
    }

    /// <inheritdoc/>
    public override void Shutdown(string reason)
    {
        base.Shutdown(reason);
        _command.StopWaiting();
    }

    /// <summary>Closes the channel. A command that still runs is killed, with what it started.</summary>
    public override void Dispose()
    {
        _command.LeftBehind = LeftBehind;
        _command.Dispose();
        base.Dispose();
    }
}
