using System.Text;

namespace RdmaMigration.VmState;

/// <summary>Where in a device's state a decode, a commit or an encode is, for errors. After a failure it still names the place of the failure.</summary>
internal sealed class FieldPath
{
    private readonly List<(string Name, int Index)> _steps = [];
    private string _device = "";

    /// <summary>The hook that runs, such as post_load; null while fields are handled.</summary>
    public string? Hook { get; set; }

    /// <summary>Structures and fields that are open.</summary>
    public int Depth => _steps.Count;

    /// <summary>Begins another device.</summary>
    public void Begin(Device device)
    {
        _device = $"device '{device.Name}' instance {device.InstanceId}";
        _steps.Clear();
        Hook = null;
    }

    public void Enter(string name) => _steps.Add((name, -1));

    /// <summary>The innermost field is an array, and this is its element.</summary>
    public void At(int index) => _steps[^1] = (_steps[^1].Name, index);

    public void Leave() => _steps.RemoveAt(_steps.Count - 1);

    public override string ToString()
    {
        StringBuilder path = new();
        foreach ((string name, int index) in _steps)
        {
            path.Append(path.Length == 0 ? "" : ".").Append(name);
            if (index >= 0)
            {
                path.Append('[').Append(index).Append(']');
            }
        }

        return Hook is not null ? path.Length == 0 ? $"{_device}, {Hook}" : $"{_device}, {Hook} of '{path}'"
            : path.Length == 0 ? _device
            : $"{_device}, field '{path}'";
    }
}
