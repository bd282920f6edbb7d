#!/usr/bin/env python3
"""netstack-peer.py - the kernel's side of t-netstack-kernel.sh

call ADDR BYTES   connects to the echo port, sends BYTES, half-closes, compares what comes back
serve ADDR BYTES  the same on one connection that is accepted on port 4000
refused ADDR      a closed port answers so
reset ADDR        the reset port resets
udp ADDR          datagrams of many sizes come back; a closed port answers so
"""
import hashlib, os, socket, sys, threading, time

verb, addr = sys.argv[1], sys.argv[2]
size = int(sys.argv[3]) if len(sys.argv) > 3 else 0
family = socket.AF_INET6 if ":" in addr else socket.AF_INET


def exchange(s):
    # the default of the machine may be BBR, which without SACK and timestamps waits for its timer again and again
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
    sent, got, n = hashlib.sha256(), hashlib.sha256(), 0
    block = os.urandom(1 << 20)

    def send():
        left = size
        while left:
            piece = block[: min(left, len(block))]
            s.sendall(piece)
            sent.update(piece)
            left -= len(piece)
        s.shutdown(socket.SHUT_WR)

    began = time.monotonic()
    t = threading.Thread(target=send, daemon=True)
    t.start()
    while piece := s.recv(1 << 18):
        got.update(piece)
        n += len(piece)
    t.join()
    took = time.monotonic() - began
    if n != size or sent.digest() != got.digest():
        sys.exit(f"{n} of {size} bytes came back, or others")
    if n > 1 << 20:
        print(f"{n * 8 / 1e6 / took:.0f} Mb/s each way")


def dial(port):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(120)
    s.connect((addr, port))
    return s


if verb == "call":
    exchange(dial(7))
elif verb == "serve":
    l = socket.create_server((addr, 4000), family=family)
    l.settimeout(120)
    print("ready", flush=True)
    s = l.accept()[0]
    s.settimeout(120)
    exchange(s)
elif verb == "refused":
    try:
        dial(99)
        sys.exit("a closed port took a connection")
    except ConnectionRefusedError:
        pass
elif verb == "reset":
    s = dial(6)
    s.sendall(b"x")
    try:
        sys.exit("not reset but %r" % s.recv(1))
    except ConnectionResetError:
        pass
elif verb == "udp":
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(30)
    s.connect((addr, 7))
    for n in (0, 1, 1000, 1252, 1253, 4000, 9000):
        data = os.urandom(n)
        s.send(data)
        if s.recv(65536) != data:
            sys.exit(f"a datagram of {n} bytes came back as another")
    s.connect((addr, 99))
    s.send(b"x")
    try:
        sys.exit("not refused but %r" % s.recv(9))
    except ConnectionRefusedError:
        pass
