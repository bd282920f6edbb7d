#!/bin/bash
# One stream over a bad link (bench/impair.c: one process between two TUN devices, offloads off, fixed seeds), megabits per second: ours
# with CUBIC and with BBR, stock (user space at both ends), and the kernel's CUBIC alone over such a link with an MTU of 1280, interleaved.
# Control and relay have a clean link; UDP between the hosts passes the bad one only. CASES picks cases by a pattern of their names,
# SECONDS_EACH the length of a download (the long fat path: four times that, for slow start takes a second there).
. "$(dirname "$0")/lib.sh"
# name: RTT ms, Mb/s, loss %, reordered (past the delay) %, late %, late by ms
cases=(
	"clean:20 100 0 0 0 0" "loss 2:20 100 2 0 0 0" "reorder 5:20 100 0 5 0 0" "loss 2 reorder 5:20 100 2 5 0 0"
	"late 5:20 100 0 0 5 3" "long fat:100 1000 0 0 0 0"
)
picked=()
for c in "${cases[@]}"; do [[ ! ${c%%:*} =~ ${CASES:-.} ]] || picked+=("$c"); done
[ ${#picked[@]} -gt 0 ] || die "CASES=$CASES is none of: ${cases[*]%%:*}"
headscale
key=$(authkey --reusable)
for h in oa ob ba bb sa sb ka kb; do host $h; only_bad $h; done
containerboot oa "$key"; containerboot ob "$key"
containerboot ba "$key" TS_TCP_CONGESTION=bbr; containerboot bb "$key" TS_TCP_CONGESTION=bbr
tailscaled sa; tailscaled sb; ts_up sa "$key"; ts_up sb "$key"
for h in oa ob ba bb; do ready $h; done
for h in ob bb sb kb; do start $h flow-$h "$FLOW" serve 7000; done
ip_o=$(addr ob) ip_b=$(addr bb) ip_s=$(addr sb) ip_k=10.88.4.2
kinds=(o b s k)
declare -A names=([o]="ours, CUBIC" [b]="ours, BBR" [s]=stock [k]="kernel, CUBIC")
failures=0
for c in "${picked[@]}"; do
	name=${c%%:*} spec=${c#*:} each=${SECONDS_EACH:-4}
	[ "$name" != "long fat" ] || each=$((4 * each))
	rm -f "$T"/impaired.*
	for i in $(seq "$RUNS"); do
		net=0
		for w in "${kinds[@]}"; do net=$((net + 1)); bad_link ${w}a ${w}b $net "$i" $spec; done
		for h in ka kb; do ip -n "tp$ID-$h" link set bad0 mtu 1280; done
		for w in o b s; do eval "ip=\$ip_$w"; until_ok 60 is_bad ${w}a "$ip"; done
		for w in "${kinds[@]}"; do
			eval "ip=\$ip_$w"
			socks=1055; [ $w != k ] || socks=0
			rate ${w}a $socks "$ip" "$each" >> "$T/impaired.$w" || failures=$((failures + 1))
		done
		for w in o b; do eval "ip=\$ip_$w"; within 10 is_bad ${w}a "$ip" || { echo "${names[$w]} left the bad link in run $i of $name"; failures=$((failures + 1)); }; done
		drop_links
		[ "$i" != 1 ] || sed 's/^/  /' "$T/impair-oa.log" | grep packets
	done
	for w in "${kinds[@]}"; do echo "$name, ${names[$w]}: Mb/s $(spread < "$T/impaired.$w")"; done
done
[ $failures = 0 ] || die "$failures measurements failed"
