#!/usr/bin/env python3
"""nodes.py DATABASE N: writes N more nodes into the database of a coordinator that does not run

They look like the first node that is there (keys, addresses, names of their own) and are never online: a tailnet of any
size for a bench, without as many programs.
"""
import ipaddress
import json
import os
import sqlite3
import sys


def main():
    db = sqlite3.connect(sys.argv[1])
    count = int(sys.argv[2])
    (text,) = db.execute("select json from nodes order by id limit 1").fetchone()
    (last,) = db.execute("select max(id) from nodes").fetchone()
    like = json.loads(text)
    v4 = ipaddress.ip_address("100.100.0.0")
    v6 = ipaddress.ip_address("fd7a:115c:a1e0::6464:0")
    for i in range(1, count + 1):
        name = f"peer-{i}"
        node = dict(like, id=last + i, given=name, v4=str(v4 + i), v6=str(v6 + i))
        for field, prefix in (("machine", "mkey"), ("node", "nodekey"), ("disco", "discokey")):
            node[field] = f"{prefix}:{os.urandom(32).hex()}"
        node["hostinfo"] = dict(like["hostinfo"], Hostname=name)
        node["endpoints"] = [f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}:41641", f"[fd77::{i:x}]:41641"]
        db.execute("insert into nodes values (?, ?)", (last + i, json.dumps(node, separators=(",", ":"))))
    db.commit()


main()
