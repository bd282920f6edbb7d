#!/bin/bash
# The CNI plugin in chains with the reference plugins, called by cnitool, which is libcni, which is what container runtimes are: behind ptp
# and bridge, between them and portmap, tuning, sbr and bandwidth, at every version of the specification; ADD, CHECK, DEL, GC, STATUS.
. "$(dirname "$0")/../tests/netns/cni.sh"
. e2e/peers.sh
need_peer cnitool cni/ptp cni/bridge cni/host-local cni/portmap cni/tuning cni/sbr cni/bandwidth
mkdir -p $work/net.d $work/bin /var/lib/cni
mount -t tmpfs none /var/lib/cni # results of libcni, leases of host-local
cp "$bin" "$PEERS"/cni/* $work/bin/
host_up
ip -n gw route add 10.88.0.0/16 via 192.0.2.1; ip -n gw -6 route add fd00:88::/64 via fd00:1::1

ASKS='{"io.kubernetes.cri.pod-annotations":{"tailscale.com/cni":"true"}}' ASKS_NOT='{"io.kubernetes.cri.pod-annotations":{"x":"y"}}'
tool() { # VERB NETWORK POD
	timeout 120 env NETCONFPATH=$work/net.d CNI_PATH=$work/bin CNI_IFNAME=eth0 CAP_ARGS="${CAP:-$ASKS}" CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=apps;K8S_POD_NAME=$3" \
		"$PEERS/cnitool" "$1" "$2" "/run/netns/$3" 2> $work/err
}
namespace() { ip netns add "$1"; ip netns exec "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0; ip -n "$1" link set lo up; }

ipam='"ipam":{"type":"host-local","dataDir":"/var/lib/cni/networks","ranges":[[{"subnet":"10.88.0.0/24"}],[{"subnet":"fd00:88::/64"}]],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}'
ptp='{"type":"ptp","mtu":1400,'$ipam'}'
bridge='{"type":"bridge","bridge":"cni7","isGateway":true,"hairpinMode":true,'$ipam'}'
ours='{"type":"tailpod-cni","namespaces":["apps"],"failOpen":true,"capabilities":{"io.kubernetes.cri.pod-annotations":true}%s}'
portmap='{"type":"portmap","backend":"nftables","capabilities":{"portMappings":true}}'
tuning='{"type":"tuning","sysctl":{"net.core.somaxconn":"500"}}'
sbr='{"type":"sbr"}'
bandwidth='{"type":"bandwidth","egressRate":800000000,"egressBurst":8000000}'
chain() { # NETWORK VERSION PLUGIN...
	local net=$1 v=$2; shift 2
	(IFS=,; printf '{"cniVersion":"%s","name":"%s","plugins":[%s]}' "$v" "$net" "$*") > "$work/net.d/$net.conflist"
	jq -e . "$work/net.d/$net.conflist" > /dev/null
}

address() { jq -r ".ips[$1].address | sub(\"/.*\"; \"\")" "$work/$2"; }

# works NETWORK VERSION CHECKS PLUGIN...: two pods, one asks; no neighbour is disturbed, nothing leaks, nothing is left
works() {
	local net=$1 v=$2 checks=$3 n; shift 3
	chain "$net" "$v" "$@"
	for n in yes no; do
		namespace $net-$n
		CAP=$([ $n = yes ] && echo "$ASKS" || echo "$ASKS_NOT") tool add $net $net-$n > $work/$n || fail "$net $v: add: $(cat $work/$n $work/err)"
		jq -e '.ips | length == 2' $work/$n > /dev/null || fail "$net $v: the result lost its addresses: $(cat $work/$n)"
	done
	for n in yes no; do
		# from the pod's own address: sbr routes by it
		four=$(address 0 $n) six=$(address 1 $n)
		ip netns exec $net-$n ping -I $four -c1 -W2 192.0.2.254 > /dev/null || fail "$net $v: $n: the cluster's own traffic is stopped"
		ip netns exec $net-$n ping -I $six -c1 -W2 fd00:1::254 > /dev/null || fail "$net $v: $n: IPv6 of the cluster is stopped"
		ip netns exec $net-$n ping -I $four -c1 -W1 100.64.0.9 > /dev/null && fail "$net $v: $n: a packet leaked"
		ip netns exec $net-$n ping -I $six -c1 -W1 fd7a:115c:a1e0::9 > /dev/null && fail "$net $v: $n: an IPv6 packet leaked"
		at_once $net-$n 100.64.0.9 $four; at_once $net-$n fd7a:115c:a1e0::9 $six
	done
	ip -n $net-no route | grep -q 100.64 && fail "$net $v: a route in a pod that did not ask"
	if [ $net != sbr ]; then ip -n $net-yes route | grep 100.64.0.0/10 | grep -q "mtu lock 1280" || fail "$net $v: no route in the pod: $(ip -n $net-yes route)"; fi
	if [ $checks = yes ]; then
		tool check $net $net-yes > $work/out || fail "$net $v: check: $(cat $work/out $work/err)"
		CAP=$ASKS_NOT tool check $net $net-no > $work/out || fail "$net $v: check: $(cat $work/out $work/err)"
		ip rule del from "$(address 0 no)" to 100.64.0.0/10 unreachable
		CAP=$ASKS_NOT tool check $net $net-no > $work/out && fail "$net $v: check misses a guard"
		grep -q "unreachable" $work/out $work/err || fail "$net $v: check does not name the rule: $(cat $work/out $work/err)"
	fi
	for n in yes no; do
		tool del $net $net-$n > $work/out || fail "$net $v: del: $(cat $work/out $work/err)"
		tool del $net $net-$n > $work/out || fail "$net $v: del twice: $(cat $work/out $work/err)"
		ip netns del $net-$n
	done
	nothing_left "$net $v"
	echo "$net at $v: ok"
}

middle=$(printf "$ours" "")
works ptp 0.3.1 no "$ptp" "$middle" "$portmap" # CHECK came with 0.4.0
for v in 0.4.0 1.0.0 1.1.0; do works ptp $v yes "$ptp" "$middle" "$portmap"; done
works bridge 1.1.0 yes "$bridge" "$middle" "$bandwidth"
works tuning 1.0.0 yes "$bridge" "$tuning" "$middle"
# sbr moves the interface's routes to a table of its own and so breaks the CHECK of what stands before it: not asked
works sbr 1.0.0 no "$ptp" "$middle" "$sbr"

# pods of one family: guarded in that one, CHECK and DEL as ever, and nothing is made up for the other
family() { # 4|6 NETWORK PLUGIN...
	local v=$1 net=$2 n range=100.64.0.0/10 outside=192.0.2.254 inside=100.64.0.9; shift 2
	[ $v = 4 ] || { range=fd7a:115c:a1e0::/48; outside=fd00:1::254; inside=fd7a:115c:a1e0::9; }
	chain "$net" 1.0.0 "$@"
	for n in yes no; do
		namespace $net-$n
		CAP=$([ $n = yes ] && echo "$ASKS" || echo "$ASKS_NOT") tool add $net $net-$n > $work/$n || fail "$net: add: $(cat $work/$n $work/err)"
		jq -e '.ips | length == 1' $work/$n > /dev/null || fail "$net: $(cat $work/$n)"
		ip netns exec $net-$n ping -c1 -W2 $outside > /dev/null || fail "$net: $n: the cluster's own traffic is stopped"
		ip netns exec $net-$n ping -c1 -W1 $inside > /dev/null && fail "$net: $n: a packet leaked"
		at_once $net-$n $inside
	done
	ip -$v -n $net-yes route | grep $range | grep -q "mtu lock 1280" || fail "$net: no route in the pod: $(ip -$v -n $net-yes route)"
	[ -z "$(ip -$((10 - v)) -n $net-yes route | grep -e 100.64 -e fd7a)" ] || fail "$net: a route of the other family"
	{ [ $v = 4 ] && ip -6 rule || ip rule; } | grep "proto 116" | grep -q "from $(address 0 yes)" && fail "$net: a rule of the other family"
	tool check $net $net-yes > $work/out || fail "$net: check: $(cat $work/out $work/err)"
	ip -$v rule del from "$(address 0 no)" to $range unreachable
	CAP=$ASKS_NOT tool check $net $net-no > $work/out && fail "$net: check misses a guard"
	ip -$v -n $net-yes route del $range
	tool check $net $net-yes > $work/out && fail "$net: check misses the pod's route"
	for n in yes no; do tool del $net $net-$n > $work/out || fail "$net: del: $(cat $work/out $work/err)"; ip netns del $net-$n; done
	nothing_left "$net"
	echo "$net: ok"
}
single() { printf '"ipam":{"type":"host-local","dataDir":"/var/lib/cni/networks","ranges":[[{"subnet":"%s"}]],"routes":[{"dst":"%s"}]}' "$1" "$2"; }
six=$(single fd00:88::/64 ::/0) four=$(single 10.88.0.0/24 0.0.0.0/0)
family 6 ptp6 '{"type":"ptp",'"$six"'}' "$middle" "$portmap"
family 6 bridge6 '{"type":"bridge","bridge":"cni7","isGateway":true,'"$six"'}' "$middle"
family 4 ptp4 '{"type":"ptp",'"$four"'}' "$middle"

# named in the result, our routes are looked for by the neighbours' CHECK too
works result 1.1.0 yes "$ptp" "$(printf "$ours" ',"resultRoutes":true')" "$portmap"

# a namespace that died before DEL; GC ends what is not valid, and STATUS says why a node cannot serve
chain gc 1.1.0 "$ptp" "$middle"
for n in 1 2; do namespace gc$n; tool add gc gc$n > $work/out || fail "gc: add: $(cat $work/out $work/err)"; done
ip netns del gc1
before=$(rules)
tool gc gc gc2 > $work/out || fail "gc: $(cat $work/out $work/err)"
[ "$before" -gt 0 ] || fail "no rules to collect"
nothing_left gc
ip netns del gc2
tool status gc x > $work/out || fail "status: $(cat $work/out $work/err)"
chain away 1.1.0 "$ptp" "$(printf "$ours" ',"statusAffectsNode":true' | sed 's/"failOpen":true/"failOpen":false/')"
tool status away x > $work/out && fail "STATUS without an agent"
grep -q "node agent" $work/out $work/err || fail "status: $(cat $work/out $work/err)"
# first in the list there is no address to guard: refused, not left open
chain first 1.0.0 "$middle" "$ptp"
namespace first
tool add first first > $work/out && fail "ADD without prevResult"
grep -q prevResult $work/out $work/err || fail "first: $(cat $work/out $work/err)"
tool del first first > $work/out || fail "first: del: $(cat $work/out $work/err)"
nothing_left first
echo passed
