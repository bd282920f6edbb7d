"""A TCP proxy that damages what it carries, as files in a directory say: flip.py DIR LISTEN_PORT HOST PORT

DIR/down, DIR/up   the next run of bytes from or to the server gets one bit flipped: the file holds which byte (0 the first, -1
                   the last, m the middle one); then the file is removed
DIR/closed         new connections are refused while it is there
"""
import asyncio
import os
import sys

where, port, host, to = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
SMALL = 64  # bytes: what is shorter holds no whole record with content


def damaged(name, data):
    path = os.path.join(where, name)
    try:
        with open(path) as f:
            which = f.read().strip()
    except FileNotFoundError:
        return data
    if len(data) < SMALL:
        return data
    os.unlink(path)
    i = len(data) // 2 if which == "m" else int(which) % len(data)
    print(f"{name}: byte {i} of {len(data)}", flush=True)
    return data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :]


async def carry(name, reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(damaged(name, data))
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def client(reader, writer):
    if os.path.exists(os.path.join(where, "closed")):
        writer.transport.abort()
        return
    try:
        r, w = await asyncio.open_connection(host, to)
    except OSError:
        writer.close()
        return
    await asyncio.gather(carry("up", reader, w), carry("down", r, writer))


async def main():
    async with await asyncio.start_server(client, None, port) as server:
        await server.serve_forever()


asyncio.run(main())
