#!/usr/bin/env python3
"""A control server's key and device API as Headscale's /api/v1 has it, for tests of the operator.

fake_headscale.py PORT LOG: every request is one line in LOG; POST /fail N makes the next N requests fail with 500;
POST /approve ["10.0.0.0/8"] says which routes of every node are approved. There is a node of every id N, until it is
deleted: its address is 100.64.N/100.N%100.
"""
import json, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, log = int(sys.argv[1]), open(sys.argv[2], "a", buffering=1)
lock, count, failing, approved, deleted = threading.Lock(), 0, 0, [], set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def handle_one(self):
        global count, failing
        n = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(n).decode()
        with lock:
            if self.path.startswith("/fail/"):
                failing = int(self.path.split("/")[2])
                return self.answer(200, {})
            if self.path == "/approve":
                approved[:] = json.loads(body)
                return self.answer(200, {})
            log.write(f"{self.command} {self.path} {body}\n")
            if self.headers.get("Authorization") != "Bearer hskey-api-test":
                return self.answer(401, {"code": 16, "message": "unauthorized"})
            if failing:
                failing -= 1
                return self.answer(500, {"code": 2, "message": "broken for a test", "details": []})
            if self.command == "POST" and self.path == "/api/v1/preauthkey":
                count += 1
                return self.answer(200, {"preAuthKey": {"id": str(count), "key": f"hskey-auth-{count}",
                                                        "expiration": json.loads(body)["expiration"]}})
            if self.path == "/api/v1/preauthkey/expire":
                return self.answer(200, {})
            if self.path == "/api/v1/node":
                return self.answer(200, {"nodes": []})
            if self.path.startswith("/api/v1/node/"):
                node = self.path.split("/")[4]
                if node in deleted:
                    return self.answer(404, {"code": 5, "message": "node not found", "details": []})
                if self.command == "GET":
                    return self.answer(200, {"node": {"id": node, "approvedRoutes": approved,
                                                      "ipAddresses": [f"100.64.{int(node) // 100}.{int(node) % 100}"]}})
                if self.command == "DELETE":
                    deleted.add(node)
                    return self.answer(200, {})
        self.answer(404, {"code": 5, "message": "no such thing"})

    do_GET = do_POST = do_DELETE = handle_one


ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
