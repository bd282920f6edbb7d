#!/bin/bash
# What the stock client's TCP and the kernel's CUBIC do on a path with faults (20 ms, 100 Mb/s, LOSS=2 %, REORDER=0 %): their own counters
# over RUNS downloads of SECONDS_EACH. The stock sender is tailscaled with --debug; the kernel has an MTU of 1280. Ours does the same in
# virtual time: the figures of lib/netstack/pair_test.c.
. "$(dirname "$0")/lib.sh"
headscale
key=$(authkey --reusable)
for h in sa sb ka kb; do host $h; only_bad $h; done
tailscaled sa; tailscaled sb --debug=127.0.0.1:8383; ts_up sa "$key"; ts_up sb "$key"
for h in sb kb; do start $h flow-$h "$FLOW" serve 7000; done
ip=$(addr sb)
# counts s|k: segments sent, sent again, recoveries with SACK, time-outs
counts() {
	if [ "$1" = s ]; then
		in_ns sb curl -sf --max-time 5 http://127.0.0.1:8383/debug/metrics | awk '{v[$1] = $2} END {
			print v["netstack_tcp_segments_sent"], v["netstack_tcp_retransmits"], v["netstack_tcp_sack_recovery"], v["netstack_tcp_timeouts"]}'
	else
		in_ns kb cat /proc/net/snmp /proc/net/netstat | awk '$1 == "Tcp:" || $1 == "TcpExt:" {
			if (!($1 in head)) {head[$1] = $0; next}
			n = split(head[$1], names, " "); for (i = 2; i <= n; i++) v[names[i]] = $i}
			END {print v["OutSegs"], v["RetransSegs"], v["TCPSackRecovery"], v["TCPTimeouts"]}'
	fi
}
for i in $(seq "$RUNS"); do
	bad_link sa sb 1 "$i" 20 100 "${LOSS:-2}" "${REORDER:-0}" 0 0
	bad_link ka kb 2 "$i" 20 100 "${LOSS:-2}" "${REORDER:-0}" 0 0
	for h in ka kb; do ip -n "tp$ID-$h" link set bad0 mtu 1280; done
	until_ok 60 is_bad sa "$ip"
	for w in s k; do
		before=$(counts $w)
		if [ $w = s ]; then r=$(rate sa 1055 "$ip" "${SECONDS_EACH:-20}"); else r=$(rate ka 0 10.88.2.2 "${SECONDS_EACH:-20}"); fi
		echo "$w $r $before $(counts $w)" | awk '{printf "%s: %s Mb/s, %d segments, sent again %d, recoveries %d (one in %.0f segments), time-outs %d\n",
			($1 == "s" ? "stock" : "kernel"), $2, $7 - $3, $8 - $4, $9 - $5, ($9 > $5 ? ($7 - $3) / ($9 - $5) : 0), $10 - $6}'
	done
	drop_links
done
