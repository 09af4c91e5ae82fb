using System.Buffers;
using System.Text.Json;
using RdmaMigration.Engine;

namespace RdmaMigration.Service.Tests.Serve;

/// <summary>The members of query-migrate that depend on the version. Beside a real QEMU: ServeComparisonTests of the interop suite.</summary>
public sealed class QueryMigrateTests
{
    [Theory]
    [InlineData("7.2", MigrationStatus.Cancelled, true, false)]
    [InlineData("10.0", MigrationStatus.Cancelled, true, true)]
    [InlineData("11.1", MigrationStatus.Cancelled, true, true)]
    [InlineData("11.1", MigrationStatus.Cancelled, false, false)]
    [InlineData("11.1", MigrationStatus.Completed, true, false)]
    [InlineData("7.2", MigrationStatus.Failed, false, true)]
    public void A_cancel_has_a_reason_in_pre_switchover_since_QEMU_10(string version, object status, bool isInPause, bool hasReason)
    {
        MigrationInfo info = new()
        {
            Status = (MigrationStatus)status,
            IsOutgoing = true,
            IsCancelledInPause = isInPause,
            ErrorDescription = "cancelled; the machine goes on here",
        };
        ArrayBufferWriter<byte> written = new();
        using (Utf8JsonWriter writer = new(written))
        {
            new QueryMigrate(QemuProfile.All.Single(profile => profile.Name == version)).Write(writer, info, uri: null, endPoint: null);
        }

        using JsonDocument reply = JsonDocument.Parse(written.WrittenMemory);
        Assert.Equal(hasReason, reply.RootElement.TryGetProperty("error-desc", out JsonElement reason));
        Assert.Equal(hasReason ? info.ErrorDescription : null, hasReason ? reason.GetString() : null);
    }

    /// <summary>As QEMU 10.0.13 has it.</summary>
    [Theory]
    [InlineData("cancelled", "cancelled")]
    [InlineData("failed", "failed (why)")]
    public void Info_migrate_has_the_reason_of_a_failure_alone(string status, string written)
    {
        using JsonDocument migration = JsonDocument.Parse($$"""{"status": "{{status}}", "error-desc": "why"}""");

        Assert.StartsWith($"Migration status: {written}\r\n", HumanMigration.DescribeOld(migration.RootElement), StringComparison.Ordinal);
        Assert.Equal($"Status: \t\t{written}\r\n", HumanMigration.Describe(migration.RootElement));
    }
}
