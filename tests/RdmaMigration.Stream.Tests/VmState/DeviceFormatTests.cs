using System.Buffers;
using System.Text;
using System.Text.Json;
using RdmaMigration.Testing;
using RdmaMigration.VmState;

namespace RdmaMigration.Streams.Tests.VmState;

/// <summary>The bytes of each kind of field, written by hand after the format.</summary>
public sealed class DeviceFormatTests
{
    [Fact]
    public void Every_kind_of_field_has_the_bytes_of_the_format()
    {
        SavedDevices saved = DeviceWriter.Save(Typed.List(Device.Create(SampleDevice.Description, SampleDevice.Filled())), true, 5, 4096);
        byte[] expected = new StreamBuilder()
            .Opened(StreamBuilder.Full, 5, "sample", 0, 2)
            .Byte(0xfe).UInt16(0xfffd).UInt32(0xfffffffc).UInt64(0xfffffffffffffffb)
            .Byte(0xf1).UInt16(0xf2f3).UInt32(0xf4f5f6f7).UInt64(0xf8f9fafbfcfdfeff)
            .Byte(1)
            .UInt16(1).UInt16(2).UInt16(3)
            .Raw(0, 1)
            .Byte(2).UInt32(0x11223344).UInt32(0x55667788)
            .Raw(9, 0, 0, 0, 8)
            .UInt16(3).Raw(1, 2, 3)
            .Raw(new byte[7])
            .Byte(1).UInt32(0xffffffff)
            .Byte(2).UInt32(0xfffffffe)
            .Byte(3).UInt32(0xfffffffd).Byte(4).UInt32(0xfffffffc)
            .UInt32(1).Byte(5).UInt32(0xfffffffb)
            .Byte((byte)'0').Byte(12).UInt32(0).Byte(12).UInt32(0).Byte((byte)'0')
            .Byte((byte)'0').Byte((byte)'1').Byte(6).UInt32(0xfffffffa).Byte((byte)'0')
            .Byte(1).Byte(7).UInt32(0xfffffff9).Byte(1).Byte(8).UInt32(0xfffffff8).Byte(0)
            .UInt32(9)
            .UInt32(10)
            .Byte(0)
            .Subsection("sample/extra").UInt64(11)
            .Footer(5)
            .EndOfFile().ToArray();
        Assert.Equal(Convert.ToHexString(expected), Convert.ToHexString(saved.Sections.ToArray()));
    }

    [Fact]
    public void The_description_of_every_kind_gives_the_lengths_of_its_bytes()
    {
        SavedDevices saved = DeviceWriter.Save(Typed.List(Device.Create(SampleDevice.Description, SampleDevice.Filled())), true, 5, 4096);
        StreamReport report = StreamInspector.Inspect(new MemorySource(Typed.Stream(saved)), TestOptions.Stream);
        DeviceReport device = Assert.Single(report.Devices);
        Assert.Null(device.Problem);
        Assert.Equal("sample/extra", Assert.Single(device.State!.Subsections).Name);
        (string, string)[] fields = [.. device.State.Fields.Select(f => (f.Name, $"{f.Type} {f.Length}*{f.Count}"))];
        (string, string)[] expected =
        [
            ("int8", "int8 1*1"), ("int16", "int16 2*1"), ("int32", "int32 4*1"), ("int64", "int64 8*1"),
            ("uint8", "uint8 1*1"), ("uint16", "uint16 2*1"), ("uint32", "uint32 4*1"), ("uint64", "uint64 8*1"), ("bool", "bool 1*1"),
            ("fixed", "uint16 2*3"), ("bools", "bool 1*2"), ("count", "uint8 1*1"), ("counted", "uint32 4*2"), ("bytes", "buffer 5*1"),
            ("length", "uint16 2*1"), ("blob", "buffer 3*1"), ("unused[0]", "unused_buffer 7*1"), ("part", "struct 5*1"), ("hidden", "hidden info 5*1"),
            ("parts", "struct 5*2"), ("part_count", "int32 4*1"), ("counted_parts", "struct 5*1"),
            ("pointers", "nullptr 1*1"), ("pointers", "struct 5*2"), ("pointers", "nullptr 1*1"),
            ("marked", "ptr-marker 1*1"), ("marked", "ptr-marker 1*1"), ("marked", "struct 5*1"), ("marked", "ptr-marker 1*1"),
            ("list", "qtailq 13*1"), ("optional", "uint32 4*1"), ("newer", "uint32 4*1"), ("unused[1]", "unused_buffer 1*1"),
        ];
        Assert.Equal(expected, fields);
    }

    /// <summary>Machines share descriptions, and each may be saved on a thread of its own.</summary>
    [Fact]
    public void Machines_that_are_saved_at_once_have_the_same_description_of_a_device()
    {
        for (int i = 0; i < 100; i++)
        {
            // Many fields, so that the two threads look at them at the same time.
            VmStateDescription<SamplePart> part = new("part");
            for (int field = 0; field < 300; field++)
            {
                part.Integer($"a{field}", p => p.A, (p, v) => p.A = v);
            }

            VmStateDescription<SampleDevice> description = new VmStateDescription<SampleDevice>("d").StructArray("parts", 2, part, d => d.Parts);
            using Barrier barrier = new(2);
            string[] texts = new string[2];
            Thread other = new(() => Save(1));
            other.Start();
            Save(0);
            other.Join();
            Assert.Equal(texts[0], texts[1]);
            Assert.Contains("\"array_len\": 2", texts[0], StringComparison.Ordinal);

            void Save(int at)
            {
                DeviceList devices = Typed.List(Device.Create(description, new SampleDevice()));
                barrier.SignalAndWait();
                texts[at] = Encoding.ASCII.GetString(DeviceWriter.Save(devices, true, 5, 4096).VmDescription.Span);
            }
        }
    }

    [Fact]
    public void Elements_that_a_predicate_may_change_are_described_each()
    {
        VmStateDescription<SamplePart> part = new VmStateDescription<SamplePart>("part")
            .Integer("a", p => p.A, (p, v) => p.A = v)
            .Integer("b", p => p.B, (p, v) => p.B = v, exists: view => view["a"] > 5);
        SampleDevice source = new() { Parts = { [0] = new SamplePart { A = 5 }, [1] = new SamplePart { A = 6, B = 9 } } };
        SampleDevice destination = new();
        VmStateDescription<SampleDevice> description = new VmStateDescription<SampleDevice>("d").StructArray("parts", 2, part, d => d.Parts);
        SavedDevices saved = DeviceWriter.Save(Typed.List(Device.Create(description, source)), true, 5, 4096);
        using JsonDocument text = JsonDocument.Parse(saved.VmDescription);
        Assert.Equal(
            [(0, 1), (1, 5)],
            text.RootElement.GetProperty("devices")[0].GetProperty("fields").EnumerateArray()
                .Select(f => (f.GetProperty("index").GetInt32(), f.GetProperty("size").GetInt32())));
        Typed.Load(Typed.Stream(saved), Typed.List(Device.Create(description, destination)));
        Assert.Equal([(5, 0), (6, 9)], destination.Parts.Select(p => ((int)p.A, p.B)));
    }

    [Fact]
    public void A_subsection_of_the_outer_structure_may_follow_an_inner_one()
    {
        VmStateDescription<SamplePart> inner = new VmStateDescription<SamplePart>("inner").Integer("a", p => p.A, (p, v) => p.A = v)
            .Subsection(new VmStateDescription<SamplePart>("inner/b") { Needed = p => p.B != 0 }.Integer("b", p => p.B, (p, v) => p.B = v));

        // The field behind the structure has the value that begins a subsection, and the next ones could be a name.
        VmStateDescription<SampleDevice> description = new VmStateDescription<SampleDevice>("outer").Struct("part", inner, d => d.Part)
            .Integer("uint8", d => d.UInt8, (d, v) => d.UInt8 = v)
            .Integer("uint16", d => d.UInt16, (d, v) => d.UInt16 = v)
            .Struct("hidden", inner, d => d.Hidden)
            .Subsection(new VmStateDescription<SampleDevice>("outer/extra").Integer("extra", d => d.Extra, (d, v) => d.Extra = v));
        SampleDevice source = new() { Part = { A = 1 }, UInt8 = 5, UInt16 = 0x0869, Hidden = { A = 2, B = 3 }, Extra = 4 };
        SampleDevice destination = new();
        Typed.Load(Typed.Stream(Device.Create(description, source)), Typed.List(Device.Create(description, destination)));
        Assert.Equal(source.Text(), destination.Text());
    }

    [Fact]
    public void A_device_that_is_not_needed_is_left_out()
    {
        VmStateDescription<SamplePart> description = new VmStateDescription<SamplePart>("d") { Needed = p => p.A != 0 }
            .Integer("a", p => p.A, (p, v) => p.A = v);
        DeviceList devices = Typed.List(Device.Create(description, new SamplePart()), Device.Create(description, new SamplePart { A = 1 }, 1));
        SavedDevices saved = DeviceWriter.Save(devices, true, 5, 4096);
        Assert.Equal(6u, saved.NextSectionId);
        Assert.DoesNotContain("\"instance_id\": 0", Encoding.ASCII.GetString(saved.VmDescription.Span), StringComparison.Ordinal);
        Assert.Equal([1u], Typed.Decode(Typed.Stream(saved), devices).Select(d => d.InstanceId));
    }
}
