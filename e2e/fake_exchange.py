#!/usr/bin/env python3
"""A server that exchanges workloads' tokens as Tailscale documents it, in front of our coordinator, which has no such thing.

fake_exchange.py ADDRESS PORT COORDINATOR CA ISSUED API_KEY LOG: POST /api/v2/oauth/token-exchange with client_id=lab and the token that
stands in the file ISSUED gets the coordinator's API key (file API_KEY) as access token, any other token a refusal; requests for auth keys
go on to the coordinator as they are. Every request is one line of JSON in LOG.
"""
import base64, json, ssl, sys, urllib.error, urllib.parse, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

address, port, coordinator, ca, issued, api_key, log = sys.argv[1:]
log = open(log, "a", buffering=1)
trust = ssl.create_default_context(cafile=ca)


def read(path):
    with open(path) as f:
        return f.read().strip()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def note(self, **what):
        log.write(json.dumps({"path": self.path, "agent": self.headers.get("User-Agent"), **what}) + "\n")

    def bearer(self):
        kind, _, value = (self.headers.get("Authorization") or "").partition(" ")
        return base64.b64decode(value).decode().split(":")[0] if kind == "Basic" else value

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/api/v2/oauth/token-exchange":
            form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
            right = form.get("jwt") == read(issued) and form.get("client_id") == "lab"
            self.note(type=self.headers.get("Content-Type"), client_id=form.get("client_id"), members=sorted(form), right=right)
            if right:
                return self.answer(200, {"access_token": read(api_key), "token_type": "Bearer", "expires_in": 3600})
            return self.answer(401, {"message": "token is expired or not yet valid"})
        if self.path == "/api/v2/tailnet/-/keys":
            self.note(type=self.headers.get("Content-Type"), right=self.bearer() == read(api_key), key=json.loads(body))
            rq = urllib.request.Request(coordinator + self.path, body, {
                "Authorization": "Bearer " + self.bearer(), "Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(rq, context=trust) as r:
                    return self.answer(r.status, r.read())
            except urllib.error.HTTPError as e:
                return self.answer(e.code, e.read())
        self.note()
        self.answer(404, {"message": "no such thing"})

    def do_GET(self):
        self.answer(404, {"message": "no such thing"})


ThreadingHTTPServer((address, int(port)), Handler).serve_forever()
