using System.Runtime.InteropServices;
using RdmaMigration.Cli;
using RdmaMigration.Linux;

// Without a handler the signal ends the process. With one the write fails with EFBIG, and the program says what happened and removes what it has written.
using PosixSignalRegistration fileSize = PosixSignalRegistration.Create(Signals.FileSizeExceeded, context => context.Cancel = true);
return Rdmamig.Run(args, Screen.OpenStandard());
