using System.Globalization;
using System.Net.Sockets;

namespace RdmaMigration.Testing;

/// <summary>A source over tcp that sends a given stream and stalls at places of it. One task.</summary>
public sealed class StalledSource : IAsyncDisposable
{
    private readonly byte[] _stream;
    private readonly Stall _stall;
    private readonly int[] _places;

    // One for each place, the nearest to the destination first.
    private readonly HoldingProxy[] _links;
    private readonly TcpClient _connection = new();
    private Task _sending = Task.CompletedTask;
    private PeriodicTimer? _second;
    private int _sent;
    private int _stalls;

    /// <summary>Connects.</summary>
    /// <param name="uri">Where the destination listens: tcp:, an address and a port.</param>
    /// <param name="stream">What is sent.</param>
    /// <param name="stall">How it stalls.</param>
    /// <param name="places">The offsets in the stream at which it stalls, in order and apart from each other.</param>
    public StalledSource(string uri, byte[] stream, Stall stall, params int[] places)
    {
        (_stream, _stall, _places) = (stream, stall, places);
        _links = new HoldingProxy[stall is Stall.CutLink ? places.Length : 0];
        for (int i = 0; i < _links.Length; i++)
        {
            _links[i] = new HoldingProxy(uri) { HoldsAfter = places[i] }.Begin();
            uri = _links[i].Uri;
        }

        _connection.Connect("127.0.0.1", int.Parse(uri.Split(':')[^1], CultureInfo.InvariantCulture));
        if (stall is Stall.CutLink)
        {
            _sending = SendToAsync(stream.Length);
        }
    }

    /// <summary>There is a place at which it has not stalled yet.</summary>
    public bool HasPlace => _stalls < _places.Length;

    /// <summary>Sends up to the next place and stalls there. A trickle goes on until the next call.</summary>
    public async Task StallAsync()
    {
        await GoOnAsync();
        if (_stall is Stall.CutLink)
        {
            await _links[_stalls].Held.WaitAsync(Deadlines.Answer);
        }
        else
        {
            await SendToAsync(_places[_stalls]);
        }

        if (_stall is Stall.Trickle)
        {
            _second = new PeriodicTimer(TimeSpan.FromSeconds(1));
            _sending = TrickleAsync(_second);
        }

        _stalls++;
    }

    /// <summary>Sends the rest, and closes the sending direction.</summary>
    public async Task FinishAsync()
    {
        await GoOnAsync();
        await _sending;
        await SendToAsync(_stream.Length);
        _connection.Client.Shutdown(SocketShutdown.Send);
    }

    public async ValueTask DisposeAsync()
    {
        _second?.Dispose();
        foreach (HoldingProxy link in _links)
        {
            link.Dispose();
        }

        _connection.Dispose();
        await _sending.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>Ends a stall.</summary>
    private async Task GoOnAsync()
    {
        if (_stall is Stall.CutLink)
        {
            if (_stalls > 0)
            {
                _links[_stalls - 1].Release();
            }
        }
        else
        {
            _second?.Dispose();
            await _sending;
        }
    }

    private async Task TrickleAsync(PeriodicTimer second)
    {
        while (_sent < _stream.Length - 1 && await second.WaitForNextTickAsync())
        {
            await SendToAsync(_sent + 1);
        }
    }

    private async Task SendToAsync(int end)
    {
        await _connection.GetStream().WriteAsync(_stream.AsMemory(_sent..end));
        _sent = end;
    }
}
