# cni.sh - sourced by t-cni-*.sh: a host with a gateway and pods, in namespaces of our own
#
#   [pod: eth0 10.77.0.2/32, fd00:77::2] --- [host: cable0] [host: lan0 192.0.2.1] --- [gw: 192.0.2.254, "the internet"]
#
# The host forwards and its default route leads to gw, which owns every address of the tailnet's ranges: what
# gets there has leaked. CNI's caller is played by hand: environment and stdin.

bin=${CNI_BIN:-$PWD/build/bin/tailpod-cni}
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
if [ -z "${CNI_INSIDE:-}" ]; then
	CNI_INSIDE=1 exec unshare --mount --net --propagation private bash "$0" "$@"
fi
set -eu
mount -t tmpfs none /run
mkdir -p /run/netns
work=/run/work; mkdir -p $work
trap 'rc=$?; for n in $(ip netns list 2>/dev/null | cut -d" " -f1); do ip netns del $n || true; done; exit $rc' EXIT

fail() { echo "FAILED: $*"; ip rule; ip -6 rule; exit 1; }
quiet_sysctl() { sysctl -qw "$@"; }

host_up() {
	quiet_sysctl net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 # no waiting for neighbours
	ip link set lo up
	quiet_sysctl net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	ip netns add gw; ip netns exec gw sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
	ip link add lan0 type veth peer name lan0 netns gw
	ip addr add 192.0.2.1/24 dev lan0; ip -6 addr add fd00:1::1/64 dev lan0 nodad; ip link set lan0 up
	ip -n gw link set lo up; ip -n gw link set lan0 up
	ip -n gw addr add 192.0.2.254/24 dev lan0; ip -n gw -6 addr add fd00:1::254/64 dev lan0 nodad
	ip -n gw addr add 100.64.0.9/32 dev lo; ip -n gw -6 addr add fd7a:115c:a1e0::9/128 dev lo nodad
	ip -n gw route add default via 192.0.2.1; ip -n gw -6 route add default via fd00:1::1
	ip route add default via 192.0.2.254; ip -6 route add default via fd00:1::254
}

# pod NUMBER: namespace podN, host's end cableN, 10.77.0.N and fd00:77::N
pod() {
	local n=$1 hex; hex=$(printf %x "$n")
	ip netns add pod$n; ip netns exec pod$n sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
	ip link add cable$n type veth peer name eth0 netns pod$n
	ip link set cable$n up; ip -n pod$n link set lo up; ip -n pod$n link set eth0 up
	quiet_sysctl net.ipv4.conf.cable$n.rp_filter=1 # as Calico's hosts have it
	ip addr add 10.77.255.254/32 dev cable$n; ip -6 addr add fe80::1/64 dev cable$n nodad
	ip route add 10.77.0.$n/32 dev cable$n; ip -6 route add fd00:77::$hex/128 dev cable$n
	ip -n pod$n addr add 10.77.0.$n/32 dev eth0; ip -n pod$n -6 addr add fd00:77::$hex/128 dev eth0 nodad
	ip -n pod$n route add 10.77.255.254 dev eth0; ip -n pod$n route add default via 10.77.255.254 dev eth0
	ip -n pod$n -6 route add default via fe80::1 dev eth0
}

prev() { # NUMBER [VERSION]: what the main plugin would have said
	local n=$1 v=${2:-1.0.0} hex; hex=$(printf %x "$n")
	printf '{"cniVersion":"%s","interfaces":[{"name":"cable%d","mac":"aa:bb:cc:dd:ee:ff"},{"name":"eth0","sandbox":"/run/netns/pod%d"}],"ips":[{"interface":1,"address":"10.77.0.%d/32","gateway":"10.77.255.254"},{"interface":1,"address":"fd00:77::%s/128"}],"routes":[{"dst":"0.0.0.0/0"}],"dns":{},"x-kept":[1, 2.50,"\\u00e9"]}' \
		"$v" "$n" "$n" "$n" "$hex"
}

# conf NUMBER ASKS [EXTRA [VERSION]]: stdin of the plugin; ASKS: the annotation's value, "" none; EXTRA: more members, with a comma in front
conf() {
	local n=$1 asks=$2 extra=${3:-} v=${4:-1.0.0} rc=
	[ -z "$asks" ] || rc=',"runtimeConfig":{"io.kubernetes.cri.pod-annotations":{"other":"x","tailscale.com/cni":"'$asks'"}}'
	printf '{"cniVersion":"%s","name":"net","type":"tailpod-cni","namespaces":["apps"]%s%s,"prevResult":%s}' "$v" "$rc" "$extra" "$(prev "$n" "$v")"
}

# cni VERB NUMBER < stdin: the answer on stdout; NS names another pod namespace, CID another container
cni() {
	CNI_COMMAND=$1 CNI_CONTAINERID=${CID:-c$2} CNI_NETNS=${NETNS-/run/netns/pod$2} CNI_IFNAME=eth0 CNI_PATH=/opt/cni/bin \
	CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=${NS:-apps};K8S_POD_NAME=web" "$bin"
}

rules() { { ip rule; ip -6 rule; } | grep -c "proto 116" || true; }
refusals() { nft list tables | grep -c tailpod_refuse || true; }
at_once() { ip netns exec "$1" python3 "${BASH_SOURCE%/*}/at-once.py" 50 "${@:2}" > $work/at-once || fail "$1 is not refused at once"; } # POD TO [FROM]
nothing_left() { [ "$(rules)" = 0 ] || fail "$1: rules are left"; [ "$(refusals)" = 0 ] || fail "$1: a table is left"; [ -z "$(find /run/tailpod/cni -type f 2>/dev/null)" ] || fail "$1: files are left: $(find /run/tailpod/cni -type f)"; }
echos() { ip netns exec $1 awk '/^Icmp:/ && $2 ~ /[0-9]/ { print $9 }' /proc/net/snmp; } # echo requests that arrived
code() { jq -r .code; }
OPEN=',"failOpen":true'
