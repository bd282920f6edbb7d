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
mkdir -p "$T/b.www"; truncate -s 64G "$T/b.www/big"
web b 8000
ip_b=$(BIN=$ROOT/build/bin addr b)
until_ok 30 via a "http://$ip_b:8000/" -o /dev/null
start a curl curl -s --max-time 3000 --proxy socks5h://127.0.0.1:1055 -o /dev/null "http://$ip_b:8000/big"
curl=$PID
snapshot() { # HOST: the line in $LINE
	local pid n
	eval "pid=\$PID_$1"
	n=$(grep -c '^counted:' "$T/$1.log" || true)
	kill -USR2 "$pid"
	until_ok 30 eval "[ \$(grep -c '^counted:' '$T/$1.log') -gt $n ]"
	LINE=$(grep '^counted:' "$T/$1.log" | tail -n 1)
}
# Steady is from when buffers have reached their steps (at most eight doublings each) and the state file is written: then not one
# allocation. What packets or seconds cost would be in every stretch of STEADY half seconds; both ends must have one.
STEADY=${STEADY:-12}
# prints: system calls, packets, bytes and allocations of the longest stretch of windows with packets and without an allocation, its windows;
# all windows, allocations in them
stretch() {
	awk 'NR > 1 {
			if ($7 - p > 1000 && $5 == a) n++; else n = 0
			if (n == 0) {c0 = $3; p0 = $7; b0 = $9; a0 = $5}
			if (n > most) {most = n; calls = $3 - c0; packets = $7 - p0; bytes = $9 - b0; allocations = $5 - a0}
		}
		NR == 1 {c0 = $3; p0 = $7; b0 = $9; a0 = first = $5}
		{a = $5; p = $7}
		END {print calls + 0, packets + 0, bytes + 0, allocations + 0, most + 0, NR - 1, a - first}' "$T/$1.counts"
}
long() { [ "$(stretch $1 | cut -d' ' -f5)" -ge "$STEADY" ]; }
for i in $(seq 0 240); do
	for h in a b; do snapshot $h; echo "$LINE" >> "$T/$h.counts"; done
	if long a && long b; then break; fi
	sleep 0.5
done
kill -0 $curl || die "the download ended too early: $(cat "$T/curl.log")"
stop $curl
bad=0
for h in a b; do
	read -r calls packets bytes allocations windows all other < <(stretch $h)
	echo "figure: $h: $((bytes / 1000000)) MB, $packets packets in $windows half seconds: $allocations allocations, $calls system calls ($(awk -v c="$calls" -v p="$packets" 'BEGIN {printf "%.4f", p ? c / p : 1}') a packet); $other allocations in all $all half seconds"
	[ "$windows" -ge "$STEADY" ] || { echo "$h: never $STEADY half seconds without an allocation"; bad=1; }
	[ "$bytes" -gt 10000000 ] || { echo "$h: too little was carried"; bad=1; }
	[ $((calls * 20)) -le "$packets" ] || { echo "$h: more than 0.05 system calls a packet"; bad=1; }
done
[ $bad = 0 ] || die "the data path asks too much"
