#!/bin/bash
# Tailnets of 10, 1,000 and 10,000 peers on our coordinator, control and relay over TLS: RUNS nodes of ours, and as many tailscaled alone in
# a tailnet like it at the same time; each node is one sample. Printed: peak of the resident memory until half a minute after the first map
# (it comes with the start and the first handshakes), resident and anonymous memory a minute after ready, wake-ups a second (voluntary
# context switches of all threads) in the minute after that. The other peers are in the netmap and never online (bench/nodes.py).
if [ -z "${KIND:-}" ]; then # what one kind tells control would wake up the other
	KIND=ours bash "$0" & o=$!
	KIND=stock bash "$0" & s=$!
	wait $o; wait $s
	exit
fi
. "$(dirname "$0")/lib.sh"
coordinator
key=$(authkey --reusable)
gone_key=$(authkey --reusable --ephemeral) # these are forgotten before the next size
hosts=$(for i in $(seq "$RUNS"); do echo "h$i"; done)
for h in $hosts; do host "$h"; done
pid() { eval "echo \$PID_$1"; }
wakes_of() { cat "/proc/$1/task/"*/status | awk '/^voluntary/ {n += $2} END {print n}'; }
peak_of() { awk '/^VmHWM/ {print $2}' "/proc/$1/status"; }
each() { local h; for h in $hosts; do "$1" "$(pid "$h")"; done; }
host first; containerboot first "$key"; ready first; stop "$(pid first)"
have=1
for n in ${PEERS_N:-10 1000 10000}; do
	stop "$CO_PID"
	python3 bench/nodes.py "$CO_DIR/state/coordinator.db" $((n - have)); have=$n
	coordinator_start
	for h in $hosts; do
		rm -rf "$T/$h.state"
		if [ $KIND = ours ]; then containerboot "$h" "$gone_key"; ready "$h"; else tailscaled "$h" --state=mem:; ts_up "$h" "$gone_key"; fi
	done
	sleep 30
	echo "peak around the first map of $n peers, $KIND: KiB $(each peak_of | spread)"
	sleep 30
	echo "a minute after ready with $n peers, resident / anonymous, $KIND: KiB $(each rss_of | spread) / $(each anon_of | spread)"
	each wakes_of > "$T/wakes"
	sleep 60
	echo "wake-ups a second, idle with $n peers, $KIND: $(each wakes_of | paste - "$T/wakes" | awk '{printf "%.2f\n", ($1 - $2) / 60}' | spread)"
	for h in $hosts; do stop "$(pid "$h")"; done
	sleep 7
done
