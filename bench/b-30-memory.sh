#!/bin/bash
# Memory of one node (KiB resident and anonymous), RUNS nodes of ours beside as many tailscaled alone, control and relay over TLS: idle a
# minute after ready, per idle proxied connection, with 100 stalled downloads and 4 that run, ten seconds after, after about 1 GiB and a
# minute. Every node is one sample; all fetch from one node of their kind.
. "$(dirname "$0")/lib.sh"
headscale
key=$(authkey --reusable)
names() { for i in $(seq "$RUNS"); do echo "$1$i"; done; }
for h in ob sb $(names o) $(names s); do host "$h"; done
for h in ob $(names o); do containerboot "$h" "$key"; done
for h in sb $(names s); do tailscaled "$h"; ts_up "$h" "$key"; done
for h in ob $(names o); do ready "$h"; done
for h in ob sb; do start $h flow-$h "$FLOW" serve 7000; done
ip_o=$(addr ob); ip_s=$(addr sb)
for w in o s; do eval "ip=\$ip_$w"; for h in $(names $w); do until_ok 20 in_ns "$h" "$FLOW" ping 1055 "$ip" 7000 5; done; done
kind() { [ "$1" = o ] && echo ours || echo stock; }
rss() { local h p; for h in $(names "$1"); do eval "p=\$PID_$h"; rss_of "$p"; done | spread; }
anon() { local h p; for h in $(names "$1"); do eval "p=\$PID_$h"; anon_of "$p"; done | spread; }
figure() { local w; for w in o s; do echo "$1, $(kind $w): KiB $(rss $w) / $(anon $w)"; done; }
sleep "${IDLE:-60}"
figure "idle with $((2 * RUNS + 1)) peers, resident / anonymous"

N=${CONNS:-500}
for i in $(seq "$RUNS"); do
	held=()
	for w in o s; do
		eval "p=\$PID_$w$i ip=\$ip_$w"
		eval "before_$w=$(anon_of "$p")"
		start "$w$i" "idle-$w" "$FLOW" idle 1055 "$ip" 7000 "$N"; held+=("$PID")
	done
	for w in o s; do until_ok 120 grep -q open "$T/idle-$w.log"; done
	sleep 8
	for w in o s; do
		eval "p=\$PID_$w$i before=\$before_$w"
		echo $((($(anon_of "$p") - before) * 1024 / N)) >> "$T/conn.$w"
	done
	for p in "${held[@]}"; do stop "$p"; done
done
for w in o s; do echo "each of $N idle proxied connections, $(kind $w): bytes $(spread < "$T/conn.$w")"; done

for i in $(seq "$RUNS"); do
	held=()
	for w in o s; do
		eval "p=\$PID_$w$i ip=\$ip_$w"
		start "$w$i" "stall-$w" "$FLOW" stall 1055 "$ip" 7000 100; held+=("$PID")
		if within 15 grep -q open "$T/stall-$w.log" > /dev/null; then echo all >> "$T/answered.$w"; fi
		run=()
		for _ in 1 2 3 4; do in_ns "$w$i" "$FLOW" get 1055 "$ip" 7000 4 > /dev/null & run+=("$!"); done
		sleep 3; rss_of "$p" >> "$T/stalled.$w"; anon_of "$p" >> "$T/stalled-anon.$w"
		wait "${run[@]}"
	done
	for p in "${held[@]}"; do stop "$p"; done
done
for w in o s; do echo "100 stalled downloads, $(kind $w): all had their first byte within 15 s in $(cat "$T/answered.$w" 2> /dev/null | wc -l) of $RUNS runs"; done
for w in o s; do echo "100 stalled and 4 running downloads, resident / anonymous, $(kind $w): KiB $(spread < "$T/stalled.$w") / $(spread < "$T/stalled-anon.$w")"; done
sleep 10; figure "ten seconds after they are gone, resident / anonymous"

for i in $(seq "$RUNS"); do
	for w in o s; do
		eval "ip=\$ip_$w"
		for m in get put; do in_ns "$w$i" "$FLOW" $m 1055 "$ip" 7000 4 >> "$T/bytes.$w"; done
	done
done
sleep 60
for w in o s; do echo "bytes of one transfer, $(kind $w): $(cut -d' ' -f2 "$T/bytes.$w" | spread)"; done
figure "a minute after two such transfers, resident / anonymous"
