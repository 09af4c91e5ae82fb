using System.Text;
using Tmds.Linux;

namespace RdmaMigration.Linux;

/// <summary>What this user may do with a path.</summary>
public static unsafe class PathAccess
{
    /// <summary>True when this process may open the path for reading and writing (access(2)).</summary>
    public static bool IsReadWrite(string path)
    {
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            return LibC.access(name, LibC.R_OK | LibC.W_OK) == 0;
        }
    }
}
