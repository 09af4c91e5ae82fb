// Two guests at a time are as many as a small machine bears.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
