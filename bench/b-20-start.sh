#!/bin/bash
# exec -> first byte through SOCKS5 from a program behind a stock peer, ours and stock in turns: with a fresh key and with kept state
# (netmap and disco key with it), with Headscale's defaults and with its batching tuned down; then exec -> the control server has the
# register request, which our coordinator tells to the millisecond. All over TLS. The stock side is tailscaled and `tailscale up`,
# without containerboot.
. "$(dirname "$0")/lib.sh"
PORT=7000
ours() { in_ns o "$FLOW" start 1055 "$target" $PORT env SSL_CERT_FILE="$CA" TS_AUTHKEY="$key" TS_LOGIN_SERVER="$URL" TS_HOSTNAME=o TS_STATE_DIR="$T/o.state" TS_SOCKET="$T/o.sock" TS_SOCKS5_SERVER=127.0.0.1:1055 "$BIN/containerboot" 2> "$T/o.log"; }
stock() { rm -f "$T/s.sock"; in_ns s "$FLOW" start 1055 "$target" $PORT "$T/stock" 2> "$T/s.err"; }
# a stock node on HOST with a server behind it; its address in $target
target() {
	host "$1"
	tailscaled "$1"; ts_up "$1" "$key"
	start "$1" "flow-$1" "$FLOW" serve $PORT
	target=$(addr "$1")
	cat > "$T/stock" <<-END
	#!/bin/sh
	export SSL_CERT_FILE=$CA TS_NO_LOGS_NO_SUPPORT=true HOME=$T
	$PEERS/tailscaled --statedir=$T/s.state --state=$T/s.state/tailscaled.state --socket=$T/s.sock --tun=userspace-networking --socks5-server=127.0.0.1:1055 > $T/s.log 2>&1 &
	while ! [ -S $T/s.sock ]; do sleep 0.01; done
	$PEERS/tailscale --socket=$T/s.sock up --login-server=$URL --authkey=$key --hostname=s --accept-dns=false >> $T/s.log 2>&1
	wait
	END
	chmod +x "$T/stock"
}
forget() { rm -rf "$T/o.state" "$T/s.state"; mkdir -p "$T/o.state" "$T/s.state"; }
figure() { for w in ours stock; do echo "$2, $w: ms $(cut -d' ' -f1 "$T/$1.$w" | spread)"; rm "$T/$1.$w"; done; }

host o; host s
headscale
key=$(authkey --reusable)
target p
for tuned in "Headscale's defaults" "tuned Headscale"; do
	if [ "$tuned" = "tuned Headscale" ]; then
		kill "$HS_PID"; wait "$HS_PID" 2> /dev/null || true
		echo 'tuning: {node_store_batch_timeout: 2ms, batch_change_delay: 5ms}' >> "$HS_DIR/config.yaml"
		headscale_start; sleep 3
	fi
	for _ in $(seq "$RUNS"); do
		forget
		for w in ours stock; do $w >> "$T/fresh.$w"; done
		sleep 8 # the peer trusts the old path for 6.5 s: a restart after that; then the same from what was kept
		for w in ours stock; do $w >> "$T/kept.$w"; done
	done
	figure fresh "exec to first byte, fresh key, $tuned"
	figure kept "exec to first byte, kept state, $tuned"
done

coordinator
key=$(authkey --reusable)
target q
# milliseconds from exec ($2 of flow's line) to the newest registration in the coordinator's log
registered() {
	local at
	at=$(grep -E 'audit: node .* registered' "$T/coordinator.log" | tail -n 1 | cut -d' ' -f1)
	echo $(($(date -d "$at" +%s%3N) - $1))
}
for _ in $(seq "$RUNS"); do
	forget
	for w in ours stock; do
		line=$($w)
		echo "$line" >> "$T/first.$w"
		registered "${line#* }" >> "$T/register.$w"
	done
done
figure register "exec to register request"
figure first "exec to first byte, fresh key, our coordinator"
