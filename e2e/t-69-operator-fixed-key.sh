#!/bin/bash
# The operator with one fixed auth key and no API: a proxy whose Service is taken back logs itself out, and with an ephemeral key its
# device is gone from the control server's list; one that is only restarted stays who it is; one that is killed before it
# could log out is named by an Event; another key leaves an expired device, and the Event says that too.
# waits: 60
. "$(dirname "$0")/lib.sh"
. e2e/kube.sh
cat > "$T/policy.json" <<'POLICY'
{"tagOwners": {"tag:k8s": ["test@"]}, "acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}
POLICY
headscale --policy "$T/policy.json"
kube_api
host pod
crds
chart_rights
authkey --reusable --ephemeral --tags tag:k8s > "$T/fixed-key"
OPERATOR_KUBECONFIG=$T/kubeconfig-op kept op env -u API_KEY_FILE AUTH_KEY_FILE="$T/fixed-key" OPERATOR_LEASE=op-tailpod-operator OPERATOR_LOGIN_SERVER="$URL" \
	OPERATOR_CA_FILE="$CA"

nodes() { hs_cli nodes list -o json | jq -r '[(. // [])[].name] | sort | join(" ")'; }
event() { kc get events -o json | jq -e --arg n "$1" --arg r "$2" --arg m "$3" 'any(.items[]; .involvedObject.name == $n and .reason == $r and (.message | contains($m)))' > /dev/null; }
device() { kc -n tailpod get secret "$1-0" -o jsonpath='{.data.device_id}' | base64 -d; }
ends() { kill -"$1" "$2" 2> /dev/null || true; wait "$2" 2> /dev/null || true; }
expose() { # NAME: until its proxy has joined; its name in $X
	kc create service clusterip "$1" --tcp=80 > /dev/null
	kc annotate svc "$1" tailscale.com/expose=true > /dev/null
	has_key() { X=$(proxy_of svc default "$1"); [ -n "$X" ] && [ -n "$(kc -n tailpod get secret "$X-0" -o jsonpath='{.data.authkey}')" ] && kc -n tailpod get sts "$X"; }
	until_ok 60 has_key "$1"
	container "$X" pod
	until_ok 60 is_reason ProxyCreated svc "$1"
}
has_no_set() { ! kc -n tailpod get sts "$1" 2> /dev/null; }

# --- restarted, it is the same device; taken back, it is gone
expose web
WEB=$X id=$(device "$X")
[ "$(nodes)" = default-web ] || die "nodes: $(nodes)"
ends TERM $PID
never grep -q "logged out" "$T/pod-$WEB.log"
container "$WEB" pod
until_ok 60 grep -q "Startup complete" "$T/pod-$WEB.log"
[ "$(device "$WEB")" = "$id" ] && [ "$(nodes)" = default-web ] || die "another device after a restart: $(device "$WEB"), $(nodes)"
kc annotate svc web tailscale.com/expose- > /dev/null
until_ok 60 has_no_set "$WEB"
[ "$(kc -n tailpod get secret "$WEB-0" -o jsonpath='{.data.logout_on_exit}' | base64 -d)" = true ] || die "the proxy is not asked to log out"
kc -n tailpod get role "$WEB" > /dev/null || die "the proxy lost its rights before it could answer"
ends TERM $PID # as the kubelet does then
grep -q "the Secret asks for a logout" "$T/pod-$WEB.log" || die "no logout: $(tail -n 3 "$T/pod-$WEB.log")"
until_ok 60 nothing_left
until_ok 30 event web DeviceLoggedOut "device $id has logged itself out"
until_ok 30 eval '[ -z "$(nodes)" ]'
[ "$(kc get svc web -o json | jq -c '[.metadata.finalizers // [] | .[]]')" = '[]' ] || die "the finalizer stays"
say "a proxy that is restarted stays who it is; one that is taken back logs itself out, and its device is gone"

# --- wanted again before its pod ended: it stays who it is
expose back
BACK=$X id=$(device "$X")
kc annotate svc back tailscale.com/expose- > /dev/null
until_ok 60 has_no_set "$BACK"
kc annotate svc back tailscale.com/expose=true > /dev/null
taken_back() { [ -z "$(kc -n tailpod get secret "$BACK-0" -o jsonpath='{.data.logout_on_exit}')" ] && kc -n tailpod get sts "$BACK"; }
until_ok 60 taken_back
ends TERM $PID
never grep -q "logged out" "$T/pod-$BACK.log"
[ "$(nodes)" = default-back ] && [ "$(device "$BACK")" = "$id" ] || die "another device: $(nodes)"
say "wanted again in time, it stays the same device"

# --- killed before it could: an Event names what stays, and the Service goes all the same; with another key it expires, and an Event says it
kc delete svc back --wait=false > /dev/null
authkey --reusable --tags tag:k8s > "$T/fixed-key"
expose stay
id2=$(device "$X")
kc delete svc stay --wait=false > /dev/null
until_ok 60 has_no_set "$X"
ends TERM $PID
until_ok 60 event stay DeviceLoggedOut "device $id2 has logged itself out"
until_ok 30 eval "hs_cli nodes list -o json | jq -e 'all(.[]; .name != \"default-stay\" or .expiry != null)'"
until_ok 120 event back DeviceLeft "device $id stays in the tailnet"
until_ok 60 nothing_left
never kc get svc back
never kc get svc stay
say "what stays is named by an Event"
