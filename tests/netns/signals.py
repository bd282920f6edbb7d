"""signals.py BIN: SIGTERM to containerboot, coordinator and operator before their handler is there; each must end with code 0.

Held up: the program waits for something outside before it has a handler (a full pipe at its standard error, a setting that is a
FIFO); SIGTERM must be blocked by then. At once: SIGTERM is there when its first instruction runs, 200 times in all. Both as an
ordinary process and as the first one of a pid namespace.
"""
import fcntl, os, shutil, signal, subprocess, sys, tempfile, time

BIN, TIMES, LIMIT = sys.argv[1], int(os.environ.get("TIMES", "200")), 120  # seconds until something is called hung
T = tempfile.mkdtemp(prefix="tailpod-signals-")
KUBE = """{"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
"clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}], "users": [{"name": "u", "user": {"token": "t"}}]}"""
turn = 0
process = None  # the one under way


def fail(words):
    print("FAILED:", words)
    sys.exit(1)


def until(what, words):
    end = time.monotonic() + LIMIT
    while not what():
        if time.monotonic() > end:
            fail(words)
        time.sleep(0.01)


def settings(name, fifo):
    """Arguments, environment and the text of its settings file, which is a FIFO or a file."""
    d = os.path.join(T, str(turn))
    os.mkdir(d)
    path, env = os.path.join(d, "settings"), {"PATH": os.environ["PATH"]}
    if fifo:
        os.mkfifo(path)
    if name == "containerboot":
        env |= dict(TS_AUTHKEY="k", TS_LOGIN_SERVER="http://127.0.0.1:9", TS_STATE_DIR=d + "/state", TS_SOCKET=d + "/sock",
                    TS_OUTBOUND_HTTP_PROXY_LISTEN="", TS_SOCKS5_SERVER="", TS_LOCAL_ADDR_PORT="", TS_USERSPACE="true")
        return path, "", [name], env
    if name == "coordinator":
        text = f"state_directory: {d}\nlisten: 127.0.0.1:0\nserver_url: http://127.0.0.1:8080\nsocket: {d}/sock\nbase_domain: t.test\n" \
               "derp: {stun_listen: '127.0.0.1:0'}\n"
        return path, text, [name, "serve", "--config", path], env
    key = os.path.join(d, "key")
    with open(key, "w") as f:
        f.write("k")
    env |= dict(KUBECONFIG=path, OPERATOR_NAMESPACE="n", PROXY_IMAGE="i", OPERATOR_LOGIN_SERVER="http://127.0.0.1:9",
                API_KEY_FILE=key, POD_NAME="p", OPERATOR_LISTEN="-")
    return path, KUBE, [name], env


def begin(argv, env, first, stderr, mask=()):
    argv = [os.path.join(BIN, argv[0])] + argv[1:]
    if first:
        argv = ["unshare", "--pid", "--fork", "--kill-child", "--"] + argv
    global process
    process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
                               preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, mask))
    return process


def inner(p, first):
    """The pid of the program itself; None: not yet."""
    if not first:
        return p.pid
    with open(f"/proc/{p.pid}/task/{p.pid}/children") as f:
        pids = f.read().split()
    return int(pids[0]) if pids else None


def ended(p, what, log):
    try:
        code = p.wait(LIMIT)
    except subprocess.TimeoutExpired:
        fail(f"{what}: still there {LIMIT} s after SIGTERM: {log()}")
    if code != 0:
        fail(f"{what}: ended with {code}: {log()}")


def text_of(path):
    with open(path, errors="replace") as f:
        return f.read()[-2000:]


def is_held(pid):
    """Is SIGTERM blocked in the program, and the program no longer the one that starts it?"""
    with open(f"/proc/{pid}/status") as f:
        status = dict(line.split(":", 1) for line in f if ":" in line)
    bit = 1 << (signal.SIGTERM - 1)
    return status["Name"].strip() in ("containerboot", "coordinator", "operator") and bool(int(status["SigBlk"], 16) & bit)


def held_up(name, first):
    what = f"{name}{' as process 1' if first else ''}, held up"
    path, text, argv, env = settings(name, name != "containerboot")
    r, w = os.pipe()
    fcntl.fcntl(w, fcntl.F_SETPIPE_SZ, 4096)
    if name == "containerboot":
        os.set_blocking(w, False)
        try:
            while os.write(w, b"x"):
                pass
        except BlockingIOError:
            os.set_blocking(w, True)
    p = begin(argv, env, first, w)
    os.close(w)
    until(lambda: p.poll() is not None or inner(p, first), f"{what}: does not start")
    until(lambda: p.poll() is not None or is_held(inner(p, first)), f"{what}: SIGTERM is not blocked before its handler")
    if p.poll() is None:
        os.kill(inner(p, first), signal.SIGTERM)
    log = b""
    if text:
        with open(path, "w") as f:
            f.write(text)
    while piece := os.read(r, 65536):  # until nobody holds the other end
        log += piece.lstrip(b"x")
    os.close(r)
    ended(p, what, lambda: log.decode(errors="replace")[-2000:])


def at_once(name, first, nth):
    what = f"{name}{' as process 1' if first else ''}, at once, time {nth}"
    path, text, argv, env = settings(name, False)
    with open(path, "w") as f:
        f.write(text)
    with open(path + ".log", "w") as log:
        p = begin(argv, env, first, log, {signal.SIGTERM})
    until(lambda: p.poll() is not None or inner(p, first), f"{what}: does not start")
    if p.poll() is None:
        os.kill(inner(p, first), signal.SIGTERM)
    ended(p, what, lambda: text_of(path + ".log"))


try:
    cases = [(name, first) for name in ("containerboot", "coordinator", "operator") for first in (False, True)]
    for name, first in cases:
        turn += 1
        held_up(name, first)
    print("held up: ok")
    for i in range(TIMES):
        turn += 1
        at_once(*cases[i % len(cases)], i)
        shutil.rmtree(os.path.join(T, str(turn)))
    print(f"at once, {TIMES} times: ok")
finally:
    if process and process.poll() is None:
        process.kill()
    shutil.rmtree(T, ignore_errors=True)
