#!/bin/bash
# A proxy joins and is killed before it could note in its Secret who it is: the operator finds the device all the same and deletes it
# with the Service. Before that, credentials that end soon are told. CREDENTIALS=oauth with CONTROL=coordinator (t-69-operator-unnoted-oauth): the same through /api/v2.
# waits: 30
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
credentials=()
if [ "${CREDENTIALS:-}" = oauth ]; then
	co_cli apikeys create --expiration 1h | tail -n 1 > "$T/client-secret"
	co_cli apikeys list -o json | jq -r '.apiKeys[0].prefix' > "$T/client-id"
	credentials=(-u API_KEY_FILE CLIENT_ID_FILE="$T/client-id" CLIENT_SECRET_FILE="$T/client-secret")
else
	hs_cli apikeys create --expiration 1h | tail -n 1 > "$T/api-key"
fi
LISTEN=127.0.0.1:9003 OPERATOR_KUBECONFIG=$T/kubeconfig-op kept op env "${credentials[@]}" OPERATOR_LEASE=op-tailpod-operator OPERATOR_LOGIN_SERVER="$URL" OPERATOR_CA_FILE="$CA"

nodes() { hs_cli nodes list -o json | jq -r '[(. // [])[].name] | sort | join(" ")'; }
field() { kc -n tailpod get secret "$X-0" -o json | jq -r --arg f "$1" '.data[$f] // "" | @base64d'; }
has() { [ -n "$(field "$1")" ]; }
sever() { in_ns pod ip route "$1" blackhole "$2/32"; }

# --- credentials that end within the hour are told at once, by an Event of the Lease and a metric, without the secret
told() { kc -n tailpod get events -o json | jq -e --arg r "$1" 'any(.items[]; .reason == $r and .type == "Warning" and .involvedObject.kind == "Lease" and (.message | contains("in 0 days")))' > /dev/null; }
until_ok 60 told CredentialsExpire
ends=$(in_ns kube curl -s http://127.0.0.1:9003/metrics | awk '$1 == "tailpod_operator_credentials_expire_seconds" {printf "%d", $2}')
[ $((ends - $(date +%s))) -gt 600 ] && [ $((ends - $(date +%s))) -le 3600 ] || die "the metric says $ends, it is $(date +%s)"
secret=$(cat "$T/api-key" "$T/client-secret" 2> /dev/null || true)
never grep -qF -- "${secret: -16}" "$T/op.log" # its end: the secret part has hyphens of its own
say "credentials that end soon are told"

kc create service clusterip brief --tcp=80 > /dev/null
kc annotate svc brief tailscale.com/expose=true > /dev/null
made() { X=$(proxy_of svc default brief); [ -n "$X" ] && has authkey && kc -n tailpod get sts "$X"; }
until_ok 60 made
# cut off from the control server until it has written what it begins with, then from the API server
sever add "$IP_hs"
container "$X" pod TS_BOOT_TIMEOUT=0
until_ok 60 has _machinekey
until_ok 60 grep -q "cannot reach control" "$T/pod-$X.log"
sever add "$IP_kube"; sever del "$IP_hs"
until_ok 90 eval '[ "$(nodes)" = default-brief ]'
kill -9 "$PID" 2> /dev/null || true; wait "$PID" 2> /dev/null || true
! has device_id || die "the device is noted: nothing is tested"
kc delete svc brief --timeout=100s > /dev/null
[ -z "$(nodes)" ] || die "nodes: $(nodes)"
grep -q "device [0-9]* of svc/default/brief, which it had not yet noted, is deleted" "$T/op.log" || die "no line of the audit"
until_ok 40 nothing_left
say "a device that its proxy had no time to note goes with the Service"

# --- one that never ran: its key lets nobody in afterwards
kc create service clusterip never --tcp=80 > /dev/null
kc annotate svc never tailscale.com/expose=true > /dev/null
made() { X=$(proxy_of svc default never); [ -n "$X" ] && has authkey; }
until_ok 60 made
key=$(field authkey)
kc delete svc never --timeout=100s > /dev/null
host late
containerboot late "$key" TS_HOSTNAME=late
until_ok 60 grep -q "refuses the auth key" "$T/late.log"
[ -z "$(nodes)" ] || die "somebody joined with a proxy's key after it was gone: $(nodes)"
say "the key of a proxy that never joined is good for nothing afterwards"
