#!/bin/bash
# A serve configuration: HTTP and HTTPS sites, a reverse proxy that says who asks, upgrades, files, forwards with and without
# TLS, PROXY protocol; changes while it runs; what is not offered or malformed is one line.
. "$(dirname "$0")/lib.sh"
headscale --fast
host a; host b
key=$(authkey --reusable)
mkdir -p "$T/serve" "$T/tls" "$T/files/sub"
certificate "$T/tls/tls" DNS:a.tail.test
echo "a file" > "$T/files/x.txt"; echo "<p>index" > "$T/files/sub/index.html"
head -c $((24 << 20)) /dev/urandom > "$T/files/big"
cat > "$T/back.py" <<'P'
# echoes the request's head, or counts its body; /ws grants an upgrade and echoes; /slow streams
import http.server, hashlib, json, socketserver, time
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
    def answer(self, b):
        self.send_response(200); self.send_header("Content-Length", str(len(b))); self.end_headers(); self.wfile.write(b)
    def do_GET(self):
        if self.path == "/ws":
            self.send_response(101); self.send_header("Upgrade", "echo"); self.send_header("Connection", "Upgrade"); self.end_headers()
            while (d := self.connection.recv(4096)): self.connection.sendall(d.upper())
            self.close_connection = True
        elif self.path == "/slow":
            self.send_response(200); self.send_header("Transfer-Encoding", "chunked"); self.end_headers()
            for i in range(3):
                self.wfile.write(b"5\r\npart%d\r\n" % i); self.wfile.flush(); time.sleep(1)
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.answer(json.dumps({"path": self.path, "head": sorted((k.lower(), v) for k, v in self.headers.items())}).encode())
    def do_POST(self):
        h, n = hashlib.sha256(), 0
        if self.headers.get("Transfer-Encoding") == "chunked":
            while (k := int(self.rfile.readline(), 16)):
                h.update(self.rfile.read(k)); n += k; self.rfile.readline()
            self.rfile.readline()
        else:
            left = int(self.headers["Content-Length"])
            while left > 0:
                d = self.rfile.read(min(left, 65536)); h.update(d); left -= len(d); n += len(d)
        self.answer(("%d %s" % (n, h.hexdigest())).encode())
class S(socketserver.ThreadingMixIn, http.server.HTTPServer): daemon_threads = True
S(("127.0.0.1", 3000), H).serve_forever()
P
start a back python3 "$T/back.py"
cat > "$T/line.py" <<'P'
# says the first line that comes, then echoes
import socketserver
class H(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"got " + self.rfile.readline())
        while (d := self.rfile.readline()): self.wfile.write(b"echo " + d)
class S(socketserver.ThreadingTCPServer): allow_reuse_address = True; daemon_threads = True
S(("127.0.0.1", 5000), H).serve_forever()
P
start a line python3 "$T/line.py"
until_ok 30 in_ns a curl -sf http://127.0.0.1:3000/
until_ok 30 in_ns a python3 -c 'import socket; socket.create_connection(("127.0.0.1", 5000))'
config() { cat > "$T/serve/new"; mv "$T/serve/new" "$T/serve/serve.json"; }
config <<END
{"TCP": {"80": {"HTTP": true}, "443": {"HTTPS": true}, "5432": {"TCPForward": "localhost:5000"},
  "5433": {"TCPForward": "127.0.0.1:5000", "ProxyProtocol": 1}, "5434": {"TCPForward": "5000", "TerminateTLS": "a.tail.test", "ProxyProtocol": 1},
  "5435": {"TCPForward": "127.0.0.1:1"}},
 "Web": {"\${TS_CERT_DOMAIN}:80": {"Handlers": {"/": {"Proxy": "http://127.0.0.1:3000"}, "/app/": {"Proxy": "3000"}, "/base": {"Proxy": "http://localhost:3000/v1"},
    "/text": {"Text": "hello text"}, "/old": {"Redirect": "301:https://\${HOST}\${REQUEST_URI}"}, "/files/": {"Path": "$T/files"}, "/gone": {"Proxy": "http://127.0.0.1:1"}}},
  "\${TS_CERT_DOMAIN}:443": {"Handlers": {"/": {"Proxy": "http://127.0.0.1:3000"}}},
  "other.example:80": {"Handlers": {"/": {"Text": "the other site"}}}},
 "AllowFunnel": {"a.tail.test:443": true}}
END
containerboot a "$key" TS_SERVE_CONFIG="$T/serve/serve.json" TS_SERVE_TLS_DIR="$T/tls"
ready a
tailscaled b; ts_up b "$key"
ip_a=$(addr a) ip_b=$(addr b)
get() { local path=$1; shift; via b "http://a.tail.test$path" "$@"; }
until_ok 40 eval 'get /text | grep -q "^hello text$"'

# who asks, whatever the client says
get "/x/y?q=1" -H "X-Forwarded-For: 6.6.6.6" -H "Tailscale-User-Login: root" -H "tailscale_user_name: root" -H "X-Keep: 1" > "$T/head"
jq -e --arg ip "$ip_b" '.path == "/x/y?q=1" and (.head | from_entries? // (map({(.[0]): .[1]}) | add)) as $h | $h["x-forwarded-for"] == $ip and
	$h["x-forwarded-host"] == "a.tail.test" and $h["x-forwarded-proto"] == "http" and $h["host"] == "a.tail.test" and $h["x-keep"] == "1" and
	($h["tailscale-user-login"] | startswith("test")) and ([.head[][0]] | map(select(. == "tailscale-user-login")) | length == 1) and
	([.head[][0]] | index("tailscale_user_name") == null)' "$T/head" > /dev/null || die "head behind: $(cat "$T/head")"
[ "$(get /app/z | jq -r .path)" = /z ] && [ "$(get /base/z | jq -r .path)" = /v1/z ] && [ "$(get /base | jq -r .path)" = /v1 ] || die "paths behind"
[ "$(via b "http://$ip_a/text")" = "hello text" ] || die "by address"
[ "$(via b "http://a/text")" = "hello text" ] || die "by the short name"
[ "$(get /any -H "Host: other.example")" = "the other site" ] || die "the other site"
[ "$(get / -H "Host: unknown.example" -o /dev/null -w '%{http_code}')" = 404 ] || die "an unknown host"
[ "$(get "/old?a=b" -o /dev/null -w '%{http_code} %{redirect_url}')" = "301 https://a.tail.test/old?a=b" ] || die "redirect"
[ "$(get /gone -o /dev/null -w '%{http_code}')" = 502 ] || die "a back end that is away"
say "names, paths, who asks, redirects"

# files
[ "$(get /files/x.txt)" = "a file" ] && [ "$(get /files/sub/)" = "<p>index" ] || die "files"
[ "$(get /files/sub -o /dev/null -w '%{http_code}')" = 301 ] && [ "$(get /files/none -o /dev/null -w '%{http_code}')" = 404 ] || die "files: status"
for up in /files/..%2f..%2f..%2f..%2f..%2fetc/passwd /files/../../../../../../etc/passwd /files/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd; do
	! get "$up" --path-as-is | grep -q root: || die "a path leads out of its directory: $up"
done
[ "$(get /files/big | sha256sum)" = "$(sha256sum < "$T/files/big")" ] || die "24 MiB damaged"
# streaming both ways, chunked too; the answer's parts come as they are made
sum=$(sha256sum < "$T/files/big" | cut -d' ' -f1)
[ "$(get /up --data-binary "@$T/files/big")" = "$((24 << 20)) $sum" ] || die "upload"
[ "$(get /up -X POST -H "Transfer-Encoding: chunked" -H "Content-Type: x" --data-binary "@$T/files/big")" = "$((24 << 20)) $sum" ] || die "chunked upload"
first=$(get /slow -N -o /dev/null -w '%{time_starttransfer} %{time_total}')
awk '{exit !($2 - $1 > 0.5)}' <<< "$first" || die "an answer is held back: $first"
say "files, 24 MiB down, up, chunked; answers stream"

# an upgrade becomes a tunnel, half-close passes
cat > "$T/ws.py" <<'P'
import socket, sys
s = socket.create_connection(("127.0.0.1", 1055)); s.settimeout(60)
name = b"a.tail.test"
s.sendall(b"\5\1\0"); assert s.recv(2) == b"\5\0"
s.sendall(b"\5\1\0\3" + bytes([len(name)]) + name + (80).to_bytes(2, "big")); assert s.recv(10)[1] == 0
s.sendall(b"GET /ws HTTP/1.1\r\nHost: a.tail.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly")
d = b""
while b"EARLY" not in d: d += s.recv(4096)
assert d.startswith(b"HTTP/1.1 101"), d
s.sendall(b"later"); assert s.recv(5) == b"LATER"
s.shutdown(socket.SHUT_WR); assert s.recv(1) == b""
P
in_ns b python3 "$T/ws.py" || die "upgrade"
# heads that nobody should send
cat > "$T/bad.py" <<'P'
import socket
def ask(data):
    s = socket.create_connection(("127.0.0.1", 1055)); s.settimeout(60)
    s.sendall(b"\5\1\0"); s.recv(2); s.sendall(b"\5\1\0\3\x0ba.tail.test\0\x50"); s.recv(10)
    s.sendall(data); d = b""
    try:
        while (p := s.recv(4096)): d += p
    except ConnectionResetError: pass
    return d[:12]
for bad in (b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET / HTTP/1.1\nHost: a\n\n", b"\x16\x03\x01garbage\r\n\r\n",
            b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20000 + b"\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"):
    assert ask(bad) == b"HTTP/1.1 400", (bad[:40], ask(bad))
P
in_ns b python3 "$T/bad.py" || die "bad heads"
say "upgrade with half-close; hostile heads are refused"

# HTTPS with the certificate of the directory
https() { via b "https://a.tail.test$1" --cacert "$CA" "${@:2}"; }
[ "$(https /s | jq -r '[.head[] | select(.[0] == "x-forwarded-proto")][0][1]')" = https ] || die "https"
[ "$(https /up --data-binary "@$T/files/big")" = "$((24 << 20)) $sum" ] || die "https upload"
# forwards
cat > "$T/fwd.py" <<'P'
import socket, ssl, sys
host, port, tls = sys.argv[1].encode(), int(sys.argv[2]), len(sys.argv) > 3
s = socket.create_connection(("127.0.0.1", 1055)); s.settimeout(60)
s.sendall(b"\5\1\0"); s.recv(2)
s.sendall(b"\5\1\0\3" + bytes([len(host)]) + host + port.to_bytes(2, "big"))
r = s.recv(10)
if r[1]: print("refused", r[1]); sys.exit()
if tls: s = ssl.create_default_context(cafile=sys.argv[3]).wrap_socket(s, server_hostname=sys.argv[1])
s.sendall(b"one\ntwo\n")
d = b""
while d.count(b"\n") < 2: d += s.recv(4096)
print(d.decode().replace("\r", "").replace("\n", "|"))
P
[ "$(in_ns b python3 "$T/fwd.py" a.tail.test 5432)" = "got one|echo two|" ] || die "forward"
in_ns b python3 "$T/fwd.py" a.tail.test 5433 | grep -q "^got PROXY TCP4 $ip_b $ip_a [0-9]* 5433|echo one|" || die "forward with a PROXY header"
in_ns b python3 "$T/fwd.py" a.tail.test 5434 "$CA" | grep -q "^got PROXY TCP4 $ip_b $ip_a [0-9]* 5434|echo one|" || die "forward behind TLS"
in_ns b python3 "$T/fwd.py" a.tail.test 5435 | grep -q "^refused" || die "a forward to nobody"
say "HTTPS; forwards plain, with PROXY header, behind TLS"

# a change acts, a malformed one is one line and leaves what was; the certificate follows its file
certificate "$T/tls/new" DNS:renewed.test,DNS:a.tail.test
echo '{"TCP": {"80": {"HTTP": "maybe"}}}' | config
until_ok 30 grep -q "serve.json: TCP 80: wanted true or false; what was served before goes on" "$T/a.log"
[ "$(get /text)" = "hello text" ] || die "a malformed configuration took the old one away"
echo '{"TCP": {"80": {"HTTP": true}, "443": {"HTTPS": true}}, "Web": {"a.tail.test:80": {"Handlers": {"/": {"Text": "new"}}}, "a.tail.test:443": {"Handlers": {"/": {"Text": "new"}}}}}' | config
until_ok 30 eval '[ "$(get /text)" = new ]'
cp "$T/tls/new.key" "$T/tls/tls.key"; mv "$T/tls/new.crt" "$T/tls/tls.crt"
until_ok 30 eval 'https / -v 2>&1 | grep -q renewed.test'
grep -q "AllowFunnel has no effect: Funnel is not offered" "$T/a.log" || die "Funnel is dropped in silence"
kill -TERM "$PID_a"; rc=0; wait "$PID_a" || rc=$?; [ "$rc" = 0 ] || die "exit code $rc"

# without a certificate the port is named and refused; the others go on
containerboot a "$key" TS_SERVE_CONFIG="$T/serve/serve.json"
ready a
until_ok 30 ts a ping --tsmp -c 1 b # b knows of the restart by our handshake
grep -q "port 443 wants a certificate" "$T/a.log" || die "no line about the certificate"
until_ok 40 eval '[ "$(get /text)" = new ]'
rc=0; https / > /dev/null 2>&1 || rc=$?; [ "$rc" != 0 ] || die "HTTPS without a certificate"
kill -TERM "$PID_a"; wait "$PID_a" || true
echo '{' > "$T/serve/serve.json"
start a broken env TS_STATE_DIR="$T/x" TS_SERVE_CONFIG="$T/serve/serve.json" "$BIN/containerboot"
rc=0; wait "$PID" || rc=$?
[ "$rc" = 1 ] && grep -q "TS_SERVE_CONFIG: .*malformed" "$T/broken.log" || die "a malformed file at start: code $rc"
say "changes act; malformed ones are one line"
# what is not there is said once, though the node's name comes later; what is wrong in it with each change
rm -r "$T/serve/serve.json" "$T/a.state"
containerboot a "$key" TS_SERVE_CONFIG="$T/serve/serve.json"
ready a
until_ok 30 grep -q "node: .*tail.test" "$T/a.log"
for n in 1 2; do
	echo '{' > "$T/serve/new"; mv "$T/serve/new" "$T/serve/serve.json"
	until_ok 30 eval '[ "$(grep -c "malformed.*what was served before goes on" "$T/a.log")" = '$n' ]'
done
[ "$(grep -c "is missing: nothing is served" "$T/a.log")" = 1 ] || die "not said once: $(grep TS_SERVE "$T/a.log")"
say "a missing file is said once"
