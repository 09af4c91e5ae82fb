namespace RdmaMigration.Verbs.RPing;

/// <summary>The server: reads what the client advertises first, and writes it to what the client advertises next.</summary>
internal static class RPingServer
{
    internal static int Run(RPingOptions options, TextWriter output)
    {
        using EventChannel channel = EventChannel.Create();
        using CmId listener = CmId.Create(channel);
        listener.SetReuseAddress(true);
        listener.Bind(options.EndPoint);
        listener.Listen(backlog: 3);
        do
        {
            CmId id;
            using (CmEvent request = channel.Expect(CmEventType.ConnectRequest))
            {
                id = request.Id;
            }

            using (id)
            {
                Serve(id, options, output);
            }
        }
        while (options.Persistent);
        return 0;
    }

    private static void Serve(CmId id, RPingOptions options, TextWriter output)
    {
        using EventChannel channel = EventChannel.Create();
        id.MigrateTo(channel);
        using RPingConnection connection = new(id, options.Size);
        id.Accept(RPingConnection.Parameters, []);
        channel.Expect(CmEventType.Established).Dispose();

        // A client that leaves is seen on this channel only: answering it fails the queue pair, which wakes the thread that serves.
        Thread watch = new(() => Answer(channel, id)) { Name = "rping/cm", IsBackground = true };
        watch.Start();
        try
        {
            while (Pong(connection, options, output))
            {
            }
        }
        finally
        {
            id.Disconnect();
            watch.Join();
        }
    }

    private static void Answer(EventChannel channel, CmId id)
    {
        CmEventType type;
        do
        {
            using CmEvent cmEvent = channel.GetEvent();
            type = cmEvent.Type;
        }
        while (type is not (CmEventType.Disconnected or CmEventType.DeviceRemoval));
        id.Disconnect();
    }

    private static bool Pong(RPingConnection connection, RPingOptions options, TextWriter output)
    {
        if (!connection.ReceiveMessage())
        {
            return false;
        }

        (ulong address, uint key, uint length) = Advertised(connection);
        if (!connection.Read(address, key, length))
        {
            return false;
        }

        ReadOnlySpan<byte> ping = connection.Buffers.TargetBytes[..(int)length];
        if (options.Verbose)
        {
            output.WriteLine($"server ping data: {RPingBuffers.TextOf(ping)}");
        }

        if (!connection.SendMessage() || !connection.ReceiveMessage())
        {
            return false;
        }

        (address, key, uint room) = Advertised(connection);
        uint textLength = (uint)Math.Min(RPingBuffers.LengthOf(ping) + 1, ping.Length);
        if (textLength > room)
        {
            throw new IOException($"The client has room for {room} bytes, but its ping had {textLength}.");
        }

        return connection.Write(address, key, textLength) && connection.SendMessage();
    }

    private static (ulong Address, uint Key, uint Length) Advertised(RPingConnection connection)
    {
        (ulong Address, uint Key, uint Length) advertised = connection.Buffers.ReadAdvertisement();
        connection.PostReceive();
        if (advertised.Length > connection.Buffers.Size)
        {
            throw new IOException($"The client pings {advertised.Length} bytes, this server has room for {connection.Buffers.Size}: give it a larger -S.");
        }

        return advertised;
    }
}
