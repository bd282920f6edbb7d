#!/usr/bin/env python3
# kube_scale.py CA TOKEN COMMAND...: load and measurements against the API server at 127.0.0.1:6443, in one process that stays, so
# that no start of a kubectl is measured.
#   create FIRST LAST [expose|plain]   Services named s<I>, exposed, or not exposed, or (default) without an address as well
#   expose FIRST LAST              annotates them, prints the milliseconds until each has a proxy's objects, then until each is
#                                  told ready; what a proxy writes is written as soon as its StatefulSet is seen
#   join                           writes what the proxies of all StatefulSets write that have not joined
#   change N                       N times: a hostname is changed; prints for each the milliseconds from the watch's event to the
#                                  event of the StatefulSet that the operator wrote
import base64, http.client, json, ssl, sys, threading, time
from concurrent.futures import ThreadPoolExecutor

ca, token, command, *args = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
local = threading.local()


def call(method, path, body=None, kind="application/json"):
    for _ in range(3):
        if not hasattr(local, "c"):
            local.c = http.client.HTTPSConnection("127.0.0.1", 6443, context=context, timeout=60)
        try:
            local.c.request(method, path, body and json.dumps(body), {"Authorization": "Bearer " + token, "Content-Type": kind})
            r = local.c.getresponse()
            data = r.read()
            if r.status == 429:
                time.sleep(0.5)
                continue
            if r.status >= 300:
                raise SystemExit(f"{method} {path}: {r.status} {data[:300]}")
            return json.loads(data)
        except (http.client.HTTPException, OSError):
            del local.c
    raise SystemExit(f"{method} {path}: no answer")


def merge(path, body):
    return call("PATCH", path, body, "application/merge-patch+json")


def watch(path, seen):  # events in a thread of its own, from now on; returns once it stands
    def begin(rv):
        c = http.client.HTTPSConnection("127.0.0.1", 6443, context=context, timeout=600)
        c.request("GET", f"{path}?watch=1&resourceVersion={rv}", headers={"Authorization": "Bearer " + token})
        return c, c.getresponse()

    def run(c, r):
        while True:
            try:
                for line in r:
                    e = json.loads(line)
                    if e["type"] == "ERROR":
                        break
                    seen(time.monotonic(), e["type"], e["object"])
            except (http.client.HTTPException, OSError):
                pass
            c.close()
            # the API server hangs up on whom it finds slow: what there is meanwhile, then on from there
            there = call("GET", path)
            for o in there["items"]:
                seen(time.monotonic(), "ADDED", o)
            c, r = begin(there["metadata"]["resourceVersion"])

    threading.Thread(target=run, args=begin(call("GET", path + "?limit=1")["metadata"]["resourceVersion"]), daemon=True).start()


def service(i, expose):
    notes = {"tailscale.com/expose": "true"} if expose else {}
    # without an address the API server makes it in a tenth of the time
    call("POST", "/api/v1/namespaces/default/services", {"metadata": {"name": f"s{i}", "annotations": notes}, "spec": {"ports": [{"port": 80}], **({} if expose is not None else {"clusterIP": "None"})}})


def join(name, i):
    data = {"device_id": str(1000 + i), "device_fqdn": f"{name}.tail.test.", "device_ips": json.dumps([f"100.64.{i // 250}.{i % 250 + 1}"])}
    merge(f"/api/v1/namespaces/tailpod/secrets/{name}-0", {"data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}})


def sets():
    return call("GET", "/apis/apps/v1/namespaces/tailpod/statefulsets")["items"]


pool = ThreadPoolExecutor(8)
if command == "create":
    first, last = int(args[0]), int(args[1])
    expose = {"expose": True, "plain": False}.get(args[2]) if len(args) > 2 else None
    list(pool.map(lambda i: service(i, expose), range(first, last + 1)))
elif command == "join":
    known = {s["metadata"]["name"][:-2] for s in call("GET", "/api/v1/namespaces/tailpod/secrets")["items"] if "device_id" in s.get("data", {})}
    todo = [s["metadata"]["name"] for s in sets() if s["metadata"]["name"] not in known]
    list(pool.map(lambda v: join(v[1], v[0]), enumerate(todo)))
elif command == "expose":
    first, last = int(args[0]), int(args[1])
    want, made, ready, lock = last - first + 1, {}, {}, threading.Lock()

    def on_set(now, kind, o):
        name = o["metadata"]["name"]
        with lock:
            new = name not in made
            made.setdefault(name, now)
        if new and kind == "ADDED":
            pool.submit(join, name, len(made))

    def on_service(now, kind, o):
        for c in o.get("status", {}).get("conditions", []):
            if c["type"] == "TailscaleProxyReady" and c["status"] == "True":
                ready.setdefault(o["metadata"]["name"], now)

    watch("/apis/apps/v1/namespaces/tailpod/statefulsets", on_set)
    watch("/api/v1/services", on_service)
    start = time.monotonic()
    callers = ThreadPoolExecutor(8)
    list(callers.map(lambda i: merge(f"/api/v1/namespaces/default/services/s{i}", {"metadata": {"annotations": {"tailscale.com/expose": "true"}}}), range(first, last + 1)))
    asked = time.monotonic()
    while len(ready) < want:
        if time.monotonic() - start > 400:
            raise SystemExit(f"after 400 s only {len(made)} of {want} have objects and {len(ready)} are ready")
        time.sleep(0.02)
    print(f"{want} Services annotated in {(asked - start) * 1000:.0f} ms; all have their proxy {(max(made.values()) - start) * 1000:.0f} ms after the first, "
          f"all are told ready {(max(ready.values()) - start) * 1000:.0f} ms after the first")
elif command == "change":
    seen, acted, event = {}, {}, threading.Event()

    def on_service(now, kind, o):
        seen.setdefault((o["metadata"]["name"], o["metadata"].get("annotations", {}).get("tailscale.com/hostname")), now)

    def on_set(now, kind, o):
        for v in o["spec"]["template"]["spec"]["containers"][0]["env"]:
            if v["name"] == "TS_HOSTNAME":
                acted.setdefault(v["value"], now)
                event.set()

    watch("/api/v1/services", on_service)
    watch("/apis/apps/v1/namespaces/tailpod/statefulsets", on_set)
    took = []
    for i in range(int(args[0])):
        host = f"host-{i}"
        merge(f"/api/v1/namespaces/default/services/s{i + 1}", {"metadata": {"annotations": {"tailscale.com/hostname": host}}})
        end = time.monotonic() + 120
        while host not in acted and time.monotonic() < end:
            event.wait(0.05)
            event.clear()
        if host not in acted:
            raise SystemExit(f"nobody acted on s{i + 1}")
        took.append((acted[host] - seen[(f"s{i + 1}", host)]) * 1000)
        time.sleep(0.1)
    took.sort()
    print(f"a change is acted upon after {took[len(took) // 2]:.0f} ms (median of {len(took)}, {took[0]:.0f} to {took[-1]:.0f})")
else:
    raise SystemExit(f"{command}: no such command")
