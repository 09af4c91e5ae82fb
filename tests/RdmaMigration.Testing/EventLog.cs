namespace RdmaMigration.Testing;

/// <summary>An append-only list of what a peer said, with waiters. Safe for one writer and any number of waiting readers.</summary>
public sealed class EventLog<T>
{
    private readonly List<T> _items = [];
    private TaskCompletionSource _changed = NewSignal();
    private string? _ended;

    /// <summary>How many items there are: hand it to <see cref="FirstAsync"/> to see only what comes later.</summary>
    public int Count
    {
        get
        {
            lock (_items)
            {
                return _items.Count;
            }
        }
    }

    public T[] Snapshot()
    {
        lock (_items)
        {
            return [.. _items];
        }
    }

    public void Add(T item)
    {
        lock (_items)
        {
            _items.Add(item);
            Pulse();
        }
    }

    /// <summary>Nothing more will come; waiters fail with <paramref name="why"/>.</summary>
    public void End(string why)
    {
        lock (_items)
        {
            _ended ??= why;
            Pulse();
        }
    }

    /// <summary>The first item at or after <paramref name="from"/> that matches; waits for it if need be.</summary>
    /// <exception cref="TimeoutException">None came within <paramref name="deadline"/>.</exception>
    /// <exception cref="EndOfStreamException">The log ended without one.</exception>
    public async Task<T> FirstAsync(Func<T, bool> match, int from, TimeSpan deadline, string what)
    {
        using CancellationTokenSource timeout = new(deadline);
        int next = from;
        while (true)
        {
            Task changed;
            lock (_items)
            {
                for (; next < _items.Count; next++)
                {
                    if (match(_items[next]))
                    {
                        return _items[next];
                    }
                }

                if (_ended is not null)
                {
                    throw new EndOfStreamException($"waiting for {what}: {_ended}; seen: {Tail(from)}");
                }

                changed = _changed.Task;
            }

            try
            {
                await changed.WaitAsync(timeout.Token);
            }
            catch (OperationCanceledException)
            {
                throw new TimeoutException($"no {what} within {deadline.TotalSeconds:0.#} s; seen: {Tail(from)}");
            }
        }
    }

    private string Tail(int from)
    {
        lock (_items)
        {
            return string.Join(" | ", _items.Skip(Math.Max(from, _items.Count - 8)));
        }
    }

    private void Pulse()
    {
        TaskCompletionSource previous = _changed;
        _changed = NewSignal();
        previous.TrySetResult();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
