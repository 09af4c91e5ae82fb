// One RDMA device, two processors: a test that runs beside another measures the other.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
