#!/bin/bash
# A node agent on Headscale and pods on its host: an opted-in pod fetches a page from a stock tailscaled by IPv4 and IPv6, another
# pod is refused at once, each of fifty times: before there is an agent, with it, without the tailnet; the agent dies and all pods are
# refused at once, it comes back and a stream with a checksum goes on; a pod that started while it was away gets the tailnet; nothing
# of a pod's remains. Of two routes of a subnet router the pods have the one that the administrator named. The CNI caller is played by
# hand.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
[ -c /dev/net/tun ] || { echo "needs /dev/net/tun"; exit 77; }
headscale
host a; host b
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"
web b 8000
mkdir -p "$T/a.www"; big 64

# pod N [ANNOTATION]: a namespace behind host a, and the configuration that the runtime would send
pod() {
	local n=$1 ns=tp$ID-pod$1 hex; hex=$(printf %x "$1")
	ip netns add "$ns"; NS+=("$ns")
	ip -n "tp$ID-a" link add "cable$n" type veth peer name eth0 netns "$ns"
	ip -n "tp$ID-a" link set "cable$n" up; ip -n "$ns" link set lo up
	ip netns exec "$ns" sysctl -qw net.ipv6.conf.eth0.accept_dad=0; ip -n "$ns" link set eth0 up
	if [ -z "${ONLY6:-}" ]; then
		ip -n "tp$ID-a" addr add 10.66.255.254/32 dev "cable$n"; ip -n "tp$ID-a" route add "10.66.0.$n/32" dev "cable$n"
		ip -n "$ns" addr add "10.66.0.$n/32" dev eth0
		ip -n "$ns" route add 10.66.255.254 dev eth0; ip -n "$ns" route add default via 10.66.255.254 dev eth0
	fi
	ip -n "tp$ID-a" -6 addr add fe80::1/64 dev "cable$n" nodad
	ip -n "tp$ID-a" -6 route add "fd00:66::$hex/128" dev "cable$n"
	ip -n "$ns" -6 addr add "fd00:66::$hex/128" dev eth0 nodad
	ip -n "$ns" -6 route add default via fe80::1 dev eth0
	cat > "$T/pod$n.json" <<-END
	{"cniVersion":"1.1.0","name":"lab","subnets":["10.50.0.0/16"],"type":"tailpod-cni","namespaces":["apps"],"socket":"$T/cni.sock","stateDir":"$T/cni","failOpen":${OPEN:-false},"statusAffectsNode":true,
	 "runtimeConfig":{"io.kubernetes.cri.pod-annotations":{"x":"y","tailscale.com/cni":"${2:-}"}},
	 "prevResult":{"cniVersion":"1.1.0","interfaces":[{"name":"cable$n"},{"name":"eth0","sandbox":"/run/netns/$ns"}],
	  "ips":[$([ -n "${ONLY6:-}" ] || echo "{\"interface\":1,\"address\":\"10.66.0.$n/32\",\"gateway\":\"10.66.255.254\"},"){"interface":1,"address":"fd00:66::$hex/128"}]}}
	END
}
cni() { in_ns a env CNI_COMMAND=$1 CNI_CONTAINERID=c$2 CNI_NETNS=/run/netns/tp$ID-pod$2 CNI_IFNAME=eth0 CNI_PATH=/ CNI_ARGS="K8S_POD_NAMESPACE=${POD_NS:-apps};K8S_POD_NAME=web$2" "$BIN/tailpod-cni" < "$T/pod$2.json"; }
agent() { containerboot a "${1:-}" "${@:2}" TS_SOCKS5_SERVER= TS_OUTBOUND_HTTP_PROXY_LISTEN= TS_CNI_AGENT_SOCKET="$T/cni.sock" TS_CNI_STATE_DIR="$T/cni" TS_CNI_SUBNETS="${SUBNETS-10.50.0.0/16}"; }
from_pod() { local n=$1; shift; in_ns "pod$n" curl -sS --max-time "${LIMIT:-20}" "$@"; }
refused() { # by the guard: curl cannot connect (7); a leak or a loss would end by time-out (28)
	local s rc=0
	s=$(date +%s%N)
	LIMIT=60 from_pod "$@" > "$T/refused" 2>&1 || rc=$?
	[ $rc = 7 ] || { echo "curl ends with $rc"; cat "$T/refused"; return 1; }
	say "refused after $((($(date +%s%N) - s) / 1000000)) ms: $(tail -n 1 "$T/refused")"
}
at_once() { # POD...: refused by a reset, each time, in both families
	local n ip
	for n; do for ip in "$ip_b" "$ip6_b"; do in_ns "pod$n" python3 tests/netns/at-once.py 50 "$ip" || die "pod $n is not refused at once"; done; done
}
until_state() { until_ok "$1" eval 'cni STATUS 2 > /dev/null'; }
in_ns a sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
pod 2 true; pod 3; pod 4 routes; pod 5 true

cni STATUS 2 > "$T/out" && die "STATUS without an agent"
[ "$(jq .code "$T/out")" = 50 ] || die "STATUS: $(cat "$T/out")"
ip_b=$(addr b); ip6_b=$(addr6 b)
cni ADD 3 > "$T/out" || die "ADD: $(cat "$T/out")"
at_once 3
agent "$key"
until_state 30
say "the agent runs"
cni ADD 2 > "$T/out" || die "ADD: $(cat "$T/out")"
cni CHECK 2 > "$T/out" || die "CHECK: $(cat "$T/out")"
until_ok 40 eval 'from_pod 2 "http://$ip_b:8000/" | grep -q "hello from b"'
say "IPv4"
until_ok 40 eval 'from_pod 2 "http://[$ip6_b]:8000/" | grep -q "hello from b"'
say "IPv6"
# a pod of IPv6 alone has the tailnet's IPv6 and nothing of the other family
ONLY6=yes pod 7 true
cni ADD 7 > "$T/out" || die "ADD: $(cat "$T/out")"
until_ok 40 eval 'from_pod 7 "http://[$ip6_b]:8000/" | grep -q "hello from b"'
[ -z "$(in_ns a ip rule | grep 'from 10.66.0.7')$(ip -n "tp$ID-pod7" -4 route)" ] || die "something of IPv4 for a pod of IPv6"
cni DEL 7 > "$T/out" || die "DEL: $(cat "$T/out")"
say "a pod of IPv6 alone"
# by name: the pod's resolver is the agent's, over UDP and TCP; a pod that did not ask has none
for n in 2 3; do
	mkdir -p "/etc/netns/tp$ID-pod$n"; printf 'nameserver 100.100.100.100\noptions timeout:2 attempts:2\n' > "/etc/netns/tp$ID-pod$n/resolv.conf"
done
until_ok 40 eval 'from_pod 2 "http://b.tail.test:8000/" | grep -q "hello from b"'
echo 'options use-vc' >> "/etc/netns/tp$ID-pod2/resolv.conf"
from_pod 2 "http://b.tail.test:8000/" | grep -q "hello from b" || die "by name over TCP"
LIMIT=15 from_pod 3 "http://b.tail.test:8000/" > "$T/refused" 2>&1 && die "a pod that did not ask resolves names"
say "by name"
refused 3 "http://$ip_b:8000/"; refused 3 "http://[$ip6_b]:8000/"; at_once 3
[ "$(from_pod 2 "http://$ip_b:8000/big" | sha256sum)" = "$sum" ] || die "a download is damaged"
say "64 MiB into the pod"

# what lies behind a subnet router: b's 10.50.1.0/24 and 10.51.0.0/24 are approved; within 10.50.0.0/16, which the administrator named,
# opted-in pods reach it, others are refused; the other route leads nowhere, not even for the machine
for ip in 10.50.1.1 10.51.0.1; do
	in_ns b ip addr add $ip/32 dev lo
	start b "web-$ip" python3 -m http.server --bind $ip --directory "$T/b.www" 8001
	until_ok 60 in_ns b curl -sf http://$ip:8001/
done
ts b set --advertise-routes=10.50.1.0/24,10.51.0.0/24
id_b=$(hs_cli nodes list -o json | jq -r '.[] | select(.name == "b") | .id')
asked() { hs_cli nodes list-routes -o json | jq -e --argjson i "$id_b" 'any(.[]; .id == $i and (.available_routes | length) == 2)'; }
until_ok 30 asked
hs_cli nodes approve-routes -i "$id_b" -r 10.50.1.0/24,10.51.0.0/24 > /dev/null
until_ok 40 eval 'from_pod 2 http://10.50.1.1:8001/ | grep -q "hello from b"'
refused 3 http://10.50.1.1:8001/
ip -n "tp$ID-pod2" route | grep 10.50.0.0/16 | grep -q "mtu lock 1280" || die "no route to the subnet in the pod: $(ip -n "tp$ID-pod2" route)"
in_ns a ip route show table 5252 | grep -q '^10.50.0.0/16 dev tailpod0' || die "no route of the subnet: $(in_ns a ip route show table 5252)"
[ -z "$(in_ns a ip route show table 5252 | grep '^10.51')" ] || die "a route that nobody named"
in_ns a ip route add 10.51.0.1/32 dev tailpod0 # the machine's own mistake: the node still sends nothing there
rc=0; in_ns a curl -s --max-time 5 -o /dev/null http://10.51.0.1:8001/ || rc=$?
[ $rc != 0 ] || die "a route of a peer is taken that the administrator did not name"
in_ns a ip route del 10.51.0.1/32
say "a subnet that the administrator named, and no other"

# logged in but not on the tailnet: the node says so, pods are refused, and new ones wait
ts a down > /dev/null
away() { cni STATUS 2 > "$T/out" && return 1; [ "$(jq .code "$T/out")" = 51 ]; }
until_ok 40 away
refused 2 "http://$ip_b:8000/"; at_once 2 3
cni ADD 5 > "$T/out" 2> "$T/err" && die "ADD of an asking pod without the tailnet"
[ "$(jq .code "$T/out")" = 11 ] || die "not 11: $(cat "$T/out")"
ts a up > /dev/null
until_state 30
until_ok 40 eval 'from_pod 2 "http://$ip_b:8000/" | grep -q "hello from b"'
say "down and up again"

# whatever comes over the socket, the agent answers the next caller
in_ns a python3 - "$T/cni.sock" <<'P'
import random, socket, sys
seed = b'{"version":1,"op":"add","network":"k8s","container":"x","ifname":"eth0","pod":"apps/web","uid":"u"}\n'
bits = [b'"', b'{', b'}', b'[', b']', b'\\u0000', b'\xff', b'null', b'-1', b'1e999', b'\n', b'\0']
r = random.Random(1)
answers = 0
for i in range(400):
    d = bytearray(seed)
    for _ in range(r.randint(1, 4)):
        k = r.randrange(len(d))
        w = r.randrange(3)
        if w == 0: d[k] = r.randrange(256)
        elif w == 1: del d[k:k + r.randint(1, 40)]; d += b'\n'
        else: d[k:k] = r.choice(bits) * r.randint(1, 300)
    s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(sys.argv[1])
    try:
        s.sendall(d)
        if r.randrange(4) == 0: s.shutdown(socket.SHUT_WR)
        if b'\n' in d or len(d) > 2048: answers += s.recv(100).startswith(b'{"verdict"')
    except OSError: pass
    s.close()
assert 20 < answers < 400, answers
P
kill -0 "$PID_a" || die "the agent died of it"
cni STATUS 2 > "$T/out" || die "STATUS: $(cat "$T/out")"

# a stream survives the agent's death; while it is away new connections are refused and nothing leaks
start pod2 stream curl -sS --limit-rate 4M --max-time 600 -o "$T/stream.got" "http://$ip_b:8000/big"; stream=$PID
until_ok 40 test -s "$T/stream.got"
kill -9 "$PID_a"; wait "$PID_a" 2> /dev/null || true
refused 2 "http://$ip_b:8000/"; refused 2 "http://[$ip6_b]:8000/"
OPEN=true pod 6 true
cni ADD 6 > "$T/out" 2> "$T/err" || die "failOpen: $(cat "$T/out")"
refused 6 "http://$ip_b:8000/"; at_once 2 3 6
in_ns a nft delete table inet tailpod_refuse # by hand, or with a reload of somebody's rules: the agent puts it back
cni ADD 5 > "$T/out" 2> "$T/err" && die "ADD of an asking pod without an agent"
[ "$(jq .code "$T/out")" = 11 ] || die "not 11: $(cat "$T/out")"
SUBNETS= agent
until_state 30
[ -z "$(in_ns a ip route show table 5252 | grep '^10.50')" ] || die "a subnet that is named no more stays routed"
say "the agent is back"
at_once 3
rc=0; wait "$stream" || rc=$?
[ $rc = 0 ] && [ "$(sha256sum < "$T/stream.got")" = "$sum" ] || die "the stream broke: curl $rc, $(cat "$T/stream.log")"
say "the stream went on"
until_ok 40 eval 'from_pod 6 "http://$ip_b:8000/" | grep -q "hello from b"'
say "the pod that started meanwhile has the tailnet"
in_ns a curl -sf http://127.0.0.1:9002/metrics > "$T/metrics"
grep -q '^tailpod_cni_attachments_granted 2$' "$T/metrics" || die "metrics: $(grep tailpod_cni "$T/metrics")"

# the plugin is taken off the machine: the agent's last end leaves nothing
kill -TERM "$PID_a"; wait "$PID_a" || true
agent "" TS_CNI_REMOVE_ON_EXIT=true TS_LOGOUT_ON_EXIT=true
until_state 30
kill -TERM "$PID_a"; rc=0; wait "$PID_a" || rc=$?
[ "$rc" = 0 ] || die "exit code $rc"
never_there() { ! "$@" > /dev/null 2>&1 || die "still there: $*"; }
all_gone() { # DIRECTORY... without a file
	[ -z "$({ in_ns a ip rule; in_ns a ip -6 rule; } | grep 'proto 116')" ] || die "rules are left"
	[ -z "$(in_ns a ip route show table 5252; in_ns a ip -6 route show table 5252)" ] || die "routes are left"
	never_there in_ns a ip link show tailpod0
	[ -z "$(in_ns a nft list tables | grep tailpod)" ] || die "a table is left"
	[ -z "$(find "$@" -type f -o -type s)" ] || die "files are left: $(find "$@" -type f -o -type s)"
}
all_gone "$T/cni" "$T/a.state"
say "removed"

for n in 2 3 5 6; do cni DEL $n > "$T/out" || die "DEL: $(cat "$T/out")"; done
all_gone "$T/cni"

# and with an agent that died: the installer's last end
agent "$key"
until_state 30
cni ADD 2 > "$T/out" || die "ADD: $(cat "$T/out")"
until_ok 40 eval 'from_pod 2 "http://$ip_b:8000/" | grep -q "hello from b"'
mkdir -p "$T/bin" "$T/net" "$T/run"
echo '{"cniVersion":"1.0.0","name":"k8s","plugins":[{"type":"ptp"}]}' > "$T/net/10-owner.conflist"
start a install "$BIN/tailpod-cni" watch --bin-dir "$T/bin" --net-dir "$T/net" --end-file "$T/said" --device tailpod0 --run-dir "$T/run" --state-dir "$T/a.state"
installer=$PID
until_ok 30 test -e "$T/net/00-00-tailpod.conflist"
kill -9 "$PID_a"; wait "$PID_a" 2> /dev/null || true
for _ in $(seq 20); do refused 2 "http://$ip_b:8000/"; done > "$T/refusals" # more than ICMP's rate limit lets out
in_ns a nft flush chain inet tailpod-tailpod0 guard # where the kernel has no such guard, the device's loss of its carrier is one
in_ns a sysctl -qw net.ipv4.conf.tailpod0.ignore_routes_with_linkdown=1 net.ipv6.conf.tailpod0.ignore_routes_with_linkdown=1
refused 2 "http://$ip_b:8000/"; refused 2 "http://[$ip6_b]:8000/"
mv "$T/cni" "$T/cni.sock" "$T/run/" # the agent's and the plugin's files in one directory, as the chart has them
in_ns a ip link show tailpod0 > /dev/null || die "the device does not outlive the agent"
echo remove > "$T/said"
kill -TERM "$installer"; rc=0; wait "$installer" || rc=$?
[ "$rc" = 0 ] || die "exit code $rc: $(cat "$T/install.log")"
all_gone "$T/run" "$T/a.state" "$T/bin"
[ "$(ls "$T/net")" = 10-owner.conflist ] || die "the list stays"
say "removed without the agent"
echo passed
