#!/bin/bash
# What one stream of ours leaves to one stream of the kernel's CUBIC that shares a bottleneck of 100 Mb/s and 20 ms with it (bench/impair.c),
# megabits per second of either, by how long the bottleneck's queue is: our CUBIC, our BBR. SECONDS_EACH: length, QUEUES: in milliseconds.
. "$(dirname "$0")/lib.sh"
headscale
key=$(authkey --reusable)
for h in oa ob ba bb; do host $h; only_bad $h; done
containerboot oa "$key"; containerboot ob "$key"
containerboot ba "$key" TS_TCP_CONGESTION=bbr; containerboot bb "$key" TS_TCP_CONGESTION=bbr
for h in oa ob ba bb; do ready $h; done
for h in ob bb; do start $h flow-$h "$FLOW" serve 7000; done
ip_o=$(addr ob) ip_b=$(addr bb)
declare -A names=([o]=CUBIC [b]=BBR) net=([o]=1 [b]=2)
failures=0
for queue in ${QUEUES:-5 20 40 160}; do
	for w in o b; do
		rm -f "$T"/share.*
		for i in $(seq "$RUNS"); do
			bad_link ${w}a ${w}b ${net[$w]} "$i" 20 100 0 0 0 0 "$queue"
			ip -n "tp$ID-${w}a" link set bad0 mtu 1280; ip -n "tp$ID-${w}b" link set bad0 mtu 1280
			eval "ip=\$ip_$w"
			until_ok 60 is_bad ${w}a "$ip"
			rate ${w}a 0 "10.88.${net[$w]}.2" "${SECONDS_EACH:-20}" > "$T/k.now" & k=$!
			rate ${w}a 1055 "$ip" "${SECONDS_EACH:-20}" > "$T/o.now" & o=$!
			wait $k && wait $o || failures=$((failures + 1))
			cat "$T/k.now" >> "$T/share.k"; cat "$T/o.now" >> "$T/share.o"
			drop_links
		done
		echo "queue of $queue ms: our ${names[$w]} $(spread < "$T/share.o"), the kernel's CUBIC beside it $(spread < "$T/share.k") Mb/s"
	done
done
[ $failures = 0 ] || die "$failures measurements failed"
