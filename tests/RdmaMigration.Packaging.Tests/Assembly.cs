// Each root holds an overlay of the same directory, and lintian takes a processor.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
