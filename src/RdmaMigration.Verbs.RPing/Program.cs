using RdmaMigration.Verbs.RPing;

return RPingCommand.Run(args, Console.Out, Console.Error);
