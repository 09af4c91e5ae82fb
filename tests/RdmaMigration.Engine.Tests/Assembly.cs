// The tests count this process's threads and share one device.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
