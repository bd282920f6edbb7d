#!/bin/bash
# Checksummed streams live through what happens to a node in a month: control away for a minute (new flows to known peers start,
# by name too), the relay restarts, the host's address changes, UDP is blocked and comes back (direct -> relay -> direct).
# Streams: pull (stock to us, direct), push (us to stock, direct), relayed (us to us, one told to use the relay only).
# waits: 200
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
relay r
headscale
host a; host b; host c
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"
web a 8000; web b 8000; web c 8000
containerboot a "$key"; containerboot c "$key" TS_DEBUG_ALWAYS_USE_DERP=true
ready a; ready c
ip_a=$(addr a); ip_b=$(addr b); ip_c=$(addr c)
until_ok 40 fetch a "http://$ip_b:8000/" b; until_ok 40 fetch b "http://$ip_a:8000/" a; until_ok 40 fetch c "http://$ip_a:8000/" a
direct() { ts a ping -c 1 --timeout 2s "$ip_b" 2>&1 | grep -q 'via .*:41641'; }
relayed() { ts a ping -c 1 --timeout 2s "$ip_b" 2>&1 | grep -q 'via DERP'; }
until_ok 40 direct
RATE=1500000
big "${STREAM_MIB:-420}"; ln -sf "$T/big" "$T/c.www/big"
stream pull a "$ip_b"
stream push b "$ip_a"
stream relayed c "$ip_a"
until_ok 30 moves pull; until_ok 30 moves push; until_ok 30 moves relayed
say "three streams run"

# control away for a minute
t0=$(date +%s%N)
kill "$HS_PID"; wait "$HS_PID" 2> /dev/null || true
sleep 5
for i in 1 2 3 4; do
	fetch a "http://b.tail.test:8000/" b || die "no new flow out while control is away ($i)"
	fetch b "http://$ip_a:8000/" a || die "no new flow in while control is away ($i)"
	fetch a "http://$ip_c:8000/" c || die "no new relayed flow while control is away ($i)"
	sleep 13
done
grep -q 'warn.*control' "$T/a.log" || die "nothing in the log about control"
headscale_start
for s in pull push relayed; do back $s "$t0" 5 "control away for a minute"; done
well() { grep -q 'control is well again' "$T/a.log"; }
until_ok 40 well
say "control away and back"

# the relay restarts
t0=$(date +%s%N)
kill "$PID_r"; wait "$PID_r" 2> /dev/null || true
sleep 12 # longer than what a busy machine may make of a silence of two seconds
relay_start r
back relayed "$t0" 15 "the relay away for twelve seconds"
back pull "$t0" 2 "the relay away for twelve seconds"
say "the relay is back"

# our host moves to other addresses, then the one of the relay-only node
t0=$(date +%s%N)
ip -n "tp$ID-a" addr add 10.77.0.101/24 dev eth0; ip -n "tp$ID-a" addr add fd77::101/64 dev eth0 nodad
ip -n "tp$ID-a" addr del "$IP_a/24" dev eth0; ip -n "tp$ID-a" addr del "$IP6_a/64" dev eth0
back pull "$t0" 15 "our host's addresses change"
back push "$t0" 15 "our host's addresses change"
back relayed "$t0" 15 "the other end's addresses change"
until_ok 30 direct
t0=$(date +%s%N)
ip -n "tp$ID-c" addr add 10.77.0.103/24 dev eth0
ip -n "tp$ID-c" addr del "$IP_c/24" dev eth0
back relayed "$t0" 15 "the relay-only node's IPv4 address changes"
say "moved"

# UDP is blocked: direct -> relay; and allowed again: relay -> direct
t0=$(date +%s%N)
in_ns a nft -f - <<-END
	table inet block {
		chain in { type filter hook input priority 0; iifname eth0 meta l4proto udp drop; }
		chain out { type filter hook output priority 0; oifname eth0 meta l4proto udp drop; }
	}
END
back pull "$t0" 15 "UDP is blocked"
back push "$t0" 15 "UDP is blocked"
until_ok 10 relayed || die "not over the relay with UDP blocked"
sleep 5
in_ns a nft delete table inet block
until_ok 60 direct
say "direct -> relay -> direct"
for s in pull push relayed; do moves $s || die "$s stands still"; done
for s in pull push relayed; do arrived $s; done
say "all streams arrived whole"
