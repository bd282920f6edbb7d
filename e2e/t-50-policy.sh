#!/bin/bash
# The tailnet's policy is obeyed by us as the receiver: what it denies is dropped, what it allows passes; a change acts on new flows
# within ten seconds; a peer that is removed is heard no more and gets not one packet.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
policy() { printf '{"acls": [%s]}\n' "$1" > "$T/policy.new"; cat "$T/policy.new" > "$T/policy.json"; }
only_8000='{"action": "accept", "src": ["*"], "dst": ["*:8000"]}'
only_b='{"action": "accept", "src": ["100.64.0.1/32"], "dst": ["*:8001"]}'
policy "$only_8000"
headscale --policy "$T/policy.json"
host b; host c; host a
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"; tailscaled c; ts_up c "$key"
web a 8000; web b 8000; web c 8000
start a web8001 python3 -m http.server --bind 127.0.0.1 --directory "$T/a.www" 8001
containerboot a "$key"
ready a
ip_a=$(addr a); ip_b=$(addr b); ip6_a=$(addr6 a)
[ "$ip_b" = 100.64.0.1 ] || die "b has $ip_b"
get() { via "$1" "http://$2/" --max-time 3 2> /dev/null | grep -q "hello from"; }
open() { until_ok "$3" get "$1" "$2"; }
opens() { until_ok 10 get "$1" "$2"; }
shut() { until_ok "$3" eval "! get $1 $2"; }
open b "$ip_a:8000" 20; open c "$ip_a:8000" 20; open b "[$ip6_a]:8000" 10
get b "$ip_a:8001" && die "a port that the policy does not name was reached"
get c "[$ip6_a]:8001" && die "a port that the policy does not name was reached over IPv6"
# as the sender: stock tells us that its filter drops the connection, and the dial ends with "not allowed" (2), not by waiting
until_ok 40 get a "$ip_b:8000"
refused() { via a "http://$1:8001/" --max-time 60 2>&1 | grep -q 'SOCKS5 connection to .* (2)'; }
refused "$ip_b" || die "a port that a stock peer denies: $(via a "http://$ip_b:8001/" --max-time 60 2>&1)"
[ "$(in_ns a curl -s --max-time 60 -o /dev/null -w '%{http_code}' --proxy http://127.0.0.1:1055 "http://$ip_b:8001/")" = 403 ] || die "the HTTP proxy waits for a denied port"
say "a dial that a stock peer denies ends at once"
ts b ping --icmp -c 1 --timeout 2s "$ip_a" > /dev/null && echo "echo passes beside a port rule"
out=$(in_ns a curl -sf http://127.0.0.1:9002/metrics | grep -E '^tailscaled_inbound_dropped_packets_total.*acl') || true
echo "$out"
grep -q ' [1-9]' <<< "$out" || die "refused packets are not counted"
say "denied ports are not reached"

# a change: 8000 is shut, 8001 is open for b alone; within ten seconds
policy "$only_b"
kill -HUP "$HS_PID"; t0=$(date +%s%N)
opens b "$ip_a:8001" || die "the change does not act"
echo "figure: $(basename "$0" .sh): a policy change acts after $((($(date +%s%N) - t0) / 1000000)) ms"
shut b "$ip_a:8000" 10 || die "what the change forbids is still open"
get c "$ip_a:8001" && die "c was let in"
get b "$ip_a:8000" && die "8000 is open"
say "a change acts"

# and back, for everybody
policy '{"action": "accept", "src": ["*"], "dst": ["*:*"]}'
kill -HUP "$HS_PID"
open c "$ip_a:8000" 10
open a "$(addr c):8000" 10
# removed under a running stream from us to it, which must stop at once
big 200
start c pull curl -sS --limit-rate 3M --max-time 60 --proxy socks5h://127.0.0.1:1055 -o "$T/c.got" "http://$ip_a:8000/big"
until_ok 30 test -s "$T/c.got"
id=$(hs_cli nodes list -o json | jq -r '.[] | select(.given_name == "c") | .id')
hs_cli nodes delete -i "$id" --force > /dev/null
peers() { in_ns a curl -s --unix-socket "$T/a.sock" -H 'Host: local-tailscaled.sock' http://x/localapi/v0/status | jq -e '[.Peer[].HostName] | index("c") == null' > /dev/null; }
until_ok 30 peers
sleep 0.3
# count UDP and relay bytes between the two hosts from here on
in_ns a nft -f - <<-END
	table inet watch {
		chain out { type filter hook output priority 0; meta l4proto udp ip daddr $IP_c counter; meta l4proto udp ip6 daddr $IP6_c counter; }
	}
END
sleep 5
n=$(in_ns a nft list chain inet watch out | grep -o 'packets [0-9]*' | awk '{s += $2} END {print s}')
[ "$n" = 0 ] || die "$n packets went to a removed peer"
get c "$ip_a:8000" && die "a removed peer was answered"
say "a removed peer gets nothing"
