#!/bin/bash
# One stream over a bad link (bench/impair.c: one process between two TUN devices, offloads off, fixed seeds), megabits per second: ours,
# stock (user space at both ends), and the kernel's CUBIC alone over such a link with an MTU of 1280, interleaved. Control and relay
# have a clean link; UDP between the hosts passes the bad one only. CASES picks cases by a pattern, SECONDS_EACH the length.
. "$(dirname "$0")/lib.sh"
headscale
key=$(authkey --reusable)
# name: RTT ms, Mb/s, loss %, reordered (past the delay) %, late %, late by ms
cases=(
	"clean:20 100 0 0 0 0" "loss 2:20 100 2 0 0 0" "reorder 5:20 100 0 5 0 0" "loss 2 reorder 5:20 100 2 5 0 0"
	"late 5:20 100 0 0 5 3" "long fat:100 1000 0 0 0 0"
)
for h in oa ob sa sb ka kb; do
	host $h
	in_ns $h nft -f - <<-END
		table inet clean {
			chain out { type filter hook output priority 0; oifname eth0 ip daddr != $IP_hs meta l4proto udp drop; oifname eth0 ip6 daddr != $IP6_hs meta l4proto udp drop; }
		}
	END
done
links=()
link() { # A B SUBNET SPEC SEED
	start "$1" "impair-$1" "$IMPAIR" "tp$ID-$1" "tp$ID-$2" "10.88.$3.1" "10.88.$3.2" $4 "$5"
	links+=("$PID")
	until_ok 5 grep -q ready "$T/impair-$1.log"
}
unlink_all() { for p in "${links[@]}"; do kill "$p"; wait "$p" 2> /dev/null || true; done; links=(); }
containerboot oa "$key"; containerboot ob "$key"
tailscaled sa; tailscaled sb; ts_up sa "$key"; ts_up sb "$key"
ready oa; ready ob
for h in ob sb kb; do start $h flow-$h "$FLOW" serve 7000; done
ip_o=$(addr ob); ip_s=$(addr sb)
bad() { ts ${1}a ping -c 1 --timeout 3s "$2" 2>&1 | grep -q 'via 10\.88\.'; }
one() { # WHO
	case $1 in
	kernel) in_ns ka "$FLOW" get 0 10.88.3.2 7000 "${SECONDS_EACH:-8}" ;;
	ours) in_ns oa "$FLOW" get 1055 "$ip_o" 7000 "${SECONDS_EACH:-8}" ;;
	stock) in_ns sa "$FLOW" get 1055 "$ip_s" 7000 "${SECONDS_EACH:-8}" ;;
	esac | cut -d' ' -f1
}
for c in "${cases[@]}"; do
	name=${c%%:*} spec=${c#*:}
	[[ $name =~ ${CASES:-.} ]] || continue
	rm -f "$T"/impaired.*
	for i in $(seq "$RUNS"); do
		link oa ob 1 "$spec" "$i"; link sa sb 2 "$spec" "$i"; link ka kb 3 "$spec" "$i"
		for h in ka kb; do ip -n "tp$ID-$h" link set bad0 mtu 1280; done
		until_ok 60 bad o "$ip_o"; until_ok 60 bad s "$ip_s"
		for w in ours stock kernel; do one $w >> "$T/impaired.$w"; done
		bad o "$ip_o" || echo "ours left the bad link in this run"
		unlink_all
		grep -h 'larger than the MTU' "$T"/impair-*.log | grep -v 'MTU 0$' && die "offloads are on"
		[ "$i" != 1 ] || sed 's/^/  /' "$T/impair-oa.log" | grep packets
	done
	for w in ours stock kernel; do echo "$name, $w: Mb/s $(spread < "$T/impaired.$w")"; done
done
