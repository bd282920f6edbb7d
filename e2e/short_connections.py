# short_connections.py serve PORT: answers "hello" to each connection and closes first, so that TIME-WAIT is at this end
# short_connections.py ask ADDRESS PORT N JOBS: N connections through the SOCKS5 proxy at 127.0.0.1:1055, JOBS at a time. A line comes out:
# how many were answered, how many not and why, the slowest in milliseconds.
import socket, sys, threading, time, collections


def serve(port):
    s = socket.create_server(("127.0.0.1", port), backlog=1024)

    def one(c):
        with c:
            c.settimeout(30)
            try:
                c.sendall(b"hello")
                c.shutdown(socket.SHUT_WR)
                while c.recv(100):
                    pass
            except OSError:
                pass
    while True:
        threading.Thread(target=one, args=(s.accept()[0],), daemon=True).start()


def exactly(c, n):
    data = b""
    while len(data) < n and (more := c.recv(n - len(data))):
        data += more
    return data


def ask(address, port):
    with socket.create_connection(("127.0.0.1", 1055), timeout=60) as c:
        c.settimeout(60)
        c.sendall(b"\5\1\0")
        exactly(c, 2)
        c.sendall(b"\5\1\0\1" + socket.inet_aton(address) + port.to_bytes(2, "big"))
        reply = exactly(c, 10)
        if len(reply) < 10 or reply[1]:
            return f"SOCKS reply {reply[1] if len(reply) > 1 else 'none'}"
        data = b""
        while more := c.recv(100):
            data += more
        return "answered" if data == b"hello" else f"got {data!r}"


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
address, port, n, jobs = sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
left, results, slowest, lock = [n], collections.Counter(), [0.0], threading.Lock()


def work():
    while True:
        with lock:
            if not left[0]:
                return
            left[0] -= 1
        start = time.monotonic()
        try:
            r = ask(address, port)
        except OSError as e:
            r = str(e)
        took = time.monotonic() - start
        with lock:
            results[r] += 1
            slowest[0] = max(slowest[0], took)


workers = [threading.Thread(target=work) for _ in range(jobs)]
for w in workers:
    w.start()
for w in workers:
    w.join()
print(f"{results.pop('answered', 0)} answered, {sum(results.values())} not {dict(results) or ''}; slowest {slowest[0] * 1000:.0f} ms")
