#!/bin/bash
# Ours and a stock node behind NAT boxes (e2e/natbox, two TUN devices each): ours behind every mapping and filtering of RFC 4787,
# stock behind one that makes it interesting; they take turns in sending first. Then two layers, and a box that hairpins. Direct or
# relayed is as the kinds of boxes allow; bytes pass in each case. All cells run at once. Times are printed: docs/nat.md.
. "$(dirname "$0")/lib.sh"
. e2e/nat.sh
nat_lab
headscale --fast
to_boxes hs
cells=() theirs=()
for f in independent address port; do
	cells+=("independent/$f" "address/$f" "port/$f")
	theirs+=(port/port independent/address independent/port)
done
cells+=("independent/port+independent/address" "independent/port,preserve+port/port")
theirs+=(independent/port independent/port)
nat_settings TS_LOG_VERBOSITY=2
i=0
for c in "${cells[@]}"; do
	i=$((i + 1))
	boxed_host "o$i" "$c"; boxed_host "s$i" "${theirs[$((i - 1))]}"
	o="ours tp$ID-o$i o$i" s="stock tp$ID-s$i s$i"
	eval "boxes=\"\$BOXES_o$i \$BOXES_s$i\""
	if [ $((i % 2)) = 1 ]; then echo "$c $o $s $boxes"; else echo "$c $s $o $boxes"; fi > "$T/cell-$i"
done
pids=()
for i in $(seq ${#cells[@]}); do
	start hub "try-$i" python3 e2e/nat_cell.py 30 3 "$T/lab.json" "$T/cell-$i"
	pids+=("$PID")
	sleep 0.5 # or all log in at the same moment
done
wrong=()
for i in $(seq ${#cells[@]}); do
	c=${cells[$((i - 1))]} s=${theirs[$((i - 1))]} want=relayed
	wait "${pids[$((i - 1))]}" || { wrong+=("$c: $(tail -n 3 "$T/try-$i.log")"); continue; }
	can_meet "$c" "$s" && want=direct
	got=$(tail -n 1 "$T/try-$i.log" | cut -d' ' -f2-)
	echo "figure: t-55-nat: ours behind $c, stock behind $s: $got"
	[ "${got%% *}" = $want ] || { cat "$T/try-$i.log" "$T/o$i.log"; wrong+=("$c and $s: $got, but it should be $want"); }
done
[ ${#wrong[@]} = 0 ] || die "$(printf '%s\n' "${wrong[@]}")"

# a box that hairpins returns a datagram to its outer address; one that does not drops it
boxed_host h independent/port,preserve,hairpin; n=$n_boxes
boxed_host x independent/port,preserve; m=$n_boxes
returns() { # HOST NUMBER
	in_ns "$1" python3 - "198.51.100.$2" "$IP_hs" <<-'END'
		import socket, sys
		a, b = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
		a.bind(("", 5000)); b.bind(("", 5001)); a.settimeout(2)
		b.sendto(b"open", (sys.argv[1], 5000)); a.sendto(b"open", (sys.argv[1], 5001))
		b.sendto(b"back", (sys.argv[1], 5000))
		try:
		    while True:
		        data, source = a.recvfrom(100)
		        if data == b"back":
		            sys.exit(source != (sys.argv[1], 5001))
		except socket.timeout:
		    sys.exit(3)
	END
}
returns h "$n" || die "a box that should hairpin does not"
rc=0; returns x "$m" || rc=$?
[ $rc = 3 ] || die "a box that should not hairpin does"
say "t-55-nat done"
