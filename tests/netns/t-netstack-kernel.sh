#!/bin/bash
# t-netstack-kernel.sh - lib/netstack against the kernel's TCP over a TUN device
#
#   [kernel: tun0 10.88.0.1, fd00:88::1] --- [netstack_tun: 10.88.0.2, fd00:88::2]
driver=${NETSTACK_TUN:-$PWD/build/gcc/tests/netns/netstack_tun} peer="$(dirname "$0")/netstack-peer.py"
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
[ -c /dev/net/tun ] || { echo "needs /dev/net/tun"; exit 77; }
[ -x "$driver" ] || { echo "not built: $driver (make check-netns)"; exit 1; }
if [ -z "${INSIDE:-}" ]; then
	INSIDE=1 exec unshare --net bash "$0" "$@"
fi
set -eu
work=$(mktemp -d)
trap 'rc=$?; stop; rm -rf "$work"; exit $rc' EXIT
fail() { echo "FAILED: $*"; [ ! -s "$work/log" ] || cat "$work/log"; exit 1; }
pid=
stop() { [ -z "$pid" ] || { exec 9>&- || true; wait $pid || true; pid=; }; }

ip link set lo up
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
ip tuntap add tun0 mode tun
ip addr add 10.88.0.1/24 dev tun0; ip addr add fd00:88::1/64 dev tun0 nodad
ip link set tun0 mtu 1280 txqueuelen 1000 up

# start LOST LATE [ADDR:PORT ...]: our end, until stop
start() {
	mkfifo "$work/in"
	"$driver" tun0 10.88.0.2 fd00:88::2 "$@" < "$work/in" > "$work/log" 2>&1 & pid=$!
	exec 9> "$work/in"; rm "$work/in"
	for _ in $(seq 600); do carries && break; kill -0 $pid 2> /dev/null || fail "the driver ended"; sleep 0.05; done
}
carries() { [ "$(cat /sys/class/net/tun0/carrier 2> /dev/null)" = 1 ] || ip -br link show tun0 | grep -q LOWER_UP; }
told() { for _ in $(seq 600); do ! grep -q "$1" "$work/log" || return 0; sleep 0.05; done; return 1; }
call() { local r; r=$(timeout 200 python3 "$peer" "${@:2}" 2>&1) || fail "$1: $r"; [ -z "$r" ] || echo "figure: $1: $r"; }

big=$((100 << 20))
start 0 0
for a in 10.88.0.2 fd00:88::2; do
	ping -c3 -i0.2 -W2 $a > /dev/null || fail "ping $a"
	ping -c2 -i0.2 -W2 -s 8000 $a > /dev/null || fail "ping of 8000 bytes to $a (reassembly)"
	call "refused $a" refused $a
	call "reset $a" reset $a
	call "udp $a" udp $a
	call "echo $a, 100 MB" call $a $big
	call "echo $a, nothing" call $a 0
	call "echo $a, one byte" call $a 1
done
for s in "tcp_sack=0" "tcp_timestamps=0" "tcp_window_scaling=0" "tcp_sack=0 net.ipv4.tcp_timestamps=0 net.ipv4.tcp_window_scaling=0"; do
	sysctl -qw net.ipv4.$s
	call "echo with ${s//net.ipv4./}, 20 MB" call 10.88.0.2 $((20 << 20))
	sysctl -qw net.ipv4.tcp_sack=1 net.ipv4.tcp_timestamps=1 net.ipv4.tcp_window_scaling=1
done
stop

# the other way round: we connect
for a in 10.88.0.1 fd00:88::1; do
	python3 "$peer" serve $a $big > "$work/served" 2>&1 & server=$!
	for _ in $(seq 600); do grep -q ready "$work/served" && break; sleep 0.1; done
	case $a in *:*) to="[$a]" ;; *) to=$a ;; esac
	start 0 0 $to:4000 $to:4001
	wait $server || fail "we connect to $a: $(cat "$work/served")"
	echo "figure: we connect to $a, 100 MB: $(tail -n1 "$work/served")"
	told "ended refused" || fail "a refused connect was not told"
	told "ended done" || fail "the connection did not end in order"
	stop
done

# loss and overtaking on the way, both directions
for cc in cubic bbr; do
	NETSTACK_CC=$cc start 10 0; call "echo, $cc, 1 % loss, 20 MB" call 10.88.0.2 $((20 << 20)); stop
	NETSTACK_CC=$cc start 0 20; call "echo, $cc, 2 % late, 20 MB" call fd00:88::2 $((20 << 20)); stop
	NETSTACK_CC=$cc start 20 20; call "echo, $cc, 2 % loss and 2 % late, 20 MB" call 10.88.0.2 $((20 << 20)); stop
done
sysctl -qw net.ipv4.tcp_sack=0 net.ipv4.tcp_timestamps=0
start 10 0; call "echo without SACK and timestamps, 1 % loss, 5 MB" call 10.88.0.2 $((5 << 20)); stop
echo "netstack and the kernel understand one another"
