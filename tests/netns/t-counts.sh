#!/bin/bash
# One steady download between two sidecars, whole programs, direct path: no allocation, and at most one system call for twenty
# packets, at either end (the sender's acknowledgements and the receiver's data are packets too). Counted, not timed: tests/counted/hooks.c is linked into the program.
#
#   [a: curl -> SOCKS5 -> containerboot] --- UDP over veth --- [b: containerboot -> web server on loopback]
. "$(dirname "$0")/../../e2e/lib.sh"
counted=${COUNTED:-$ROOT/build/gcc/tests/counted/containerboot}
[ -x "$counted" ] || { echo "not built: $counted (make check-netns)"; exit 1; }
mkdir "$T/bin"; ln -s "$counted" "$T/bin/containerboot"
coordinator
for h in a b; do host $h; done
BIN=$T/bin
for h in a b; do containerboot $h "$(BIN=$ROOT/build/bin authkey)"; done
for h in a b; do ready $h; done
mkdir -p "$T/b.www"; truncate -s 16G "$T/b.www/big"
web b 8000
ip_b=$(BIN=$ROOT/build/bin addr b)
until_ok 30 via a "http://$ip_b:8000/" -o /dev/null
start a curl curl -s --max-time 200 --proxy socks5h://127.0.0.1:1055 -o /dev/null "http://$ip_b:8000/big"
curl=$PID
snapshot() { # HOST: the line in $LINE
	local pid n
	eval "pid=\$PID_$1"
	n=$(grep -c '^counted:' "$T/$1.log" || true)
	kill -USR2 "$pid"
	until_ok 10 eval "[ \$(grep -c '^counted:' '$T/$1.log') -gt $n ]"
	LINE=$(grep '^counted:' "$T/$1.log" | tail -n 1)
}
sleep 3 # windows have grown, buffers are there
# Steady means windows of half a second without an allocation, three at either end: while a buffer still grows beyond what it ever was
# (a reader had to wait for the processor) it takes memory from the heap; what packets or seconds cost would be in every window.
# prints: system calls, packets, bytes, allocations, windows, of them with packets and without an allocation
sum() {
	awk 'NR > 1 && $7 - p > 1000 && $5 == a {quiet++}
		NR == 1 {c0 = $3; p0 = $7; b0 = $9; a0 = $5}
		{a = $5; c = $3; p = $7; b = $9}
		END {print c - c0, p - p0, b - b0, a - a0, NR - 1, quiet + 0}' "$T/$1.counts"
}
for i in $(seq 0 60); do
	for h in a b; do snapshot $h; echo "$LINE" >> "$T/$h.counts"; done
	[ "$i" -lt 6 ] || [ "$(sum a | cut -d' ' -f6)" -lt 3 ] || [ "$(sum b | cut -d' ' -f6)" -lt 3 ] || break
	sleep 0.5
done
kill -0 $curl || die "the download ended too early: $(cat "$T/curl.log")"
stop $curl
bad=0
for h in a b; do
	read -r calls packets bytes allocations windows quiet < <(sum $h)
	echo "figure: $h: $((bytes / 1000000)) MB, $packets packets, $calls system calls ($(awk -v c="$calls" -v p="$packets" 'BEGIN {printf "%.4f", c / p}') a packet), $allocations allocations; none in $quiet of $windows windows"
	[ "$bytes" -gt 10000000 ] || { echo "$h: too little was carried"; bad=1; }
	[ $((calls * 20)) -le "$packets" ] || { echo "$h: more than 0.05 system calls a packet"; bad=1; }
	[ "$quiet" -ge 3 ] || { echo "$h: never steady"; bad=1; }
done
[ $bad = 0 ] || die "the data path asks too much"
