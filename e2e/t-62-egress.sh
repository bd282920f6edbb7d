#!/bin/bash
# A pod's ports forwarded to a tailnet target: TCP and UDP, by address and by name; a name follows the netmap; a refused
# connection is reset; without ports the program says so.
. "$(dirname "$0")/lib.sh"
headscale
host a; host b; host c; host d
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"; web b 8000
tailscaled d; ts_up d "$key"; web d 8000
page() { in_ns c curl -sS --max-time 60 "http://$IP_a:$1/" | grep -q "hello from $2"; }

start a refused env TS_STATE_DIR="$T/x" TS_TAILNET_TARGET_IP=100.64.0.1 "$BIN/containerboot"
rc=0; wait "$PID" || rc=$?
[ "$rc" = 1 ] && grep -q "TS_TAILNET_TARGET_PORTS" "$T/refused.log" || die "no ports: code $rc"

echo 'import socket
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(("127.0.0.1",5300))
while 1:
    d,a=s.recvfrom(65535); s.sendto(b"echo "+d,a)' > "$T/echo.py"
start b echo python3 "$T/echo.py"
ask() { in_ns c python3 -c 'import socket,sys
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(5); s.sendto(b"hi",(sys.argv[1],5300)); sys.exit(s.recv(99)!=b"echo hi")' "$IP_a"; }

ip_b=$(addr b)
containerboot a "$key" TS_TAILNET_TARGET_IP="$ip_b" TS_TAILNET_TARGET_PORTS=8000,8080:8000,81/tcp,5300/udp
ready a
until_ok 40 page 8000 b
until_ok 30 page 8080 b
until_ok 30 ask
head -c $((16 << 20)) /dev/urandom > "$T/b.www/big"
[ "$(in_ns c curl -sS --max-time 60 "http://$IP_a:8000/big" | sha256sum)" = "$(sha256sum < "$T/b.www/big")" ] || die "16 MiB damaged"
rc=0; in_ns c curl -s --max-time 60 "http://$IP_a:81/" || rc=$?
# the reset may come before curl looks at its connection
[ "$rc" = 56 ] || [ "$rc" = 52 ] || [ "$rc" = 7 ] || die "a refused port gives curl code $rc, not a reset"
say "by address: TCP, another port, UDP; 16 MiB intact; refused is reset"
kill -TERM "$PID_a"; rc=0; wait "$PID_a" || rc=$?; [ "$rc" = 0 ] || die "exit code $rc"

# inbound by name: of /etc/hosts here; a name without an address refuses
web a 8001
containerboot a "$key" TS_EXPERIMENTAL_DEST_DNS_NAME=localhost
ready a
until_ok 40 eval 'via b "http://$(addr a):8001/" | grep -q "hello from a"'
kill -TERM "$PID_a"; wait "$PID_a" || true
containerboot a "$key" TS_EXPERIMENTAL_DEST_DNS_NAME=nobody.invalid
ready a
until_ok 40 grep -q "inbound connections are refused" "$T/a.log"
! via b "http://$(addr a):8001/" --max-time 5 > /dev/null 2>&1 || die "a destination without an address was reached"
kill -TERM "$PID_a"; wait "$PID_a" || true
say "the destination of inbound connections by name"

containerboot a "$key" TS_TAILNET_TARGET_FQDN=web.tail.test. TS_TAILNET_TARGET_PORTS=8000
ready a
rc=0; in_ns c curl -s --max-time 60 "http://$IP_a:8000/" || rc=$?
[ "$rc" != 0 ] || die "a name that nobody has answers"
hs_cli nodes rename web -i "$(hs_cli nodes list -o json | jq '.[] | select(.name == "b") | .id')" > /dev/null
until_ok 40 page 8000 b
say "by name, once somebody has it"
hs_cli nodes rename old -i "$(hs_cli nodes list -o json | jq '.[] | select(.name == "b") | .id')" > /dev/null
hs_cli nodes rename web -i "$(hs_cli nodes list -o json | jq '.[] | select(.name == "d") | .id')" > /dev/null
until_ok 40 page 8000 d
say "the name has moved, and connections with it"
