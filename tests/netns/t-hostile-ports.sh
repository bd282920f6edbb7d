#!/bin/bash
# Garbage at every port of a containerboot, 8 s each: the WireGuard port, the SOCKS5 and HTTP proxy, the local API, health and
# metrics. It does not end, its memory stays bounded, it still answers, and a checksummed stream between two nodes arrives. Then
# the same at the ports of the coordinator.
# waits: 60
. "$(dirname "$0")/../../e2e/lib.sh"
each=${HOSTILE_SECONDS:-8}
coordinator "system_calls: strict"
host a; host b
key=$(authkey --reusable)
export TS_DEBUG_SANDBOX=strict
containerboot a "$key" PORT=41641; containerboot b "$key"
ready a; ready b
web a 8000
head -c $((each * 12 << 20)) /dev/urandom > "$T/a.www/big"
sum=$(sha256sum < "$T/a.www/big")
fetch() { via "$1" "$2" | grep -q "hello from $3"; }
until_ok 40 fetch b "http://$(addr a):8000/" a
rss() { awk '/^VmRSS/{print $2}' "/proc/$1/status"; }
before=$(rss "$PID_a")
stream flow b "$(addr a)"

# hostile NAME HOST ARGS of hostile.py: afterwards both programs are there, and memory has not run away
hostile() {
	local name=$1 h=$2 n now; shift 2
	n=$(in_ns "$h" timeout $((each + 120)) python3 tests/netns/hostile.py "$1" "$each" "${@:2}")
	kill -0 "$PID_a" 2> /dev/null || die "containerboot is gone after garbage at $name"
	kill -0 "$CO_PID" 2> /dev/null || die "the coordinator is gone after garbage at $name"
	now=$(rss "$PID_a")
	echo "figure: $(basename "$0" .sh): $name: $n pieces of garbage in $each s, containerboot $before -> $now KiB"
	[ "$n" -gt 100 ] || die "only $n were sent"
	[ "$now" -lt $((before + 65536)) ] || die "memory grew from $before to $now KiB at $name"
}
hostile WireGuard b udp "$IP_a" 41641
moves flow || die "the stream does not move after the UDP flood"
hostile "SOCKS5 and HTTP proxy" a tcp 127.0.0.1 1055
hostile "local API" a unix "$T/a.sock"
hostile "health and metrics" a tcp 127.0.0.1 9002
in_ns a curl -sf --max-time 60 http://127.0.0.1:9002/healthz > /dev/null || die "health does not answer"
in_ns a "$BIN/containerboot" status --socket="$T/a.sock" > "$T/status" || die "the local API does not answer"
hostile "coordinator, TLS" a tcp "$IP_co" 8443
hostile "coordinator, STUN" a udp "$IP_co" 3478
hostile "coordinator, commands" co unix "$CO_DIR/state/coordinator.sock"
co_cli nodes list > /dev/null || die "the coordinator does not answer"
arrived flow
# between two arrivals, not after the last one
g=$(awk 'NR > 1 && $1 - last > max {max = $1 - last} {last = $1} END {printf "%d\n", max / 1e6}' "$T/flow.record")
echo "figure: $(basename "$0" .sh): longest silence of the stream $g ms"
[ "$g" -lt $((10000 * PATIENCE)) ] || die "the stream was silent for $g ms"
for p in "$PID_a" "$PID_b" "$CO_PID"; do
	[ "$(awk '/^Seccomp:/{print $2}' "/proc/$p/status")" = 2 ] || die "no seccomp filter in $(cat "/proc/$p/comm")"
done
for f in CapPrm CapEff CapAmb; do [ "$(awk "/^$f:/{print \$2}" "/proc/$CO_PID/status")" = 0000000000000000 ] || die "the coordinator has $f"; done
[ "$(awk '/^NoNewPrivs:/{print $2}' "/proc/$CO_PID/status")" = 1 ] || die "new privileges are possible in the coordinator"
say "alive, bounded, the stream arrived"
