#!/bin/bash
# Three thousand short connections to a stock node in user space, which closes first and takes no new connection of four numbers that it has in
# TIME-WAIT (60 s): none of ours comes upon one, so none waits for an answer that does not come.
. "$(dirname "$0")/lib.sh"
headscale
host a; host b
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"
containerboot a "$key"; ready a
web b 8000
ip_b=$(addr b)
until_ok 40 via a "http://$ip_b:8000/" -o /dev/null
start b server python3 e2e/short_connections.py serve 7000
until_ok 30 in_ns b python3 -c 'import socket; socket.create_connection(("127.0.0.1", 7000))'
n=${CONNECTIONS:-3000}
in_ns a timeout 300 python3 e2e/short_connections.py ask "$ip_b" 7000 "$n" 8 > "$T/short"
echo "figure: $(basename "$0" .sh): $(cat "$T/short")"
grep -q "^$n answered, 0 not" "$T/short" || die "$(cat "$T/short")"
