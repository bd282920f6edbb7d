#!/bin/bash
# The relay over WebSocket against the stock client's own DERP library, in clear and over TLS: packets of all sizes between two
# WebSocket clients and one that is none, ping, orderly close, text and a missing subprotocol refused; with verify_clients a
# stranger is not let in by this door either. The answers of the relay are then counted in its metrics.
. "$(dirname "$0")/lib.sh"
need_peer derp-ws
ws() { in_ns co env SSL_CERT_FILE="$CA" timeout 90 "$PEERS/derp-ws" "$URL/derp"; }
host co
CO_DIR=$T/co; mkdir -p "$CO_DIR"
serve() { # TLS-MODE VERIFY
	URL=$([ "$1" = off ] && echo http || echo https)://$IP_co:8443 CA=$CO_DIR/state/tls.crt
	cat > "$CO_DIR/config.yaml" <<-END
	state_directory: $CO_DIR/state
	listen: "$IP_co:8443"
	server_url: $URL
	tls: {mode: $1}
	derp: {verify_clients: $2}
	system_calls: strict
	END
	coordinator_start
}
metric() { in_ns co curl -s --unix-socket "$CO_DIR/state/coordinator.sock" http://x/metrics | sed -n "s/^coordinator_$1 //p"; }

for mode in off self; do
	serve $mode false
	[ "$(ws)" = ok ] || die "the stock library over WebSocket, tls $mode"
	[ "$(metric derp_websockets_total)" = 5 ] || die "$(metric derp_websockets_total) WebSockets were counted"
	[ "$(metric derp_websockets_malformed_total)" = 1 ] || die "the text message was not counted"
	stop "$CO_PID"
	say "WebSocket with tls $mode"
done
serve off true
! ws > "$T/stranger" 2>&1 || die "a stranger was let in by WebSocket"
grep -q 'did not arrive\|EOF\|closed\|connect by' "$T/stranger" || die "refused in another way: $(cat "$T/stranger")"
