#!/bin/bash
# Our WireGuard against plain wireguard-go, in namespaces of its own: a session begun by us, then one begun by the peer, with ICMP
# echo of all sizes inside; the peer's interface is a TUN device, so the kernel answers and asks.
#
#   wg_probe (10.9.0.2) -- UDP 127.0.0.1:51821 / 127.0.0.1:51820 -- wireguard-go -- wgt0 (10.9.0.1)
#
# waits: 130
set -eu
flow=${WG_FLOW_SECONDS:-125}
cd "$(dirname "$0")/.."
peers=${PEERS_DIR:-$HOME/.cache/peers}/bin
[ -x "$peers/wireguard-go" ] || { echo "peer wireguard-go is not there: run e2e/setup"; exit 77; }
[ "${1:-}" = inside ] || exec unshare -n -m bash "$0" inside
probe=${TAILPOD_BUILD:-build/gcc}/e2e/wg_probe
[ -x "$probe" ] || { echo "$probe is not built: make $probe"; exit 1; }
mount -t tmpfs tmpfs /run
ip link set lo up
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true' EXIT
LOG_LEVEL=error WG_PROCESS_FOREGROUND=1 "$peers/wireguard-go" wgt0 & pid=$!
uapi=/var/run/wireguard/wgt0.sock
for _ in $(seq 600); do
	[ -S "$uapi" ] && break
	kill -0 "$pid" || { echo "wireguard-go did not start"; exit 1; }
	sleep 0.1
done
ip addr add 10.9.0.1/24 dev wgt0
ip link set wgt0 mtu 1280 up
timeout 240 "$probe" ping "$uapi"
coproc P { timeout 240 "$probe" answer "$uapi"; }
probe_pid=$P_PID
read -r ready <&"${P[0]}"
[ "$ready" = ready ]
ping -q -c 20 -i 0.2 -s 900 10.9.0.2
cat <&"${P[0]}" || true
wait "$probe_pid"
# past a rekey; not one echo may be lost
timeout $((flow + 120)) "$probe" flow "$uapi" "$flow"
