#!/bin/bash
# A subnet router and an exit node without privileges: a network behind our node, reached from a stock node with a device,
# a stock node in user space and from ours, by IPv4, IPv6 and 4via6; TCP, UDP and ping; nothing before control approves it,
# nothing beside it. And the other way: ours uses a stock router, and an exit node.
. "$(dirname "$0")/lib.sh"
headscale --fast
host a; host b; host c; host r; host d
net() { in_ns "$1" ip addr add "10.50.0.$2/24" dev eth0; in_ns "$1" ip addr add "fd50::$2/64" dev eth0 nodad; in_ns "$1" ip addr add "198.51.100.$2/24" dev eth0; }
net a 1; net r 2
in_ns a sysctl -qw net.ipv4.ping_group_range="0 2147483647"
key=$(authkey --reusable)
web r 8000 ::
head -c $((32 << 20)) /dev/urandom > "$T/r.www/big"
sum=$(sha256sum < "$T/r.www/big")
echo 'import socket
s=socket.socket(socket.AF_INET6,socket.SOCK_DGRAM); s.bind(("::",5300))
while 1:
    d,a=s.recvfrom(65535); s.sendto(b"echo "+d,a)' > "$T/echo.py"
start r echo python3 "$T/echo.py"
ask() { in_ns b python3 -c 'import socket,sys
s=socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(2); s.sendto(b"hi",(sys.argv[1],5300)); sys.exit(s.recv(99)!=b"echo hi")' "$1"; }
node_id() { hs_cli nodes list -o json | jq --arg n "$1" '.[] | select(.name == $n) | .id'; }
available() { hs_cli nodes list-routes -o json | jq -r --arg n "$1" '.[] | select(.name == $n) | (.available_routes // []) | join(",")'; }
curl_in() { case $1 in b) in_ns b curl -sS --noproxy '*' --max-time "${3:-20}" "$2" ;; *) via "$1" "$2" --max-time "${3:-20}" ;; esac; }
page() { curl_in "$@" | grep -q "hello from r"; }

containerboot a "$key" TS_ROUTES=10.50.0.0/24,fd50::/64,fd7a:115c:a1e0:b1a:0:7:a32:0/120
ready a
TUN=tailscale0 tailscaled b; ts_up b "$key" --accept-routes
containerboot c "$key" TS_ACCEPT_ROUTES=true
ready c
until_ok 40 eval '[ -n "$(available a)" ]'
until_ok 40 ts b ping -c 1 a
! page b http://10.50.0.2:8000/ 2 2> /dev/null || die "a route is served before control has approved it"
hs_cli nodes approve-routes -i "$(node_id a)" -r 10.50.0.0/24,fd50::/64,fd7a:115c:a1e0:b1a:0:7:a32:0/120 > /dev/null
until_ok 40 page b http://10.50.0.2:8000/
until_ok 30 page b "http://[fd50::2]:8000/"
until_ok 30 page b "http://[fd7a:115c:a1e0:b1a:0:7:a32:2]:8000/"
until_ok 40 page c http://10.50.0.2:8000/
until_ok 30 page c "http://[fd50::2]:8000/"
say "TCP to the network behind: by IPv4, IPv6, 4via6; from stock and from ours"
[ "$(curl_in b http://10.50.0.2:8000/big 120 | sha256sum)" = "$sum" ] || die "32 MiB damaged"
rc=0; in_ns b curl -s --max-time 60 http://10.50.0.2:81/ || rc=$?
[ "$rc" = 7 ] || die "a refused port gives curl code $rc"
until_ok 10 ask 10.50.0.2; until_ok 10 ask fd50::2
until_ok 30 in_ns b ping -c 1 -W 2 10.50.0.2
until_ok 30 in_ns b ping -6 -c 1 -W 2 fd50::2
! in_ns b ping -c 1 -W 1 10.50.0.99 > /dev/null || die "somebody who is not there answers"
# that unanswered one holds its place for five seconds; those behind it go round (256 places)
in_ns b ping -q -c 400 -i 0.005 -W 2 10.50.0.2 > "$T/pings" || true
[ "$(sed -n 's/.* \([0-9]*\) received.*/\1/p' "$T/pings")" -ge 300 ] || die "pings behind an unanswered one: $(cat "$T/pings")"
until_ok 30 eval 'in_ns a curl -s http://127.0.0.1:9002/metrics | grep -q "^tailscaled_advertised_routes 3"'
say "32 MiB intact; refused is refused; UDP and ping by both families"
kill -TERM "$PID_a"; rc=0; wait "$PID_a" || rc=$?; [ "$rc" = 0 ] || die "exit code $rc"

# a wish in the environment is the whole wish: an empty one withdraws
containerboot a "$key" TS_ROUTES= TS_EXTRA_ARGS=--advertise-exit-node
ready a
until_ok 40 eval '[ "$(available a)" = "0.0.0.0/0,::/0" ]'
hs_cli nodes approve-routes -i "$(node_id a)" -r 0.0.0.0/0,::/0 > /dev/null
tailscaled d
ts_up d "$key" --exit-node="$(addr a)"
until_ok 40 page d http://198.51.100.2:8000/
! page d http://10.50.0.2:8000/ 2 2> /dev/null || die "an exit node leads to a private network"
! page d "http://$IP_a:9002/healthz" 2 2> /dev/null || die "an exit node leads to its host"
say "an exit node leads to public addresses, and to no other"

# ours as a client of an exit node; c could get there by itself
kill -TERM "$PID_c"; wait "$PID_c" || true
net c 3
in_ns c ip route add blackhole 198.51.100.2/32
containerboot c "$key" TS_EXIT_NODE=a
ready c
until_ok 40 page c http://198.51.100.2:8000/
in_ns c ip route del blackhole 198.51.100.2/32
kill -TERM "$PID_a"; wait "$PID_a" || true
hs_cli nodes delete --force -i "$(node_id a)" > /dev/null
until_ok 40 eval '! page c http://198.51.100.2:8000/ 2 2> /dev/null'
until_ok 30 in_ns c curl -s --max-time 5 -o /dev/null http://198.51.100.2:8000/ # by itself it would
say "ours uses an exit node, and nothing leaks when it is gone"
