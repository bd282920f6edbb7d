# idle.py PROXYPORT ADDRESS PORT SECONDS - one echoed line through a SOCKS5 proxy, SECONDS of silence, one more line on the same connection
import socket
import sys
import time

proxy, host, port, idle = sys.argv[1:]
s = socket.create_connection(("127.0.0.1", int(proxy)))
s.sendall(b"\5\1\0")
assert s.recv(2) == b"\5\0"
s.sendall(b"\5\1\0\1" + socket.inet_aton(host) + int(port).to_bytes(2, "big"))
f = s.makefile("rb")
assert f.read(10)[1] == 0, "the proxy refuses"
s.settimeout(30)
for pause in (int(idle), 0):
    s.sendall(b"hello\n")
    assert f.readline() == b"hello\n", "no echo"
    time.sleep(pause)
print("alive")
