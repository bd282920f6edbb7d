#!/bin/bash
# Several nodes in one process (TS_NODES_FILE): a stock tailscaled fetches two services from one process; a node is added, changed
# and taken away under a transfer by another; a bad file and a node that cannot log in hurt nobody else; kill -9 keeps who they
# are; what a further node costs in memory is printed.
. "$(dirname "$0")/lib.sh"
headscale
host a; host b; host c
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"; web b 8000
web a 8000
mkdir -p "$T/second.www"; echo "hello from the second" > "$T/second.www/index.html"
start a web-second python3 -m http.server --bind 127.0.0.2 --directory "$T/second.www" 8000
until_ok 60 in_ns a curl -sf http://127.0.0.2:8000/
mkdir -p "$T/list"
list() { echo "{\"version\": 1, \"nodes\": {$1}}" > "$T/list/new"; mv "$T/list/new" "$T/list/nodes.json"; }
run() {
	mkdir -p "$T/a.state"
	start a a env SSL_CERT_FILE="$CA" TS_AUTHKEY="$key" TS_LOGIN_SERVER="$URL" TS_STATE_DIR="$T/a.state" TS_SOCKET="$T/a.sock" \
		TS_NODES_FILE="$T/list/nodes.json" TS_ENABLE_HEALTH_CHECK=true TS_ENABLE_METRICS=true TS_DEBUG_SANDBOX=strict "$@" "$BIN/containerboot"
	PID_a=$PID
}
get() { in_ns a curl -s --max-time 5 "http://127.0.0.1:9002/$1"; }
is_ready() { in_ns a curl -sf --max-time 2 http://127.0.0.1:9002/readyz; }
# page NODE WORDS: b fetches it by the tailnet
page() { via b "http://$(addr "$1"):8000/" --max-time 10 | grep -q "$2"; }
own() { awk '/^Anonymous:/ {print $2}' "/proc/$PID_a/smaps_rollup"; }
pss() { awk '/^Pss:/ {print $2}' "/proc/$PID_a/smaps_rollup"; }

# --- refused at start ---
list '"Web": {}'
run; rc=0; wait "$PID_a" || rc=$?
[ "$rc" = 1 ] && grep -q 'TS_NODES_FILE: .*"Web" is no name of a node' "$T/a.log" || die "a bad list: code $rc"
run TS_SOCKS5_SERVER=127.0.0.1:1055; rc=0; wait "$PID_a" || rc=$?
[ "$rc" = 1 ] && grep -q "TS_NODES_FILE excludes TS_SOCKS5_SERVER" "$T/a.log" || die "one SOCKS5 proxy for several nodes: code $rc"
say "what cannot be shared is refused with words"

# --- two services of one process ---
WEB='"web": {"TS_HOSTNAME": "web"}'
API='"api": {"TS_HOSTNAME": "api", "TS_DEST_IP": "127.0.0.2"}'
list "$WEB, $API"
run
until_ok 60 is_ready
until_ok 40 page web "hello from a"
until_ok 40 page api "hello from the second"
get metrics | grep -q 'tailscaled_inbound_bytes_total{node="api",path="direct_ipv[46]"} [1-9]' || die "no metrics of node api: $(get metrics | grep inbound_bytes)"
[ "$(get metrics | grep -c '^# TYPE tailscaled_inbound_bytes_total')" = 1 ] || die "a metric has two headings"
in_ns a env SSL_CERT_FILE="$CA" "$PEERS/tailscale" --socket="$T/a.sock.web" ip -4 | grep -qxF "$(addr web)" || die "the local API of node web"
ip_web=$(addr web) ip_api=$(addr api)
for n in web api; do grep -q "node: $n: Running" "$T/a.log" || die "the log does not say which node is running: no line of $n"; done
say "a stock client fetched two services from one process, $ip_web and $ip_api"

# --- a transfer by one node, while others come, change and go ---
head -c $((24 << 20)) /dev/urandom > "$T/a.www/big"
in_ns b curl -sS --proxy socks5h://127.0.0.1:1055 --limit-rate 400k --max-time 120 -o "$T/got" "http://$ip_web:8000/big" & transfer=$!
EGRESS='"out": {"TS_HOSTNAME": "out", "TS_TAILNET_TARGET_IP": "'$(addr b)'", "TS_TAILNET_TARGET_PORTS": "20000:8000"}'
list "$WEB, $API, $EGRESS"
until_ok 40 eval 'in_ns c curl -sS --max-time 5 "http://$IP_a:20000/" | grep -q "hello from b"'
say "a node was added: egress by a port of its own"
list "$WEB, \"api\": {\"TS_HOSTNAME\": \"api\"}, $EGRESS"
until_ok 40 page api "hello from a"
[ "$(addr api)" = "$ip_api" ] || die "a changed node is another one"
list "$WEB, \"api\": {\"TS_HOSTNAME\": \"api\", \"TS_LOGOUT_ON_EXIT\": \"true\"}"
until_ok 40 is_ready
until_ok 40 grep -q "node out is removed" "$T/a.log"
never_egress() { ! in_ns c curl -s --max-time 2 "http://$IP_a:20000/"; }
until_ok 20 never_egress
list "$WEB"
until_ok 40 grep -q "api: logged out" "$T/a.log"
until_ok 40 eval '! via b "http://$ip_api:8000/" --max-time 2'
list "not a list"
until_ok 20 grep -q "the nodes stay as they were" "$T/a.log"
kill -0 "$transfer" || { rc=0; wait "$transfer" || rc=$?; die "the transfer is over too early: curl code $rc, $(stat -c %s "$T/got") bytes"; }
list "$WEB, \"bad\": {\"TS_HOSTNAME\": \"bad\", \"TS_AUTHKEY\": \"0123456789abcdef0123456789abcdef0123456789abcdef\"}"
until_ok 40 grep -q "bad: ended with code 3; the node begins anew in" "$T/a.log"
until_ok 20 eval 'get readyz | grep -q "^bad: "'
get readyz | grep -q "^web: " && die "node web is said to be bad: $(get readyz)"
page web "hello from a"
wait "$transfer" || die "the transfer by node web was cut"
[ "$(sha256sum < "$T/got")" = "$(sha256sum < "$T/a.www/big")" ] || die "24 MiB damaged"
say "24 MiB by node web, intact, while others were added, changed, removed, and could not log in"
list "$WEB"
until_ok 40 is_ready

# --- what a further node costs ---
kill -TERM "$PID_a"; wait "$PID_a" || die "the end of one node"
run; until_ok 60 is_ready # without what the transfer left behind
sleep 15                  # trimmed
one=$(pss) one_own=$(own)
more=
for i in 1 2 3 4 5 6 7 8; do more="$more, \"more-$i\": {\"TS_HOSTNAME\": \"more-$i\"}"; done
list "$WEB$more"
until_ok 60 is_ready
until_ok 20 eval '[ "$(get metrics | grep -c "^tailscaled_home_derp_region_id{node=")" = 9 ]'
sleep 15
nine=$(pss) nine_own=$(own)
say "figure: memory of a process with 1 node $one KiB, with 9 nodes $nine KiB (PSS); own pages $one_own and $nine_own: $(((nine_own - one_own) / 8)) KiB a further node"
[ $(((nine_own - one_own) / 8)) -lt 1024 ] || die "a further node costs as much as a process"

# --- killed and back: the same nodes ---
n=$(hs_cli nodes list -o json | jq length)
kill -9 "$PID_a"; wait "$PID_a" || true
run; until_ok 60 is_ready
[ "$(addr web)" = "$ip_web" ] && [ "$(hs_cli nodes list -o json | jq length)" = "$n" ] || die "not the same nodes after kill -9"
until_ok 40 page web "hello from a"
s=$(date +%s%N); kill -TERM "$PID_a"; rc=0; wait "$PID_a" || rc=$?
[ "$rc" = 0 ] || die "exit code $rc"
say "kill -9 keeps who they are; SIGTERM of 9 nodes takes $((($(date +%s%N) - s) / 1000000)) ms"
