#!/bin/bash
# Our coordinator with stock clients on TUN devices: a subnet router approved by policy, an exit node approved by command, both used
# by a stock client; netcheck and status of the stock CLI; then the coordinator restarts under checksummed streams of a stock client with
# TUN, an older one in user space and a containerboot: no byte is lost, and all come back.
. "$(dirname "$0")/lib.sh"
need_peer tailscaled tailscale tailscaled-1.80.3
coordinator
# 1.80.3 does not know certificate pins: the same certificate as files
stop "$CO_PID"
sed -i "s|^tls: .*|tls: {mode: files, certificate: $CA, key: $CO_DIR/state/tls.key}|" "$CO_DIR/config.yaml"
coordinator_start
cat > "$T/policy" <<-END
{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*", "autogroup:internet:*"]}],
 "autoApprovers": {"routes": {"10.99.0.0/16": ["test@"]}}}
END
co_cli policy set "$T/policy" > /dev/null
host r; host t; host o; host c
key=$(authkey --reusable)
in_ns r sysctl -qw net.ipv4.ip_forward=1
ip -n "tp$ID-r" addr add 10.99.0.1/24 dev lo
ip -n "tp$ID-r" addr add 203.0.113.9/32 dev lo
web r 8000 0.0.0.0
head -c 12000000 /dev/urandom > "$T/r.www/big"
sum=$(sha256sum < "$T/r.www/big")
TUN=tailscale0 tailscaled r; ts_up r "$key" --advertise-routes=10.99.0.0/24 --advertise-exit-node --snat-subnet-routes=false
TUN=tailscale0 tailscaled t; ts_up t "$key" --accept-routes
TAILSCALED=tailscaled-1.80.3 tailscaled o; ts_up o "$key"
containerboot c "$key"; ready c
ip_r=$(addr r)
page() { in_ns t curl -sf --max-time 10 "http://$1:8000/" | grep -q "hello from r"; }
until_ok 30 page "$ip_r"
until_ok 30 page 10.99.0.1
say "subnet router, approved by policy"

exits() { ts t status --json | jq -e '[.Peer[]? | select(.HostName == "r") | .ExitNodeOption] == [true]' > /dev/null; }
if exits; then die "an exit node without approval"; fi
co_cli nodes approve-routes r --routes 10.99.0.0/24,0.0.0.0/0,::/0 > /dev/null
until_ok 40 exits
if page 203.0.113.9; then die "the outside is reached without the exit node"; fi
ts t set --exit-node="$ip_r"
until_ok 30 page 203.0.113.9
ts t set --exit-node=
say "exit node, approved by command"

ts t netcheck | grep -q "Nearest DERP: Laboratory" || die "netcheck does not see our relay"
healthy() { [ "$(ts "$1" status --json | jq -c '[.BackendState, (.Health // [])]')" = '["Running",[]]' ]; }
until_ok 30 healthy t
[ "$(ts t status --json | jq '[.Peer[]? | select(.Online)] | length')" = 3 ] || die "status of t: $(ts t status)"
say "netcheck and status"

fetch() { # NAME COMMAND...: /big, slowly; its checksum
	local name=$1; shift
	"$@" -sS --max-time 300 --limit-rate 1200k "http://$ip_r:8000/big" 2> "$T/$name.err" | sha256sum > "$T/$name.sum"
}
fetch t in_ns t curl & F1=$!
fetch o in_ns o curl --proxy socks5h://127.0.0.1:1055 & F2=$!
fetch c in_ns c curl --proxy socks5h://127.0.0.1:1055 & F3=$!
sleep 3
kill -9 "$CO_PID"; wait "$CO_PID" 2> /dev/null || true
sleep 2
coordinator_start
for f in $F1 $F2 $F3; do wait "$f"; done
for h in t o c; do [ "$(cat "$T/$h.sum")" = "$sum" ] || die "the stream of $h is damaged: $(cat "$T/$h.err")"; done
online() { [ "$(co_cli nodes list -o json | jq '[.nodes[] | select(.online)] | length')" = 4 ]; }
until_ok 90 online
until_ok 40 page 10.99.0.1
say "killed and started again under three streams: no byte lost, all back"
