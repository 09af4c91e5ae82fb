using RdmaMigration.Cli;

return Rdmamig.Run(args, Screen.OpenStandard());
