// The tests of one device count what the process has in the kernel.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
