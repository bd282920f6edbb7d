# stream.py PROXYPORT HOST PORT PATH RATE RECORD - downloads http://HOST:PORT/PATH through a SOCKS5 proxy on loopback at an even RATE
# (bytes a second; curl's own limit comes in pulses of three seconds), writes "time(ns) bytes-so-far" to RECORD at least every
# 50 ms while bytes come, and prints the SHA-256 at the end. Once there is a file RECORD.rest, all that is left comes as fast as it can.
import hashlib
import os
import socket
import sys
import time

proxy, host, port, path, rate, record = sys.argv[1:]
s = socket.create_connection(("127.0.0.1", int(proxy)))
s.sendall(b"\5\1\0")
assert s.recv(2) == b"\5\0"
name = host.encode()
s.sendall(b"\5\1\0\3" + bytes([len(name)]) + name + int(port).to_bytes(2, "big"))
f = s.makefile("rb", buffering=65536)
head = f.read(4)
if head[1] != 0:
    sys.exit(f"the proxy says {head[1]}")
f.read({1: 6, 4: 18}[head[3]])
s.sendall(b"GET " + path.encode() + b" HTTP/1.0\r\nHost: x\r\n\r\n")
assert b" 200 " in f.readline()
length = None
while (line := f.readline().strip()):
    if line.lower().startswith(b"content-length:"):
        length = int(line.split(b":")[1])
total, due, last, sha = 0, 0.0, 0.0, hashlib.sha256()
with open(record, "w", buffering=1) as out:
    while total < length:
        data = f.read1(65536)
        if not data:
            sys.exit(f"ended after {total} of {length} bytes")
        sha.update(data)
        total += len(data)
        now = time.time()
        if now - last > 0.05:
            out.write(f"{int(now * 1e9)} {total}\n")
            last = now
        due = max(due, now) + len(data) / float(rate)
        if due > time.time() and not os.path.exists(record + ".rest"):
            time.sleep(max(0.0, due - time.time()))
    out.write(f"{int(time.time() * 1e9)} {total}\n")
print(sha.hexdigest(), " -")
