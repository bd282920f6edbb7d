"""Many idle connections: one end answers, the other opens them through a SOCKS5 proxy and speaks when told.

many.py serve PORT
many.py open PROXYPORT ADDRESS PORT COUNT      opens, says "open"; for each line on standard input: a line on every connection and back
"""
import asyncio
import resource
import socket
import sys

limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def serve(port):
    loop = asyncio.get_running_loop()
    await (await loop.create_server(Echo, "127.0.0.1", port, backlog=1024)).serve_forever()


def dial(proxy, address, port):
    s = socket.create_connection(("127.0.0.1", proxy))
    s.settimeout(60)
    s.sendall(b"\5\1\0")
    assert s.recv(2) == b"\5\0"
    s.sendall(b"\5\1\0\1" + socket.inet_aton(address) + port.to_bytes(2, "big"))
    answer = s.recv(10)
    assert len(answer) == 10 and answer[1] == 0, f"the proxy refuses: {answer!r}"
    return s


def speak(all_of_them, turn):
    alive = 0
    for start in range(0, len(all_of_them), 500):
        some = all_of_them[start : start + 500]
        for i, s in enumerate(some):
            s.sendall(b"%8d%8d" % (start + i, turn))
        for i, s in enumerate(some):
            got = b""
            while len(got) < 16:
                more = s.recv(16 - len(got))
                if not more:
                    break
                got += more
            alive += got == b"%8d%8d" % (start + i, turn)
    return alive


if sys.argv[1] == "serve":
    asyncio.run(serve(int(sys.argv[2])))
else:
    proxy, address, port, count = int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
    conns = [dial(proxy, address, port) for _ in range(count)]
    print("open", speak(conns, 0), flush=True)
    for turn, _ in enumerate(sys.stdin, 1):
        print("alive", speak(conns, turn), flush=True)
