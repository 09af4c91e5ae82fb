namespace RdmaMigration.Bench.Guests;

/// <summary>Reads what a guest writes to COM1: each character stands for a number of pages that it has written.</summary>
internal sealed class SerialOutput
{
    private readonly Stream _serial;
    private readonly long _bytesPerCharacter;
    private readonly TaskCompletionSource<DateTimeOffset> _first = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Reads until the machine ends.</summary>
    public SerialOutput(Stream serial, long bytesPerCharacter)
    {
        _serial = serial;
        _bytesPerCharacter = bytesPerCharacter;
        _ = Task.Run(ReadAsync);
    }

    /// <summary>When what came.</summary>
    public WriteLog Writes { get; } = new();

    /// <summary>When the first character came.</summary>
    /// <exception cref="TimeoutException">None came.</exception>
    public Task<DateTimeOffset> FirstAsync(TimeSpan deadline) => _first.Task.WaitAsync(deadline);

    private async Task ReadAsync()
    {
        byte[] characters = new byte[4096];
        long bytes = 0;
        try
        {
            while (await _serial.ReadAsync(characters) is > 0 and int count)
            {
                bytes += count * _bytesPerCharacter;
                DateTimeOffset now = DateTimeOffset.UtcNow;
                Writes.Add(now, bytes);
                _first.TrySetResult(now);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The machine has ended.
        }
    }
}
