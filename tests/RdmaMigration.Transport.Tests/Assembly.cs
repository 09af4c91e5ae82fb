// The tests measure times and share one device.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
