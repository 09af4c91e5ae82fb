// These tests boot guests themselves, so they run on the host. Two guests at a time are as many as a small machine bears.
[assembly: Trait("needs", "rig")]
[assembly: CollectionBehavior(DisableTestParallelization = true)]
