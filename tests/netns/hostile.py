# hostile.py KIND SECONDS ARG...: garbage for one listener, as fast as one thread can, for a bounded time
#   udp ADDRESS PORT        datagrams: noise, and heads of WireGuard, disco and STUN messages with noise behind
#   tcp ADDRESS PORT        streams: noise, broken SOCKS5, broken HTTP, endless heads, half-closed and abandoned ones
#   unix PATH               the same at a unix socket
# Prints how many were sent. Same SEED, same bytes.
import os, random, socket, sys, time

kind, seconds, args = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
rnd = random.Random(int(os.environ.get("SEED", "1")))
noise = lambda n: rnd.randbytes(n)

def datagram():
    n = rnd.choice([0, 1, 20, 32, 92, 148, 64, 1280, 1472, rnd.randrange(1500)])
    pick = rnd.randrange(8)
    if pick < 4:  # message types 1 to 4 of WireGuard, with their lengths
        n = [148, 92, 64, max(n, 32)][pick]
        return bytes([pick + 1, 0, 0, 0]) + noise(n - 4)
    if pick == 4:
        return b"TS\xf0\x9f\x92\xac" + noise(max(n, 60))
    if pick == 5:
        return b"\x01\x01" + n.to_bytes(2, "big") + b"\x21\x12\xa4\x42" + noise(n)
    return noise(n)

def stream():
    pick = rnd.randrange(10)
    if pick == 0:
        return noise(rnd.randrange(1, 4096))
    if pick == 1:
        return b"\x05" + bytes([rnd.randrange(256)]) + noise(rnd.randrange(300))
    if pick == 2:  # a greeting that is right, then a request that is not
        return b"\x05\x01\x00\x05" + noise(rnd.randrange(1, 300))
    if pick == 3:
        return b"\x05\x01\x00\x05\x01\x00\x03" + bytes([rnd.randrange(256)]) + noise(rnd.randrange(260))
    if pick == 4:
        return b"GET /" + b"A" * rnd.choice([10, 5000, 70000]) + b" HTTP/1.1\r\n\r\n"
    if pick == 5:
        return b"GET / HTTP/1.1\r\n" + b"".join(b"H%d: %s\r\n" % (i, noise(20).hex().encode()) for i in range(rnd.randrange(2000)))
    if pick == 6:
        return b"POST /localapi/v0/prefs HTTP/1.1\r\nHost: local-tailscaled.sock\r\nContent-Length: %d\r\n\r\n" % rnd.choice([-1, 5, 1 << 62]) + noise(500)
    if pick == 7:
        return b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + rnd.choice([b"fffffffffffffffff\r\n", b"-1\r\n", b"5\r\nabc"]) + noise(100)
    if pick == 8:
        return b"CONNECT " + noise(rnd.randrange(1, 300)).hex().encode() + b":%d HTTP/1.1\r\n\r\n" % rnd.randrange(100000)
    return b"GET /localapi/v0/" + noise(rnd.randrange(1, 40)).hex().encode() + b"?%zz=%00 HTTP/1.1\r\nHost: local-tailscaled.sock\r\n\r\n"

end, sent, kept = time.monotonic() + seconds, 0, []
if kind == "udp":
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((args[0], int(args[1])))
while time.monotonic() < end or (sent <= 100 and time.monotonic() < end + 60):  # a busy machine takes longer
    try:
        if kind == "udp":
            s.send(datagram())
        else:
            c = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET, socket.SOCK_STREAM)
            c.settimeout(0.2)
            c.connect(args[0] if kind == "unix" else (args[0], int(args[1])))
            c.sendall(stream())
            if rnd.randrange(3) == 0:
                c.shutdown(socket.SHUT_WR)
            if rnd.randrange(3) == 0:
                c.recv(1000)
            if rnd.randrange(4) == 0:  # left open for a while
                kept.append(c)
                if len(kept) > 200:
                    kept.pop(0).close()
            else:
                c.close()
        sent += 1
    except OSError:
        sent += 1
print(sent)
