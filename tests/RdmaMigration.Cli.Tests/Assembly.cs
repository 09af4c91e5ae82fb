// One process: a signal that a test sends ends every host that runs.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
