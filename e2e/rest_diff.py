#!/usr/bin/env python3
"""rest_diff.py - the same requests to Headscale's REST API and to our coordinator's; status and shape of the answers must be the same

usage: rest_diff.py HS_URL HS_KEY CO_URL CO_KEY

Answers are compared by their JSON: members and types, and the values of all members that do not say who made them or when.
"""
import http.client
import json
import sys
import urllib.parse

SERVERS = [("Headscale", sys.argv[1], sys.argv[2]), ("ours", sys.argv[3], sys.argv[4])]
# members whose value is each server's own; of these the type is compared. Times may be null where there is none.
OWN = {"key", "machineKey", "nodeKey", "discoKey", "createdAt", "lastSeen", "expiration", "expiry", "prefix", "message", "apiKey", "updatedAt", "ipAddresses"}
# of these even the type: an API key that was used, a router that nobody asked whether it lives
FREE = {"lastSeen", "subnetRoutes"}
# what we answer beside what Headscale answers, and what of its answers says only how it works inside
OURS = {"ephemeral", "approved", "loggedOut"}

ids = [{}, {}]


def call(server, method, path, body):
    name, url, key = server
    u = urllib.parse.urlsplit(url)
    c = http.client.HTTPConnection(u.hostname, u.port, timeout=20)
    data = None if body is None else (body if isinstance(body, str) else json.dumps(body))
    headers = {} if key is None else {"Authorization": "Bearer " + key}
    c.request(method, path, data, headers)
    r = c.getresponse()
    text = r.read().decode()
    try:
        return r.status, json.loads(text)
    except ValueError:
        return r.status, text.strip()


def shape(v, name=""):
    if name in FREE:
        return "any"
    if isinstance(v, dict) and v.get("tags") and "user" in v:
        v = dict(v, user="tagged")  # Headscale says null in some answers and the user of tagged devices in others
    if isinstance(v, dict):
        return {k: shape(x, k) for k, x in sorted(v.items()) if k not in OURS}
    if isinstance(v, list):
        return [shape(x, name) for x in v]
    if name in OWN:
        return "null" if v is None else type(v).__name__
    return v


failed = count = 0


def both(method, path, body=None, remember=None, keyless=False):
    """path and body may hold {name}: the id that an earlier answer gave under that name"""
    global failed, count
    count += 1
    got = []
    for i, s in enumerate(SERVERS):
        p = path.format(**ids[i])
        b = body
        if isinstance(body, dict):
            b = {k: (x.format(**ids[i]) if isinstance(x, str) and x[:1] == "{" and x[1:2].isalpha() else x) for k, x in body.items()}
        status, answer = call((s[0], s[1], None) if keyless else s, method, p, b)
        got.append((status, shape(answer)))
        if remember:
            name, *way = remember
            for step in way:
                answer = answer[step] if not isinstance(answer, str) else None
            ids[i][name] = answer
    if got[0] != got[1]:
        failed += 1
        print(f"FAIL {method} {path} {body if body is not None else ''}\n   Headscale: {got[0]}\n   ours:      {got[1]}")
    return got


NEVER = "2099-01-01T00:00:00Z"
both("GET", "/api/v1/health")
both("GET", "/api/v1/user", keyless=True)
# users
both("GET", "/api/v1/user")
both("POST", "/api/v1/user", {"name": "rest", "displayName": "R. E. St"}, remember=("user", "user", "id"))
both("POST", "/api/v1/user", {"name": "rest"})
both("POST", "/api/v1/user", "{")
both("GET", "/api/v1/user?name=rest")
both("GET", "/api/v1/user?name=nobody")
both("GET", "/api/v1/user?id={user}")
both("POST", "/api/v1/user/{user}/rename/resting")
both("POST", "/api/v1/user/99999/rename/x")
both("DELETE", "/api/v1/user/99999")
both("DELETE", "/api/v1/user/x")
# auth keys
both("POST", "/api/v1/preauthkey", {"user": "{user}", "reusable": True, "expiration": NEVER}, remember=("key", "preAuthKey", "id"))
both("POST", "/api/v1/preauthkey", {"user": "{user}", "ephemeral": True, "expiration": NEVER}, remember=("key2", "preAuthKey", "id"))
both("POST", "/api/v1/preauthkey", {"aclTags": ["tag:web"], "expiration": NEVER})
both("POST", "/api/v1/preauthkey", {"user": "99999", "expiration": NEVER})
both("POST", "/api/v1/preauthkey", {"user": "by name", "expiration": NEVER})
both("POST", "/api/v1/preauthkey", {"expiration": NEVER})
both("GET", "/api/v1/preauthkey")
both("POST", "/api/v1/preauthkey/expire", {"id": "{key2}"})
both("POST", "/api/v1/preauthkey/expire", {"id": "99999"})
both("DELETE", "/api/v1/preauthkey?id={key2}")
both("DELETE", "/api/v1/preauthkey?id=99999")
# nodes: one was there before
both("GET", "/api/v1/node", remember=("node", "nodes", 0, "id"))
both("GET", "/api/v1/node/{node}")
both("GET", "/api/v1/node/99999")
both("GET", "/api/v1/node/x")
both("GET", "/api/v1/node?user=test")
both("GET", "/api/v1/node?user=nobody")
both("POST", "/api/v1/node/{node}/rename/fresh")
both("POST", "/api/v1/node/{node}/rename/Not_A_Label")
both("POST", "/api/v1/node/99999/rename/x")
both("POST", "/api/v1/node/{node}/approve_routes", {"routes": ["10.1.0.0/16"]})
both("POST", "/api/v1/node/{node}/approve_routes", {"routes": ["nothing"]})
both("POST", "/api/v1/node/99999/approve_routes", {"routes": []})
both("POST", "/api/v1/node/{node}/tags", {"tags": ["tag:web"]})
both("POST", "/api/v1/node/{node}/tags", {"tags": ["web"]})
both("POST", "/api/v1/node/{node}/tags", {"tags": ["tag:unheard"]})
both("POST", "/api/v1/node/99999/tags", {"tags": ["tag:web"]})
both("POST", "/api/v1/node/{node}/expire")
both("POST", "/api/v1/node/99999/expire")
both("DELETE", "/api/v1/node/99999")
both("DELETE", "/api/v1/node/{node}")
both("GET", "/api/v1/node/{node}")
# logins that nobody asked for
both("POST", "/api/v1/auth/register", {"user": "resting", "authId": "hskey-authreq-AAAAAAAAAAAAAAAAAAAAAAAA"})
both("POST", "/api/v1/auth/reject", {"authId": "hskey-authreq-AAAAAAAAAAAAAAAAAAAAAAAA"})
# API keys
both("POST", "/api/v1/apikey", {"expiration": NEVER})
both("GET", "/api/v1/apikey")
both("POST", "/api/v1/apikey/expire", {"prefix": "unheard"})
both("DELETE", "/api/v1/apikey/unheard")
# the policy
both("GET", "/api/v1/policy")
both("PUT", "/api/v1/policy", {"policy": '{"acls": []}'})
both("GET", "/api/v1/policy")
both("PUT", "/api/v1/policy", {"policy": '{"acls": ['})
both("POST", "/api/v1/policy/check", {"policy": '{"acls": []}'})
both("POST", "/api/v1/policy/check", {"policy": '{"acls": ['})
# the end
both("DELETE", "/api/v1/user/{user}")
both("GET", "/api/v1/nothing")
both("POST", "/api/v1/health")
print(f"{count} requests, {failed} answered otherwise")
sys.exit(1 if failed else 0)
