#!/bin/bash
# Memory of one node (KiB resident and anonymous), ours beside tailscaled alone, control and relay over TLS: idle a minute after ready,
# per idle proxied connection, with 100 stalled downloads and 4 that run, ten seconds after, after 1 GiB and a minute.
. "$(dirname "$0")/lib.sh"
headscale
key=$(authkey --reusable)
for h in oa ob sa sb; do host $h; done
containerboot oa "$key"; containerboot ob "$key"
tailscaled sa; tailscaled sb; ts_up sa "$key"; ts_up sb "$key"
ready oa; ready ob
for h in ob sb; do start $h flow-$h "$FLOW" serve 7000; done
ip_o=$(addr ob); ip_s=$(addr sb)
for w in o s; do eval "ip=\$ip_$w"; until_ok 20 in_ns ${w}a "$FLOW" ping 1055 "$ip" 7000 5; done
figure() { # WHAT
	local w p q
	for w in o s; do
		eval "p=\$PID_${w}a q=\$PID_${w}b"
		echo "$1, $([ $w = o ] && echo ours || echo stock): out $(rss_of "$p") / $(anon_of "$p"), in $(rss_of "$q") / $(anon_of "$q")"
	done
}
sleep "${IDLE:-60}"
figure "idle, resident / anonymous KiB"
N=${CONNS:-1000}
for w in o s; do
	eval "p=\$PID_${w}a q=\$PID_${w}b ip=\$ip_$w"
	a0=$(anon_of "$p") b0=$(anon_of "$q")
	start ${w}a idle-$w "$FLOW" idle 1055 "$ip" 7000 "$N"; h=$PID
	until_ok 120 grep -q open "$T/idle-$w.log"
	sleep 10
	echo "idle proxied connections, $N, $w: bytes each $((($(anon_of "$p") - a0) * 1024 / N)) out, $((($(anon_of "$q") - b0) * 1024 / N)) in"
	stop "$h"
done
sleep 10
for w in o s; do
	eval "ip=\$ip_$w"
	start ${w}a stall-$w "$FLOW" stall 1055 "$ip" 7000 100; eval "stall_$w=\$PID"
	until_ok 60 grep -q open "$T/stall-$w.log"
	run=()
	for i in 1 2 3 4; do in_ns ${w}a "$FLOW" get 1055 "$ip" 7000 5 > "$T/run.$w.$i" & run+=("$!"); done
	sleep 4; figure "100 stalled and 4 running downloads ($w)"
	wait "${run[@]}"
done
stop "$stall_o"; stop "$stall_s"
sleep 10; figure "ten seconds after they are gone"
for w in o s; do
	eval "ip=\$ip_$w"
	for m in get put; do in_ns ${w}a "$FLOW" $m 1055 "$ip" 7000 4 > /dev/null; done
done
sleep 60; figure "a minute after about 1 GiB each way"
