# socks_nc.py PROXYPORT HOST PORT - standard input and output through a SOCKS5 proxy on loopback, the name resolved by the proxy
import os
import socket
import sys
import threading

proxy, host, port = sys.argv[1:]
s = socket.create_connection(("127.0.0.1", int(proxy)))
s.sendall(b"\5\1\0")
assert s.recv(2) == b"\5\0"
s.sendall(b"\5\1\0\3" + bytes([len(host)]) + host.encode() + int(port).to_bytes(2, "big"))
got = b""
while len(got) < 10:
    got += s.recv(10 - len(got))
if got[1]:
    sys.exit(f"the proxy refuses: {got[1]}")


def send():
    while data := os.read(0, 65536):
        s.sendall(data)
    s.shutdown(socket.SHUT_WR)


threading.Thread(target=send, daemon=True).start()
while data := s.recv(65536):
    while data:
        data = data[os.write(1, data) :]
