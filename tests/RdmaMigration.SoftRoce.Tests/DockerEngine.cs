using System.Diagnostics;
using Docker.DotNet;
using DotNet.Testcontainers.Configurations;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>The Docker engine of this machine.</summary>
internal static class DockerEngine
{
    /// <summary>A client of the engine. Skips the test where there is no engine, or where the engine does not have an image that build.sh makes.</summary>
    public static async Task<DockerClient> WithImageAsync(string image)
    {
        if (TestcontainersSettings.OS.DockerEndpointAuthConfig is not { } endpoint)
        {
            Assert.Skip("no Docker engine answers: apt-get install docker.io, start dockerd, then run ./build.sh image and ./build.sh test SoftRoce");
            throw new UnreachableException();
        }

        DockerClient engine = endpoint.GetDockerClientBuilder().Build();
        try
        {
            await engine.Images.InspectImageAsync(image, TestContext.Current.CancellationToken);
            return engine;
        }
        catch (DockerImageNotFoundException)
        {
            engine.Dispose();
            Assert.Skip($"the Docker engine has no image {image}: run ./build.sh image and ./build.sh image service");
            throw;
        }
    }
}
