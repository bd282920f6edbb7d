#!/bin/bash
# One stream and single requests between two nodes over a direct path, user space, through SOCKS5: ours and stock, interleaved
. "$(dirname "$0")/lib.sh"
headscale
key=$(authkey --reusable)
for h in oa ob sa sb; do host $h; done
containerboot oa "$key"; containerboot ob "$key"
tailscaled sa; tailscaled sb; ts_up sa "$key"; ts_up sb "$key"
ready oa; ready ob
for h in ob sb; do start $h flow-$h "$FLOW" serve 7000; done
ip_ours=$(addr ob); ip_stock=$(addr sb)
once() { # oa|sa IP PID PID MODE
	local c0 c1 out
	c0=$(echo "$(cpu_of "$3") $(cpu_of "$4")" | awk '{print $1 + $2}')
	out=$(in_ns "$1" "$FLOW" "$5" 1055 "$2" 7000 "${SECONDS_EACH:-4}")
	c1=$(echo "$(cpu_of "$3") $(cpu_of "$4")" | awk '{print $1 + $2}')
	awk -v c0="$c0" -v c1="$c1" '{printf "%.0f %.2f\n", $1, (c1 - c0) / ($2 / 1e9)}' <<< "$out"
}
for h in oa sa; do ip=$ip_ours; [ $h = oa ] || ip=$ip_stock; until_ok 20 in_ns $h "$FLOW" ping 1055 $ip 7000 5; done
sleep 3
for i in $(seq "$RUNS"); do
	for m in get put; do
		once oa "$ip_ours" "$PID_oa" "$PID_ob" $m >> "$T/ours.$m"
		once sa "$ip_stock" "$PID_sa" "$PID_sb" $m >> "$T/stock.$m"
	done
	in_ns oa "$FLOW" ping 1055 "$ip_ours" 7000 2000 >> "$T/ours.ping"
	in_ns sa "$FLOW" ping 1055 "$ip_stock" 7000 2000 >> "$T/stock.ping"
	in_ns oa "$FLOW" connect 1055 "$ip_ours" 7000 300 >> "$T/ours.connect"
	in_ns sa "$FLOW" connect 1055 "$ip_stock" 7000 300 >> "$T/stock.connect"
done
for m in get put; do
	for w in ours stock; do
		echo "one stream, $m, $w: Mb/s $(cut -d' ' -f1 "$T/$w.$m" | spread), CPU s/GB both ends $(cut -d' ' -f2 "$T/$w.$m" | spread)"
	done
done
for m in ping connect; do
	for w in ours stock; do echo "$m, $w: p50 us $(cut -d' ' -f1 "$T/$w.$m" | spread), p99 $(cut -d' ' -f2 "$T/$w.$m" | spread)"; done
done
for h in oa sa; do eval "p=\$PID_$h"; echo "memory after load, $h: RSS $(rss_of "$p") KiB, anonymous $(anon_of "$p") KiB"; done
sleep 10
for h in oa sa; do eval "p=\$PID_$h"; echo "ten seconds later, $h: RSS $(rss_of "$p") KiB, anonymous $(anon_of "$p") KiB"; done
