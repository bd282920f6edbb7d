#!/bin/bash
# Ten minutes: control is away all the time with the relay up. Streams over three rekeys (direct in both directions, and relayed) live
# without a reset, an idle connection through the proxies answers after ten silent minutes, new flows to known peers start, and a
# change of our host's addresses heals by call-me-maybe. Then control comes back.
# waits: 700
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
relay r
headscale
host a; host b; host c
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"
for h in a b c; do web $h 8000; done
for h in a b; do start $h echo-$h socat TCP-LISTEN:7777,bind=127.0.0.1,fork,reuseaddr EXEC:cat; done
containerboot a "$key"; containerboot c "$key" TS_DEBUG_ALWAYS_USE_DERP=true
ready a; ready c
ip_a=$(addr a); ip_b=$(addr b); ip_c=$(addr c)
until_ok 40 fetch a "http://$ip_b:8000/" b; until_ok 40 fetch b "http://$ip_a:8000/" a; until_ok 40 fetch c "http://$ip_a:8000/" a
direct() { ts a ping -c 1 --timeout 2s "$ip_b" 2>&1 | grep -q 'via .*:41641'; }
until_ok 40 direct
M=${MINUTES:-10}
RATE=500000
big $((M * 60 * RATE / 1048576 + 10)); ln -sf "$T/big" "$T/c.www/big"
stream pull a "$ip_b"; stream push b "$ip_a"; stream relayed c "$ip_a"
start a idle-out python3 e2e/idle.py 1055 "$ip_b" 7777 $((M * 60)); idle_out=$PID
start b idle-in python3 e2e/idle.py 1055 "$ip_a" 7777 $((M * 60)); idle_in=$PID
sleep 5
t0=$(date +%s%N)
kill "$HS_PID"; wait "$HS_PID" 2> /dev/null || true
say "control is away"
for i in $(seq $((M - 1))); do
	sleep 58
	fetch a "http://b:8000/" b || die "no new flow out in minute $i"
	fetch b "http://$ip_a:8000/" a || die "no new flow in in minute $i"
	fetch a "http://$ip_c:8000/" c || die "no new relayed flow in minute $i"
	if [ "$i" = 6 ]; then
		for s in pull push relayed; do echo "figure: $(basename "$0" .sh): $s, six minutes without control: longest silence $(gap $s "$t0") ms"; done
		t1=$(date +%s%N)
		ip -n "tp$ID-a" addr add 10.77.0.101/24 dev eth0; ip -n "tp$ID-a" addr add fd77::101/64 dev eth0 nodad
		ip -n "tp$ID-a" addr del "$IP_a/24" dev eth0; ip -n "tp$ID-a" addr del "$IP6_a/64" dev eth0
		for s in pull push relayed; do back $s "$t1" 15 "our addresses change while control is away"; done
		until_ok 60 direct || die "no direct path after the move"
		say "moved without control"
	fi
done
for p in "$idle_out" "$idle_in"; do wait "$p" || die "an idle connection died: $(cat "$T"/idle-*.log)"; done
say "idle connections live"
for s in pull push relayed; do arrived $s; done
headscale_start
well() { grep -q 'control is well again' "$T/a.log"; }
until_ok 60 well
say "control is back; all streams arrived whole"
