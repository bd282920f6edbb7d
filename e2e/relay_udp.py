#!/usr/bin/env python3
"""relay_udp.py ADDRESS PORT TO TOPORT: a forwarded UDP port, as a load balancer or a node port has it: what comes from one client goes on
to TO:TOPORT from a port of our own, and what comes back goes to the client that spoke last."""
import select, socket, sys

outer, inner = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
outer.bind((sys.argv[1], int(sys.argv[2])))
inner.connect((sys.argv[3], int(sys.argv[4])))
client = None
while True:
    for s in select.select([outer, inner], [], [])[0]:
        try:
            data, src = s.recvfrom(65536)
            if s is outer:
                client = src
                inner.send(data)
            elif client:
                outer.sendto(data, client)
        except OSError:
            pass
