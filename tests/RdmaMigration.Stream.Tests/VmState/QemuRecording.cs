using System.Text;
using System.Text.Json;
using RdmaMigration.Testing;
using RdmaMigration.VmState;

namespace RdmaMigration.Streams.Tests.VmState;

/// <summary>The device state of a stream that a QEMU wrote: from the first FULL section on, with the vmdescription.</summary>
internal sealed class QemuRecording
{
    private readonly IReadOnlyDictionary<string, byte[]> _sections;
    private readonly JsonElement _devices;

    public QemuRecording(byte[] state)
    {
        State = state;
        _sections = Testing.DeviceSections.Split(state);
        int description = state.AsSpan().LastIndexOf("{\"page_size\""u8);
        using JsonDocument document = JsonDocument.Parse(state.AsMemory(description));
        _devices = document.RootElement.GetProperty("devices").Clone();
        Report = StreamInspector.Inspect(new MemorySource(Typed.Ram().Raw(state).ToArray()), TestOptions.Stream).Devices;
    }

    /// <summary>Of a QEMU 7.2 after its firmware, with a virtio disk.</summary>
    public static QemuRecording Default { get; } = new(Recorded.Read("devices-7.2.gz"));

    public byte[] State { get; }

    /// <summary>The devices as the vmdescription decodes them.</summary>
    public IReadOnlyList<DeviceReport> Report { get; }

    /// <summary>Every device, with a description made from the vmdescription; without those that have temporary fields.</summary>
    public Device[] Described() =>
    [
        .. _devices.EnumerateArray().Where(device => !DescribedState.HasTemporary(device)).Select(device => Device.Create(
            DescribedState.Describe([device]), new DescribedState(), device.GetProperty("instance_id").GetUInt32(), device.GetProperty("name").GetString())),
    ];

    /// <summary>A whole stream that has these devices only, with the bytes of the QEMU.</summary>
    public byte[] StreamOf(params Device[] devices)
    {
        StreamBuilder stream = Typed.Ram();
        uint id = Typed.FirstSection;
        foreach (Device device in devices)
        {
            stream.Opened(StreamBuilder.Full, id, device.Name, device.InstanceId, device.Version)
                .Raw(_sections[$"{device.Name}/{device.InstanceId}"]).Footer(id++);
        }

        return stream.EndOfFile().VmDescription(Description(devices)).ToArray();
    }

    /// <summary>Loads these devices from the stream of the QEMU, and demands that they save to the same bytes and the same description.</summary>
    public void RoundTrip(params Device[] devices)
    {
        byte[] stream = StreamOf(devices);
        Typed.Load(stream, Typed.List(devices));
        SavedDevices saved = DeviceWriter.Save(Typed.List(devices), footers: true, Typed.FirstSection, StreamBuilder.Page);
        Assert.Equal(Description(devices), Encoding.ASCII.GetString(saved.VmDescription.Span));
        Assert.Equal(stream, Typed.Stream(saved));
    }

    /// <summary>The device's fields that are no structures, as the vmdescription decodes them: "parent/name" and values.</summary>
    public IReadOnlyDictionary<string, string> Values(string name, uint instance = 0)
    {
        Dictionary<string, string> values = [];
        StateReport state = Report.Single(d => d.Name == name && d.InstanceId == instance).State!;
        Collect(state, "", values);
        return values;
    }

    private static void Collect(StateReport state, string path, Dictionary<string, string> values)
    {
        foreach (FieldReport field in state.Fields)
        {
            if (field.Elements.Count == 0)
            {
                values.Add(path + field.Name, string.Join(',', field.Values));
            }

            for (int i = 0; i < field.Elements.Count; i++)
            {
                Collect(field.Elements[i], $"{path}{field.Name}{(field.Count > 1 ? $"[{i}]" : "")}/", values);
            }
        }

        foreach (StateReport subsection in state.Subsections)
        {
            Collect(subsection, $"{path}{subsection.Name}/", values);
        }
    }

    private string Description(Device[] devices) =>
        $$"""{"page_size": 4096, "devices": [{{string.Join(", ", devices.Select(Text))}}]}""";

    private string Text(Device device) => _devices.EnumerateArray()
        .Single(d => d.GetProperty("name").GetString() == device.Name && d.GetProperty("instance_id").GetUInt32() == device.InstanceId).GetRawText();
}
