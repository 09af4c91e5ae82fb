using System.Globalization;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Streams;

namespace RdmaMigration.Engine.Tests;

/// <summary>The trace points of an incoming stream.</summary>
public sealed class MigrationTraceTests
{
    [Fact]
    public void Log_events_of_a_load_have_QEMUs_names_and_arguments()
    {
        EventLog log = new();
        MigrationTrace trace = new(log);
        trace.SectionOpened(2, "ram", 0, 4);
        trace.SectionContinued(2);
        trace.Command(MigrationCommand.Packaged, 4);
        trace.Package(70);
        trace.PackageReceived(70);
        trace.PackageEnd(isLoaded: true);
        trace.PackageEnd(isLoaded: false);
        trace.DowntimeCheckpoint("dst-precopy-loadvm-completed");
        trace.IncomingEnd(isLoaded: true);
        Assert.Equal(
            [
                "qemu_loadvm_state_section_startfull 2(ram) 0 4",
                "qemu_loadvm_state_section_partend 2",
                "loadvm_process_command com=PACKAGED len=4",
                "loadvm_handle_cmd_packaged 70",
                "loadvm_handle_cmd_packaged_received 70",
                "loadvm_handle_cmd_packaged_main 0",
                "loadvm_handle_cmd_packaged_main -1",
                "vmstate_downtime_checkpoint dst-precopy-loadvm-completed",
                "process_incoming_migration_end ret 0 postcopy-state none",
            ],
            log.Events);
    }

    [Theory]
    [InlineData((int)MigrationCommand.OpenReturnPath, "OPEN_RETURN_PATH")]
    [InlineData((int)MigrationCommand.Ping, "PING")]
    [InlineData((int)MigrationCommand.PostcopyAdvise, "POSTCOPY_ADVISE")]
    [InlineData((int)MigrationCommand.EnableColo, "ENABLE_COLO")]
    [InlineData((int)MigrationCommand.SwitchoverStart, "SWITCHOVER_START")]
    public void A_command_has_QEMUs_name(int command, string name)
    {
        EventLog log = new();
        new MigrationTrace(log).Command((MigrationCommand)command, 0);
        Assert.Equal([$"loadvm_process_command com={name} len=0"], log.Events);
    }

    [Fact]
    public void A_source_that_sends_any_number_of_commands_fills_no_memory_with_events()
    {
        using EndedActivities ended = new();
        MigrationTrace trace = new(NullLogger.Instance);
        using (trace.Begin("trace test"))
        {
            for (uint i = 0; i < 5000; i++)
            {
                trace.Command(MigrationCommand.Ping, 4);
                trace.Package(i);
            }

            trace.IncomingEnd(isLoaded: false);
        }

        Assert.Equal(1001, ended.Last("trace test").Events.Count());
        Assert.Equal(["ret=-1", "postcopy-state=none"], ended.Arguments("trace test", "process_incoming_migration_end"));
    }

    /// <summary>The name and the text of each event.</summary>
    private sealed class EventLog : ILogger
    {
        public List<string> Events { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Events.Add(string.Create(CultureInfo.InvariantCulture, $"{eventId.Name} {formatter(state, exception)}"));
    }
}
