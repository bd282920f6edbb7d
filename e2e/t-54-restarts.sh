#!/bin/bash
# Twenty restarts on one state, ended in turns by SIGTERM and SIGKILL: one node entry, the same addresses and UDP port, reached by the stock
# peer after each, which speaks first after every other one of them; then one with control away, which reaches peers from the cached netmap.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
relay r
headscale --fast
host a; host b
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"
web a 8000; web b 8000
containerboot a "$key"
ready a
ip_a=$(addr a); ip6_a=$(addr6 a); ip_b=$(addr b)
until_ok 40 fetch b "http://$ip_a:8000/" a
until_ok 40 fetch a "http://$ip_b:8000/" b
port() { jq -r '."_tailpod-port"' "$T/a.state/tailscaled.state" | base64 -d; }
bound() { in_ns a ss -Hlunp | grep "pid=$PID_a," | grep -qF "0.0.0.0:$1 "; }
port_a=$(port)
until_ok 10 bound "$port_a"
sleep 1
worst=0 worst_first=0
for i in $(seq 20); do
	if [ $((i % 2)) = 1 ]; then ends a; else kill -9 "$PID_a"; wait "$PID_a" 2> /dev/null || true; fi
	t0=$(date +%s%N)
	containerboot a "$key"
	if [ $((i % 4)) -lt 2 ]; then
		ready a
		t1=$(date +%s%N)
		until_ok 40 fetch b "http://$ip_a:8000/" a
		t=$((($(date +%s%N) - t1) / 1000000))
		[ "$t" -le "$worst_first" ] || worst_first=$t
	fi
	until_ok 30 fetch a "http://$ip_b:8000/" b
	until_ok 40 fetch b "http://$ip_a:8000/" a
	t=$((($(date +%s%N) - t0) / 1000000))
	[ "$t" -le "$worst" ] || worst=$t
	[ "$(hs_cli nodes list -o json | jq length)" = 2 ] || die "restart $i made another node entry"
	[ "$(addr a) $(addr6 a)" = "$ip_a $ip6_a" ] || die "restart $i changed the addresses"
	{ bound "$port_a" && [ "$(port)" = "$port_a" ]; } || die "restart $i changed the port: $(port), was $port_a"
done
echo "figure: $(basename "$0" .sh): start to pages both ways, the slowest of 20 restarts: $worst ms"
echo "figure: $(basename "$0" .sh): ready to a page that the stock peer asks for first, the slowest of 10 restarts: $worst_first ms"
grep -q 'error' "$T/a.log" && die "errors: $(grep error "$T/a.log")"
say "twenty restarts, one node"

ends a
start a other python3 -c 'import socket, sys, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", int(sys.argv[1]))); time.sleep(99)' "$port_a"
other=$PID
until_ok 20 sh -c "ip netns exec tp$ID-a ss -Hlun | grep -qF '0.0.0.0:$port_a '"
containerboot a "$key"
until_ok 40 fetch b "http://$ip_a:8000/" a
until_ok 10 eval '[ "$(port)" != "$port_a" ]'
stop "$other"
say "a port that somebody else has is given up for another"

ends a
kill "$HS_PID"; wait "$HS_PID" 2> /dev/null || true
containerboot a ""
until_ok 30 fetch a "http://$ip_b:8000/" b
until_ok 40 fetch b "http://$ip_a:8000/" a
until_ok 30 fetch a "http://b.tail.test:8000/" b
say "a start without control reaches the peers it knew"
