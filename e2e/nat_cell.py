# e2e/nat_cell.py - two nodes behind what they are behind: does their path become direct, and when
#
#   nat_cell.py LIMIT SETTLE SETTINGS CELLS
#
# Each line of the file CELLS is one try: NAME A_KIND A_NS A_NODE B_KIND B_NS B_NODE BOX_PIDS... Kinds: ours, stock. A node (of that
# name) logs in when it is first used and is started anew for each try; the NAT boxes (by pid) forget. SETTLE seconds after both know
# each other, A sends to B through its SOCKS5 proxy, ten times a second; from then on both local APIs are asked. A line comes out:
# NAME, "direct" and milliseconds until both ends send straight, or "relayed" after LIMIT seconds; bytes came back in both cases.
# SETTINGS: a JSON file, see nat.sh. On SIGTERM the nodes end too. All other waits are of a machine that does nothing else; a busy one
# has $PATIENCE times as long (4).
import ctypes, json, os, signal, socket, subprocess, sys, threading, time

limit, settle = float(sys.argv[1]), float(sys.argv[2])
patience = float(os.environ.get("PATIENCE", "4"))
lab = json.load(open(sys.argv[3]))
cells = [line.split() for line in open(sys.argv[4])]
nodes, echoes = {}, set()
libc = ctypes.CDLL(None, use_errno=True)


def enter(ns):  # this thread only
    with open(f"/run/netns/{ns}") as f:
        if libc.setns(f.fileno(), 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns")


class Node:
    def __init__(self, kind, name):
        self.kind, self.name = kind, name
        self.dir = f"{lab['dir']}/{self.name}"
        self.sock, self.log = f"{self.dir}/sock", open(f"{lab['dir']}/{self.name}.log", "a")
        self.known, self.proc = False, None
        os.makedirs(self.dir, exist_ok=True)

    def command(self):
        env = [f"SSL_CERT_FILE={lab['ca']}", f"HOME={self.dir}"]
        if self.kind == "stock":
            return env + ["TS_NO_LOGS_NO_SUPPORT=true", lab["tailscaled"], f"--statedir={self.dir}", f"--state={self.dir}/tailscaled.state",
                          f"--socket={self.sock}", "--tun=userspace-networking", "--port=41641", "--socks5-server=127.0.0.1:1055"]
        return env + [f"TS_AUTHKEY={lab['key']}", f"TS_LOGIN_SERVER={lab['url']}", f"TS_HOSTNAME={self.name}", f"TS_STATE_DIR={self.dir}",
                      f"TS_SOCKET={self.sock}", "TS_SOCKS5_SERVER=127.0.0.1:1055", *lab.get("ours_env", []), lab["containerboot"]]

    def start(self, ns):
        self.ns = ns
        self.proc = subprocess.Popen(["ip", "netns", "exec", self.ns, "env", *self.command()], stdin=subprocess.DEVNULL,
                                     stdout=self.log, stderr=self.log)
        if self.kind == "stock" and not self.known:
            wait(20, lambda: self.status() is not None, f"{self.name} answers")
            subprocess.run(["ip", "netns", "exec", self.ns, "env", f"SSL_CERT_FILE={lab['ca']}", lab["tailscale"], f"--socket={self.sock}",
                            "up", f"--login-server={lab['url']}", f"--authkey={lab['key']}", f"--hostname={self.name}",
                            "--accept-dns=false"], check=True, timeout=60 * patience, stdout=self.log, stderr=self.log)
        self.known = True

    def stop(self):
        if self.proc is None:
            return
        self.proc.terminate()
        try:
            self.proc.wait(5 * patience)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        self.proc = None

    def get(self, what):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(3 * patience)
                s.connect(self.sock)
                s.sendall(f"GET /localapi/v0/{what} HTTP/1.0\r\nHost: local-tailscaled.sock\r\n\r\n".encode())
                data = b""
                while chunk := s.recv(65536):
                    data += chunk
            return data.split(b"\r\n\r\n", 1)[1]
        except (OSError, IndexError):
            return None

    def status(self):
        try:
            return json.loads(self.get("status") or "")
        except ValueError:
            return None

    def entry(self, other):  # the other's entry in our status, or {}
        st = self.status() or {}
        if st.get("BackendState") != "Running":
            return {}
        return next((p for p in (st.get("Peer") or {}).values() if p.get("HostName") == other.name), {})

    def peer(self, other):  # the same if it is online
        p = self.entry(other)
        return p if p.get("Online") else {}

    def metrics(self):  # those that are not nought
        lines = (self.get("metrics") or b"").decode().splitlines()
        return "\n".join(s for s in lines if s and s[0] != "#" and not s.endswith(" 0"))


def wait(seconds, what, words, states=lambda: ""):
    end = time.monotonic() + seconds * patience
    while not (r := what()):
        if time.monotonic() > end:
            raise SystemExit(f"gave up waiting after {seconds * patience:.0f} s until {words} {states()}")
        time.sleep(0.1)
    return r


def echo(ns):
    enter(ns)
    s = socket.create_server(("127.0.0.1", 8000))

    def one(c):
        try:
            while d := c.recv(65536):
                c.sendall(d)
        except OSError:
            pass
        c.close()
    while True:
        threading.Thread(target=one, args=(s.accept()[0],), daemon=True).start()


class Stream(threading.Thread):
    def __init__(self, ns, ip):
        super().__init__(daemon=True)
        self.ns, self.ip, self.stop, self.sent, self.got = ns, ip, False, 0, 0
        self.trouble = "no error of the stream"

    def run(self):
        enter(self.ns)
        while not self.stop:
            try:
                self.talk()
            except OSError as e:
                self.trouble = f"the stream's last error: {e}"
                time.sleep(0.2)

    def talk(self):
        with socket.create_connection(("127.0.0.1", 1055), 10) as s:
            s.sendall(b"\5\1\0" + b"\5\1\0\1" + socket.inet_aton(self.ip) + (8000).to_bytes(2, "big"))
            head = b""
            while len(head) < 12:
                d = s.recv(12 - len(head))
                if not d:
                    return
                head += d
            if head[3] != 0:
                raise OSError("refused")
            while not self.stop:
                s.sendall(b"x" * 100)
                self.sent += 100
                need = 100
                while need > 0:
                    d = s.recv(need)
                    if not d:
                        return
                    need -= len(d)
                    self.got += len(d)
                time.sleep(0.1)


def node(kind, name):
    if name not in nodes:
        nodes[name] = Node(kind, name)
    return nodes[name]


def attempt(name, a_kind, a_ns, a_node, b_kind, b_ns, b_node, *boxes):
    a, b = node(a_kind, a_node), node(b_kind, b_node)
    if b_ns not in echoes:
        echoes.add(b_ns)
        threading.Thread(target=echo, args=(b_ns,), daemon=True).start()
    for p in boxes:
        os.kill(int(p), signal.SIGUSR1)
    a.start(a_ns)
    b.start(b_ns)
    thinks = lambda: "; ".join(f"{n.name} is {(n.status() or {}).get('BackendState')}, its entry of {o.name} {json.dumps(n.entry(o))}" for n, o in ((a, b), (b, a)))
    wait(60, lambda: a.peer(b) and b.peer(a), "both know each other:", thinks)
    time.sleep(settle)
    stream = Stream(a.ns, wait(60, lambda: a.entry(b), "the other is known:", thinks)["TailscaleIPs"][0])
    start = time.monotonic()
    stream.start()
    direct = None
    while time.monotonic() < start + limit and direct is None:
        if a.entry(b).get("CurAddr") and b.entry(a).get("CurAddr"):  # whatever control says of them
            direct = time.monotonic() - start
        else:
            time.sleep(0.02)
    wait(30, lambda: stream.got > 0, "a byte comes back:", lambda: f"{stream.trouble}; {thinks()}")
    got = stream.got
    wait(30, lambda: stream.got > got, "more bytes come back:", lambda: f"{stream.trouble}; {thinks()}")
    stream.stop = True
    if direct is None:  # what both ends think, for a reader who expected something else
        for n, other in ((a, b), (b, a)):
            print(f"{n.name} of {other.name}: {json.dumps(n.entry(other))}\n{n.metrics()}", file=sys.stderr, flush=True)
    print(name, f"direct {direct * 1000:.0f}" if direct is not None else "relayed", flush=True)
    a.stop()
    b.stop()


def quit(*_):
    for n in nodes.values():
        if n.proc:
            n.proc.kill()
    os._exit(1)


signal.signal(signal.SIGTERM, quit)
try:
    for cell in cells:
        attempt(*cell)
finally:
    for n in nodes.values():
        n.stop()
