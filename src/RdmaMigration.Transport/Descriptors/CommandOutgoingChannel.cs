namespace RdmaMigration.Transport;

/// <summary>Into a shell command's standard input. Its output and error stream are this process's.</summary>
internal sealed class CommandOutgoingChannel : DescriptorOutgoingChannel
{
    private readonly ShellCommand _command;

    public CommandOutgoingChannel(ExecUri uri) : this(ShellCommand.Start(uri, givesInput: true))
    {
    }

    internal CommandOutgoingChannel(ShellCommand command) : base(command.Descriptor, "exec")
    {
        _command = command;
        Output = new Writer(command);
    }

    /// <inheritdoc/>
    public override ChannelOutput Output { get; }

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

    private sealed class Writer(ShellCommand command) : DescriptorOutput(command.Descriptor)
    {
        /// <inheritdoc/>
        public override bool FinishProves => true;

        /// <summary>Ends the command's input and waits until it exits, however long it takes.</summary>
        /// <exception cref="ConnectionLostException">Its exit code is not 0, or the channel was shut down.</exception>
        protected override void End()
        {
            Descriptor.ThrowIfLost();
            Descriptor.Close();
            if (!command.WaitForExit(Timeout.InfiniteTimeSpan))
            {
                Descriptor.ThrowIfLost();
            }

            if (command.ExitCode != 0)
            {
                Descriptor.Fail(ConnectionLoss.PeerError, command.Ending);
                Descriptor.ThrowIfLost();
            }
        }
    }
}
