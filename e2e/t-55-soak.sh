#!/bin/bash
# Ten minutes of mixed use of one sidecar under our coordinator: connections made and dropped, transfers both ways with checksums,
# connections cut in the middle, names looked up, pings, the local API and metrics read, while a peer comes and goes. After the first and
# the last minute the load pauses; descriptors, anonymous memory and wake-ups of sidecar and coordinator must then be what they were:
# what grows by each round would have grown tenfold. MINUTES=60 makes it longer.
# waits: 780
. "$(dirname "$0")/lib.sh"
coordinator
key=$(authkey --reusable)
gone_key=$(authkey --reusable --ephemeral)
for h in a b c d; do host $h; done
tailscaled b; ts_up b "$key"
containerboot a "$key"; ready a
containerboot c "$key"; ready c
for h in a b c; do web $h 8000; done
head -c 4000000 /dev/urandom > "$T/file"
for h in a b c; do cp "$T/file" "$T/$h.www/file"; done
sum=$(sha256sum < "$T/file")
ip_a=$(addr a); ip_b=$(addr b); ip_c=$(addr c)
until_ok 40 via a "http://$ip_b:8000/" -o /dev/null; until_ok 40 via b "http://$ip_a:8000/" -o /dev/null; until_ok 40 via a "http://$ip_c:8000/" -o /dev/null

fds() { ls "/proc/$1/fd" | wc -l; }
anon() { awk '/^RssAnon/ {print $2}' "/proc/$1/status"; }
wakes() { cat "/proc/$1/task/"*/status | awk '/^voluntary/ {n += $2} END {print n}'; }
whole() { [ "$(via "$1" "$2" --max-time 120 | sha256sum)" = "$sum" ] || die "$1: $2 came damaged"; }
round() {
	local i n=$1 p cut
	whole a "http://$ip_b:8000/file"; whole b "http://$ip_a:8000/file"
	whole a "http://c:8000/file"; whole c "http://$ip_a:8000/file"
	for i in 1 2 3 4 5; do
		via a "http://b.tail.test:8000/" -o /dev/null || die "round $n: b by name"
		via b "http://$ip_a:8000/" -o /dev/null || die "round $n: a from b"
	done
	in_ns a curl -sS -o /dev/null --max-time 60 --proxy http://127.0.0.1:1055 "http://c:8000/" || die "round $n: HTTP proxy"
	via a "http://no-such-name.tail.test:8000/" -o /dev/null 2> /dev/null && die "round $n: a name that is none was reached"
	via a "http://$ip_b:9/" -o /dev/null 2> /dev/null && die "round $n: a closed port answered"
	# cut in the middle, by us and by the program behind the peer
	via a "http://$ip_b:8000/file" --limit-rate 500K -o /dev/null 2> /dev/null & cut=$!
	via b "http://$ip_a:8000/file" --limit-rate 500K -o /dev/null 2> /dev/null & p=$!
	sleep 0.5; kill "$cut" "$p" 2> /dev/null || true; wait "$cut" "$p" 2> /dev/null || true
	in_ns a "$BIN/containerboot" --socket="$T/a.sock" status > /dev/null 2>&1 || ts a status > /dev/null || die "round $n: status"
	in_ns a curl -sf -o /dev/null http://127.0.0.1:9002/metrics || die "round $n: metrics"
	ts a ping -c 1 --timeout 20s "$ip_c" > /dev/null || die "round $n: ping"
	# a peer comes, is used, and goes
	mkdir -p "$T/d.state"; rm -f "$T/d.state/"*
	containerboot d "$gone_key"; ready d
	p=$(addr d)
	until_ok 40 via d "http://$ip_a:8000/" -o /dev/null
	stop "$PID_d"
	if [ $((n % 3)) = 0 ]; then until_ok 30 forgotten d; fi
	[ -n "$p" ] || die "round $n: d had no address"
}
forgotten() { ! co_cli nodes list -o json | jq -e --arg n "$1" '.nodes[] | select(.givenName == $n)' > /dev/null; }
# what a process holds when nothing moves: DESCRIPTORS ANONYMOUS-KIB WAKE-UPS-IN-15-S
rest() {
	local w least= i
	sleep 50
	# the quietest of three: what comes once a minute, such as a look at the network, falls into one of them or none
	for i in 1 2 3; do
		w=$(wakes "$1"); sleep 15; w=$(($(wakes "$1") - w))
		[ -n "$least" ] && [ "$least" -le "$w" ] || least=$w
	done
	echo "$(fds "$1") $(anon "$1") $least"
}
minute() { # MINUTE: rounds for a minute
	local end=$(($(date +%s) + 60))
	while [ "$(date +%s)" -lt "$end" ]; do n=$((n + 1)); round "$n"; sleep 2; done
}
n=0 M=${MINUTES:-10}
minute 1
rest "$PID_a" > "$T/a.first" & r=$!; rest "$CO_PID" > "$T/co.first"; wait "$r"
say "after the first minute, $n rounds: sidecar $(cat "$T/a.first"), coordinator $(cat "$T/co.first") (descriptors, anonymous KiB, wake-ups in 15 s)"
for m in $(seq 2 $((M - 1))); do minute "$m"; done
rest "$PID_a" > "$T/a.last" & r=$!; rest "$CO_PID" > "$T/co.last"; wait "$r"
say "at the end, $n rounds: sidecar $(cat "$T/a.last"), coordinator $(cat "$T/co.last")"
for p in a co; do
	read -r f0 a0 w0 < "$T/$p.first"; read -r f1 a1 w1 < "$T/$p.last"
	echo "figure: $(basename "$0" .sh): $p after $n rounds: descriptors $f0 -> $f1, anonymous $a0 -> $a1 KiB, wake-ups in 15 s $w0 -> $w1"
	[ "$f1" -le $((f0 + 2)) ] || die "$p: descriptors grow: $f0 -> $f1: $(ls -l /proc/"$([ $p = a ] && echo "$PID_a" || echo "$CO_PID")"/fd)"
	[ "$a1" -le $((a0 + 1024)) ] || die "$p: memory grows: $a0 -> $a1 KiB"
	[ "$w1" -le $((w0 + 10)) ] || die "$p: it wakes up more and more: $w0 -> $w1 in 15 s"
done
