#!/usr/bin/env python3
"""A TCP relay whose target can be moved: relay_tcp.py PORT FILE. Connections to 127.0.0.1:PORT go on to 127.0.0.1 at the port that
FILE names; when it names another one all connections are cut, and when it is empty none is taken."""
import asyncio, sys

port, file = int(sys.argv[1]), sys.argv[2]
writers = set()


def target():
    with open(file) as f:
        return f.read().strip()


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def client(reader, writer):
    try:
        r, w = await asyncio.open_connection("127.0.0.1", int(target()))
    except (OSError, ValueError):
        writer.close()
        return
    both = {writer, w}
    writers.update(both)
    await asyncio.gather(copy(reader, w), copy(r, writer))
    writers.difference_update(both)


async def main():
    await asyncio.start_server(client, "127.0.0.1", port)
    was = target()
    while True:
        await asyncio.sleep(0.05)
        if was != (was := target()):
            for w in list(writers):
                w.transport.abort()


asyncio.run(main())
