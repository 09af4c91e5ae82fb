using RdmaMigration.Machines.KeyValue;

return await KeyValueCommand.RunAsync(args, Console.Out, Console.Error);
