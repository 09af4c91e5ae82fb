using System.Buffers.Binary;
using RdmaMigration.Testing;

namespace RdmaMigration.Engine.Tests;

/// <summary>The second connection, as a source with a return path opens it.</summary>
[Trait("needs", "rdma")]
public sealed class ReturnPathTests
{
    private const uint QemuFile = 3;

    [Fact]
    public void PING_is_answered_and_SHUT_0_comes_only_when_the_capture_has_its_name()
    {
        using RunningDestination destination = new();
        using RdmaSource main = destination.Connect();
        using RdmaSource back = destination.Connect();
        SmallMachine machine = new(main, pinAll: false, returnPath: true);
        machine.RunTo(SmallMachine.Step.Announced);
        Assert.Equal(Message(2, 1), Next(back));
        machine.RunTo(SmallMachine.Step.Complete);
        Assert.Equal(Message(1, 0), Next(back));
        Assert.True(File.Exists(destination.File));
        MigrationInfo completed = destination.Ended();
        Assert.Equal((MigrationStatus.Completed, true), (completed.Status, completed.ReturnPath));
    }

    [Fact]
    public void A_failed_load_sends_SHUT_1_before_the_connections_close()
    {
        using RunningDestination destination = new();
        using RdmaSource main = destination.Connect();
        using RdmaSource back = destination.Connect();
        new SmallMachine(main, pinAll: false, returnPath: true).RunTo(SmallMachine.Step.Announced);
        Assert.Equal(Message(2, 1), Next(back));
        main.Send(QemuFile, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        Assert.Equal(Message(1, 1), Next(back));
        main.AwaitDisconnect();
        Assert.Equal(MigrationStatus.Failed, destination.Ended().Status);
    }

    [Fact]
    public void A_cancelled_migration_sends_SHUT_1_before_the_connections_close()
    {
        using RunningDestination destination = new();
        using RdmaSource main = destination.Connect();
        using RdmaSource back = destination.Connect();
        new SmallMachine(main, pinAll: false, returnPath: true).RunTo(SmallMachine.Step.Announced);
        Assert.Equal(Message(2, 1), Next(back));
        GiveCredit(back);
        destination.Process.Cancel();
        Assert.Equal(Message(1, 1), back.Receive(QemuFile));
        main.AwaitDisconnect();
        Assert.Equal(MigrationStatus.Cancelled, destination.Ended().Status);
    }

    [Fact]
    public void A_cancelled_migration_ends_soon_when_the_source_gives_no_credit_for_SHUT_1()
    {
        using RunningDestination destination = new();
        using RdmaSource main = destination.Connect();
        using RdmaSource back = destination.Connect();
        new SmallMachine(main, pinAll: false, returnPath: true).RunTo(SmallMachine.Step.Announced);
        Assert.Equal(Message(2, 1), Next(back));
        destination.Process.Quit();
        destination.AwaitEnd(TimeSpan.FromSeconds(5));
        main.AwaitDisconnect();
    }

    [Fact]
    public void SWITCHOVER_ACK_is_sent_when_asked_for()
    {
        using RunningDestination destination = new(options => options.With(MigrationParameters.SwitchoverAck, SwitchoverAck.Always));
        using RdmaSource main = destination.Connect();
        using RdmaSource back = destination.Connect();
        new SmallMachine(main, pinAll: false, returnPath: true).RunTo(SmallMachine.Step.Announced);
        Assert.Equal([0, 7, 0, 0], Next(back));
        Assert.Equal(Message(2, 1), Next(back));
    }

    [Fact]
    public void A_return_path_that_is_announced_but_not_opened_fails_the_migration()
    {
        using RunningDestination destination = new();
        using RdmaSource main = destination.Connect();
        new SmallMachine(main, pinAll: false, returnPath: true).RunTo(SmallMachine.Step.Announced);
        Assert.Contains("OPEN_RETURN_PATH", destination.Ended().ErrorDescription, StringComparison.Ordinal);
    }

    /// <summary>Gives the credit for one message of the return path and takes it.</summary>
    private static byte[] Next(RdmaSource back)
    {
        GiveCredit(back);
        return back.Receive(QemuFile);
    }

    private static void GiveCredit(RdmaSource back)
    {
        byte[] ready = new byte[16];
        BinaryPrimitives.WriteUInt32BigEndian(ready.AsSpan(4), 2);
        back.SendRaw(ready);
    }

    private static byte[] Message(ushort type, uint value)
    {
        byte[] message = new byte[8];
        BinaryPrimitives.WriteUInt16BigEndian(message, type);
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(2), 4);
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(4), value);
        return message;
    }
}
