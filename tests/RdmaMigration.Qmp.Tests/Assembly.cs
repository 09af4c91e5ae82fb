// The tests measure how soon a client is answered.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
