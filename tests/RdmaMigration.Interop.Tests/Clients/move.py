"""Moves a machine from one QMP monitor to another, driven by an unmodified client of QEMU's.

usage: move.py CLIENT SOURCE DESTINATION URI
  CLIENT               qemu.qmp (the library) or qmp-shell (the program, by its standard input)
  SOURCE, DESTINATION  sockets of the monitors. DESTINATION waits for migrate-incoming
  URI                  where DESTINATION listens; with port 0 of tcp: at a free port

Prints one JSON object: the events of each side. Exits with 1 if a command is refused, or if the migration does not complete.
"""

import ast
import asyncio
import json
import sys

from qemu.qmp import EventListener, QMPClient

ENDS = ("completed", "failed", "cancelled")
LIMIT_SECONDS = 60


class LibraryClient:
    """The library: events arrive on their own."""

    def __init__(self, name):
        self.events = []
        self._client = QMPClient(name)
        self._listener = EventListener()
        self._client.register_listener(self._listener)

    async def open(self, path):
        await self._client.connect(path)

    async def execute(self, command, **arguments):
        return await self._client.execute(command, {name.replace("_", "-"): value for name, value in arguments.items()})

    async def read_events(self):
        self.events.append(await self._listener.get())

    async def close(self):
        await self._client.disconnect()


class ShellClient:
    """The program: a command is a line, and an empty line prints the events that have arrived with the replies."""

    PROMPT = b"(QEMU) "

    def __init__(self, name):
        self.events = []
        self._name = name
        self._shell = None

    async def open(self, path):
        pipe = asyncio.subprocess.PIPE
        self._shell = await asyncio.create_subprocess_exec("qmp-shell", path, stdin=pipe, stdout=pipe)
        await self._read()

    async def execute(self, command, **arguments):
        words = [f"{name.replace('_', '-')}={self._word(value)}" for name, value in arguments.items()]
        reply = json.loads(await self._say(" ".join([command, *words])))
        if "error" in reply:
            raise RuntimeError(f"{self._name}: {command}: {reply['error']['desc']}")
        return reply["return"]

    async def read_events(self):
        # The program reads its socket only while it waits for a reply.
        await self._say("query-status")
        self.events.extend(ast.literal_eval(line) for line in (await self._say("")).splitlines())

    async def close(self):
        await self._shell.communicate()
        if self._shell.returncode:
            raise RuntimeError(f"{self._name}: qmp-shell exits with {self._shell.returncode}")

    @staticmethod
    def _word(value):
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))

    async def _say(self, line):
        self._shell.stdin.write(f"{line}\n".encode())
        return await self._read()

    async def _read(self):
        text = await self._shell.stdout.readuntil(self.PROMPT)
        return text.removesuffix(self.PROMPT).decode().strip()


async def until_end(client):
    """Reads events up to the end of the migration."""
    while not any(event["event"] == "MIGRATION" and event["data"]["status"] in ENDS for event in client.events):
        await client.read_events()


async def listen(destination, uri):
    """Returns where a source migrates to."""
    await destination.execute("migrate-incoming", uri=uri)
    if not uri.endswith(":0"):
        return uri
    address = (await destination.execute("query-migrate"))["socket-address"][0]
    return f"tcp:{address['host']}:{address['port']}"


async def report(client):
    migration = await client.execute("query-migrate")
    if migration["status"] != "completed":
        raise RuntimeError(f"the migration does not complete: {migration}")
    return [event.get("data", {}).get("status", event["event"]) for event in client.events]


async def move(source, destination, uri):
    for client in (destination, source):
        await client.execute("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
    await source.execute("migrate-set-parameters", max_bandwidth=1 << 40)
    await source.execute("migrate", uri=await listen(destination, uri))
    await until_end(source)
    await until_end(destination)
    return {"source": await report(source), "destination": await report(destination)}


async def main(kind, source_path, destination_path, uri):
    client = {"qemu.qmp": LibraryClient, "qmp-shell": ShellClient}[kind]
    source, destination = client("source"), client("destination")
    await source.open(source_path)
    await destination.open(destination_path)
    result = await asyncio.wait_for(move(source, destination, uri), LIMIT_SECONDS)
    await source.close()
    await destination.close()
    print(json.dumps(result))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
