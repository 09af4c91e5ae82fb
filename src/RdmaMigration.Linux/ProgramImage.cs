using System.Runtime.InteropServices;
using System.Text;

namespace RdmaMigration.Linux;

/// <summary>The program that this process runs.</summary>
public static unsafe partial class ProgramImage
{
    /// <summary>
    /// Replaces the program, and returns only if that fails. The process keeps its id and every descriptor that is not close-on-exec. Ignored signals, of which
    /// .NET adds SIGPIPE, stay ignored. Any thread; the others end.
    /// </summary>
    /// <param name="path">The file. It is not sought on PATH.</param>
    /// <param name="arguments">The arguments, from the program's name on.</param>
    /// <param name="environment">The environment.</param>
    public static CallResult Replace(string path, IReadOnlyList<string> arguments, IEnumerable<KeyValuePair<string, string>> environment)
    {
        byte** argumentList = Copy(arguments);
        byte** environmentList = Copy([.. environment.Select(variable => $"{variable.Key}={variable.Value}")]);
        byte* file = Copy(path);
        CallResult failed = CallResult.Of(execve(file, argumentList, environmentList));
        Free(argumentList);
        Free(environmentList);
        NativeMemory.Free(file);
        return failed;
    }

    private static byte** Copy(IReadOnlyList<string> texts)
    {
        byte** list = (byte**)NativeMemory.AllocZeroed((nuint)texts.Count + 1, (nuint)sizeof(byte*));
        for (int i = 0; i < texts.Count; i++)
        {
            list[i] = Copy(texts[i]);
        }

        return list;
    }

    private static byte* Copy(string text)
    {
        int length = Encoding.UTF8.GetByteCount(text);
        byte* copy = (byte*)NativeMemory.AllocZeroed((nuint)length + 1);
        Encoding.UTF8.GetBytes(text, new Span<byte>(copy, length));
        return copy;
    }

    private static void Free(byte** list)
    {
        for (byte** next = list; *next is not null; next++)
        {
            NativeMemory.Free(*next);
        }

        NativeMemory.Free(list);
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int execve(byte* path, byte** arguments, byte** environment);
}
