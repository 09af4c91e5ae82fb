using System.Net;

namespace RdmaMigration.Transport.Tests;

/// <summary>Networks and source ports that may connect, as a person writes them.</summary>
public sealed class AllowedPeersTests
{
    [Theory]
    [InlineData("10.0.0.0/24", "10.0.0.0/24", 1, 65535)]
    [InlineData("10.0.0.0/24:1-1023", "10.0.0.0/24", 1, 1023)]
    [InlineData("10.0.0.0/24:1-65535", "10.0.0.0/24", 1, 65535, "10.0.0.0/24")]
    [InlineData("10.0.0.7", "10.0.0.7/32", 1, 65535, "10.0.0.7/32")]
    [InlineData("10.0.0.7:700", "10.0.0.7/32", 700, 700, "10.0.0.7/32:700")]
    [InlineData("fd00::/8", "fd00::/8", 1, 65535)]
    [InlineData("fd00::1", "fd00::1/128", 1, 65535, "fd00::1/128")]
    [InlineData("[fd00::/8]", "fd00::/8", 1, 65535, "fd00::/8")]
    [InlineData("[fd00::/8]:1024-2047", "fd00::/8", 1024, 2047)]
    [InlineData("[fd00::1]:65535", "fd00::1/128", 65535, 65535, "[fd00::1/128]:65535")]
    public void A_network_with_or_without_ports_is_read_and_written_back(string text, string network, int first, int last, string? written = null)
    {
        Assert.True(AllowedPeers.TryParse(text, out AllowedPeers? peers, out string? error), error);
        Assert.Equal(new AllowedPeers(IPNetwork.Parse(network), first, last), peers);
        Assert.Equal(written ?? text, peers.ToString());
    }

    [Theory]
    [InlineData("", "is not a network")]
    [InlineData("lab", "'lab' is not a network")]
    [InlineData("lab:22", "'lab:22' is not a network")]
    [InlineData("10.0.0.0/33", "is not a network")]
    [InlineData("[10.0.0.0/24]:22", "is not a network")]
    [InlineData("fd00::/8:22", "[fd00::/8]:1-1023")]
    [InlineData("[fd00::/8]22", "is not a network")]
    [InlineData("[fd00::/8", "is not a network")]
    [InlineData("[]:22", "is not a network")]
    [InlineData("[[fd00::1]]:22", "is not a network")]
    [InlineData("10.0.0.0/24:", "port ''")]
    [InlineData("10.0.0.0/24:0", "port '0'")]
    [InlineData("10.0.0.0/24:0-1023", "port '0'")]
    [InlineData("10.0.0.0/24:1024-65536", "port '65536'")]
    [InlineData("10.0.0.0/24:22-", "port ''")]
    [InlineData("10.0.0.0/24:-22", "port ''")]
    [InlineData("10.0.0.0/24:ssh", "port 'ssh'")]
    [InlineData("10.0.0.0/24:1-2-3", "port '2-3'")]
    [InlineData("[fd00::/8]:2047-1024", "write 1024-2047")]
    public void Another_form_is_refused_with_the_part_that_is_wrong(string text, string expected)
    {
        Assert.False(AllowedPeers.TryParse(text, out AllowedPeers? peers, out string? error));
        Assert.Null(peers);
        Assert.Contains(expected, error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("10.0.0.5:700", true)]
    [InlineData("10.0.0.5:1023", true)]
    [InlineData("10.0.0.5:1024", false)]
    [InlineData("10.0.1.5:700", false)]
    [InlineData("[fd00::5]:1024", true)]
    [InlineData("[fd00::5]:1023", false)]
    [InlineData("[fe00::5]:1024", false)]
    [InlineData("192.0.2.1:50000", true)]
    public void A_peer_needs_an_allowed_network_and_a_port_of_that_network(string peer, bool isAllowed)
    {
        AllowedPeers[] allowed = [TestOptions.Peers("10.0.0.0/24:1-1023"), TestOptions.Peers("[fd00::/8]:1024-2047"), TestOptions.Peers("192.0.2.1")];

        string? refusal = AllowedPeers.WhyRefused(IPEndPoint.Parse(peer), allowed);

        Assert.Equal(isAllowed, refusal is null);
        if (refusal is not null)
        {
            Assert.Contains(peer, refusal, StringComparison.Ordinal);
            Assert.Contains("10.0.0.0/24:1-1023, [fd00::/8]:1024-2047, 192.0.2.1/32", refusal, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Without_a_list_everyone_may_connect_and_with_one_nobody_without_an_address()
    {
        Assert.Null(AllowedPeers.WhyRefused(null, []));
        Assert.NotNull(AllowedPeers.WhyRefused(null, [TestOptions.Peers("0.0.0.0/0")]));
    }
}
