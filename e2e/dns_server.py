# dns_server.py ADDRESS: answers each A query with that address, for the tests: UDP port 53 and HTTPS (RFC 8484) with CERT and KEY
# in the environment on PORT. One line a query: "udp NAME" or "https PATH NAME CONNECTION".
import http.server, os, socket, ssl, struct, sys, threading

def answer(query):
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    kind = struct.unpack("!H", query[at + 1:at + 3])[0]
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 5, 4) + socket.inet_aton(sys.argv[1]) if kind == 1 else b""
    head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1 if record else 0, 0, 0)
    return ".".join(labels), head + query[12:at + 5] + record

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\n").encode())  # in one piece: print() of several threads mixes

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        if self.headers["Content-Type"] != "application/dns-message":
            return self.send_error(415)
        query = self.rfile.read(int(self.headers["Content-Length"]))
        name, reply = answer(query)
        say("https", self.path, name, self.client_address[1])
        self.send_response(200)
        self.send_header("Content-Type", "application/dns-message")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)
    def log_message(self, *args):
        pass

class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True

def https():
    server = Server(("::", int(os.environ["PORT"])), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.environ["CERT"], os.environ["KEY"])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()

if "PORT" in os.environ:
    threading.Thread(target=https, daemon=True).start()
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.bind(("::", 53))
while True:
    query, sender = udp.recvfrom(4096)
    name, reply = answer(query)
    say("udp", name)
    udp.sendto(reply, sender)
