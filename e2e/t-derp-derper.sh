#!/bin/bash
# Our DERP client end against the real derper, over plain HTTP on loopback in a namespace of its own: handshake, packets of all
# sizes, ping, PeerGone of both kinds, mesh watching and forwarding. A probe process plays two clients and a mesh peer.
set -eu
cd "$(dirname "$0")/.."
[ "${1:-}" = inside ] || exec unshare -n bash "$0" inside
ip link set lo up
derper=${PEERS_DIR:-$HOME/.cache/peers}/bin/derper
probe=${TAILPOD_BUILD:-build/gcc}/e2e/derp_probe
[ -x "$derper" ] || { echo "no derper at $derper"; exit 1; }
[ -x "$probe" ] || { echo "$probe is not built: make $probe"; exit 1; }
dir=$(mktemp -d); pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
mesh=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
echo "$mesh" > "$dir/mesh"; chmod 600 "$dir/mesh"
# a port other than 443 and no certificates: plain HTTP
"$derper" -a 127.0.0.1:3340 -http-port -1 -stun=false -c "$dir/derper.json" -mesh-psk-file "$dir/mesh" > "$dir/log" 2>&1 & pid=$!
for _ in $(seq 600); do
	(exec 3<>/dev/tcp/127.0.0.1/3340) 2>/dev/null && break
	kill -0 "$pid" || { cat "$dir/log"; exit 1; }
	sleep 0.1
done
timeout 240 "$probe" 3340 "$mesh" || { tail -5 "$dir/log"; exit 1; }
