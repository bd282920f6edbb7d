#!/bin/bash
# Relays on their own: two `coordinator relay` processes of one region, linked to each other, each reached by one of two nodes only;
# both ask our coordinator whom to let in, and let nobody in while it is away. Then a stock derper in the place of the second: it
# asks our /verify too, and the links work both ways. Who may read /metrics, and promtool finds nothing to say about them.
#
#   a (ours) -- only r1 ==== r2 only -- b (stock)        co: control, no relay of its own
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
need_peer derper derp-ws promtool
host co; host r1; host r2; host a; host b
for h in co r1 r2; do eval "ip=\$IP_$h"; mkdir -p "$T/$h"; certificate "$T/$h/tls" "IP:$ip,DNS:$h.test"; done
CO_DIR=$T/co URL=https://$IP_co:8443
node() { eval "local ip=\$IP_$1"; echo "{name: $1, regionid: 901, hostname: $ip, ipv4: $ip, ipv6: none, stunport: 3478, derpport: 8443}"; }
printf 'regions:\n  901:\n    regionid: 901\n    regioncode: pair\n    regionname: A pair\n    nodes:\n      - %s\n      - %s\n' "$(node r1)" "$(node r2)" > "$T/derp.yaml"
cat > "$CO_DIR/config.yaml" <<-END
	state_directory: $CO_DIR/state
	listen: "$IP_co:8443"
	server_url: $URL
	tls: {mode: files, certificate: $CO_DIR/tls.crt, key: $CO_DIR/tls.key}
	base_domain: tail.test
	derp: {enabled: false, map: $T/derp.yaml}
	metrics_listen: "$IP_co:9100"
	system_calls: strict
END
export SSL_CERT_FILE=$CA
coordinator_start
co_cli users create test > /dev/null
od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$T/mesh.key"
echo 'system_calls: strict' > "$T/relay.yaml"
our_relay() { # HOST OTHER OPTIONS...
	local h=$1 ip other; shift
	eval "ip=\$IP_$h other=\$IP_$1"; shift
	start "$h" "$h" "$BIN/coordinator" relay --config "$T/relay.yaml" --state-directory "$T/$h/state" --listen "$ip:8443" --tls files \
		--certificate "$T/$h/tls.crt" --key "$T/$h/tls.key" --mesh-key-file "$T/mesh.key" --mesh-with "https://$other:8443" \
		--mesh-with "https://$ip:8443" --metrics-listen "$ip:9100" --verify-url "$URL/verify" "$@"
	eval "PID_$h=$PID"
	until_ok 30 in_ns "$h" curl -sf "http://$ip:9100/health"
}
metric() { eval "local ip=\$IP_$1"; in_ns "$1" curl -s "http://$ip:9100/metrics" | sed -n "s/^coordinator_$2 //p"; }
at_least() { [ "$(metric "$1" "$2")" -ge "$3" ]; }
our_relay r1 r2; our_relay r2 r1
until_ok 40 at_least r1 derp_links 1; until_ok 40 at_least r2 derp_links 1
[ "$(metric r1 derp_links)" = 1 ] || die "r1 is linked to itself"
say "two relays, linked"

# a reaches r1 only, b r2 only; no UDP but STUN
only() {
	in_ns "$1" nft -f - <<-END
		table inet only {
			chain out {
				type filter hook output priority 0
				ip daddr $2 tcp dport 8443 reject with tcp reset
				ip daddr $2 drop
				meta l4proto udp udp dport != 3478 drop
			}
		}
	END
}
only a "$IP_r2"; only b "$IP_r1"
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"
containerboot a "$key"; ready a
web a 8000; web b 8000
ip_a=$(addr a); ip_b=$(addr b)
until_ok 40 fetch a "http://$ip_b:8000/" b
until_ok 40 fetch b "http://$ip_a:8000/" a
ts b ping -c 2 --until-direct=false "$ip_a" | grep -q 'via DERP(pair)' || die "not over the relay"
for h in r1 r2; do
	at_least $h derp_forwarded_out_total 5 || die "$h forwarded nothing"
	at_least $h derp_forwarded_in_total 5 || die "$h was forwarded nothing"
	at_least $h derp_verify_allowed_total 1 || die "$h asked nobody"
	[ "$(metric $h derp_verify_failed_total)" = 0 ] || die "$h had no verdict"
done
head -c 8000000 /dev/urandom > "$T/b.www/big"; sum=$(sha256sum < "$T/b.www/big")
[ "$(via a "http://$ip_b:8000/big" | sha256sum)" = "$sum" ] || die "8 MB over both relays are damaged"
say "traffic between nodes of different relays, 8 MB with the right checksum"

# strangers
in_ns r1 timeout 60 "$PEERS/derp-ws" "https://$IP_r1:8443/derp" > "$T/stranger" 2>&1 && die "a stranger was let in"
at_least r1 derp_verify_denied_total 1 || die "nobody was refused: $(cat "$T/stranger")"

# metrics: who may read them, and are they well formed
code() { in_ns "$1" curl -sk -o /dev/null -w '%{http_code}' "$2"; }
[ "$(code b "https://$IP_r2:8443/metrics")" = 401 ] || die "metrics of the relay are open to everybody"
[ "$(code b "$URL/metrics")" = 401 ] || die "metrics of the coordinator are open to everybody"
[ "$(code b "http://$IP_r2:9100/metrics")" = 200 ] || die "metrics_listen does not answer"
for p in / /derp /verify /api/v1/node /key; do
	for h in co r2; do eval "ip=\$IP_$h"; [ "$(code b "http://$ip:9100$p")" = 404 ] || die "metrics_listen of $h answers $p"; done
done
for h in co r1 r2; do
	eval "ip=\$IP_$h"
	in_ns $h curl -sf "http://$ip:9100/metrics" > "$T/$h.metrics"
	"$PEERS/promtool" check metrics < "$T/$h.metrics" > "$T/promtool" 2>&1 && [ ! -s "$T/promtool" ] || die "promtool on $h: $(cat "$T/promtool")"
done
in_ns co curl -sf --unix-socket "$CO_DIR/state/coordinator.sock" http://x/metrics | "$PEERS/promtool" check metrics || die "promtool on the socket's answer"
say "metrics are clean"

# the coordinator is away: a relay that knows nobody lets nobody in
stop "$CO_PID"; stop "$PID_r1"
our_relay r1 r2
until_ok 30 at_least r1 derp_verify_failed_total 1
[ "$(metric r1 derp_verify_allowed_total)" = 0 ] || die "somebody was let in while nobody could be asked"
coordinator_start
until_ok 60 fetch a "http://$ip_b:8000/" b
say "closed while the coordinator is away, open again"
stop "$CO_PID"; stop "$PID_r1"
our_relay r1 r2 --verify-fail-open
until_ok 60 fetch a "http://$ip_b:8000/" b
at_least r1 derp_verify_failed_total 1 || die "r1 had a verdict"
coordinator_start
say "open meanwhile with --verify-fail-open"

# a stock derper in the place of r2
stop "$PID_r2"
mkdir -p "$T/r2/certs"
cp "$T/r2/tls.crt" "$T/r2/certs/$IP_r2.crt"; cp "$T/r2/tls.key" "$T/r2/certs/$IP_r2.key"
start r2 derper "$PEERS/derper" -a "$IP_r2:8443" -http-port -1 -stun-port 3478 -hostname "$IP_r2" -certmode manual -certdir "$T/r2/certs" -c "$T/r2/derper.json" \
	-mesh-psk-file "$T/mesh.key" -mesh-with "$IP_r1:8443" -verify-client-url "$URL/verify" -verify-client-url-fail-open=false
before=$(metric r1 derp_forwarded_out_total)
until_ok 60 fetch a "http://$ip_b:8000/" b
until_ok 40 fetch b "http://$ip_a:8000/" a
at_least r1 derp_links 1 || die "no link to the stock derper"
at_least r1 derp_forwarded_out_total $((before + 5)) || die "nothing went over the link to the stock derper"
[ "$(via a "http://$ip_b:8000/big" | sha256sum)" = "$sum" ] || die "8 MB over ours and the stock derper are damaged"
in_ns r2 timeout 60 "$PEERS/derp-ws" "https://$IP_r2:8443/derp" > "$T/stranger" 2>&1 && die "the stock derper let a stranger in"
say "ours and a stock derper, linked; both ask our coordinator"
