namespace RdmaMigration.Verbs.RPing;

/// <summary>
/// The client. A ping: it advertises the source, which the server reads; on the server's message it advertises the target,
/// which the server writes; the server's second message says that it is done.
/// </summary>
internal static class RPingClient
{
    private static readonly TimeSpan s_resolveTimeout = TimeSpan.FromSeconds(2);

    internal static int Run(RPingOptions options, TextWriter output)
    {
        using EventChannel channel = EventChannel.Create();
        using CmId id = CmId.Create(channel);
        id.ResolveAddress(options.EndPoint, s_resolveTimeout);
        channel.Expect(CmEventType.AddressResolved).Dispose();
        id.ResolveRoute(s_resolveTimeout);
        channel.Expect(CmEventType.RouteResolved).Dispose();
        using RPingConnection connection = new(id, options.Size);
        id.Connect(RPingConnection.Parameters, []);
        channel.Expect(CmEventType.Established).Dispose();
        for (int ping = 0; options.Count == 0 || ping < options.Count; ping++)
        {
            if (!Ping(connection, ping))
            {
                throw new IOException("The server disconnected.");
            }

            if (options.Verify && !connection.Buffers.SourceBytes.SequenceEqual(connection.Buffers.TargetBytes))
            {
                throw new IOException($"Ping {ping} came back changed.");
            }

            if (options.Verbose)
            {
                output.WriteLine($"ping data: {RPingBuffers.TextOf(connection.Buffers.TargetBytes)}");
            }
        }
        id.Disconnect();
        return 0;
    }

    private static bool Ping(RPingConnection connection, int ping)
    {
        connection.Buffers.WritePing(ping);
        return Exchange(connection, connection.Buffers.Source) && Exchange(connection, connection.Buffers.Target);
    }

    private static bool Exchange(RPingConnection connection, nint advertised)
    {
        connection.Buffers.Advertise(advertised);
        if (!connection.SendMessage() || !connection.ReceiveMessage())
        {
            return false;
        }

        connection.PostReceive();
        return true;
    }
}
