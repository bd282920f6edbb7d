#!/bin/bash
# exec -> first byte through SOCKS5 from a program behind a stock peer, ours and stock in turns: with a fresh key and with kept state,
# with Headscale's defaults and with its batching tuned down. The stock side is tailscaled and `tailscale up`, without containerboot.
. "$(dirname "$0")/lib.sh"
headscale
key=$(authkey --reusable)
host p; host o; host s
tailscaled p; ts_up p "$key"
start p flow "$FLOW" serve 7000
ip_p=$(addr p)
cat > "$T/stock" <<END
#!/bin/sh
export SSL_CERT_FILE=$CA TS_NO_LOGS_NO_SUPPORT=true HOME=$T
$PEERS/tailscaled --statedir=$T/s.state --state=$T/s.state/tailscaled.state --socket=$T/s.sock --tun=userspace-networking --socks5-server=127.0.0.1:1055 > $T/s.log 2>&1 &
while ! [ -S $T/s.sock ]; do sleep 0.01; done
$PEERS/tailscale --socket=$T/s.sock up --login-server=$URL --authkey=$key --hostname=s --accept-dns=false >> $T/s.log 2>&1
wait
END
chmod +x "$T/stock"
ours() { in_ns o "$FLOW" start 1055 "$ip_p" 7000 env SSL_CERT_FILE="$CA" TS_AUTHKEY="$key" TS_LOGIN_SERVER="$URL" TS_HOSTNAME=o TS_STATE_DIR="$T/o.state" TS_SOCKET="$T/o.sock" TS_SOCKS5_SERVER=127.0.0.1:1055 "$BIN/containerboot" 2> "$T/o.log"; }
stock() { rm -f "$T/s.sock"; in_ns s "$FLOW" start 1055 "$ip_p" 7000 "$T/stock" 2> "$T/s.err"; }
for tuned in "Headscale's defaults" "tuned Headscale"; do
	if [ "$tuned" = "tuned Headscale" ]; then
		kill "$HS_PID"; wait "$HS_PID" 2> /dev/null || true
		echo 'tuning: {node_store_batch_timeout: 2ms, batch_change_delay: 5ms}' >> "$HS_DIR/config.yaml"
		headscale_start; sleep 3
	fi
	for _ in $(seq "$RUNS"); do
		for w in ours stock; do
			rm -rf "$T/o.state" "$T/s.state"; mkdir -p "$T/o.state" "$T/s.state"
			$w >> "$T/fresh.$w"
			sleep 8 # the peer trusts the old path for 6.5 s: a restart after that; then the same from what was kept
			$w >> "$T/kept.$w"
		done
	done
	for k in fresh kept; do for w in ours stock; do echo "exec to first byte, $k, $tuned, $w: ms $(spread < "$T/$k.$w")"; rm "$T/$k.$w"; done; done
done
