#!/bin/bash
# Three real derpers 5, 20 and 80 ms away (bench/impair.c between each and the wire): the nearest becomes home, of ours and of a stock
# node alike. It is killed under checksummed relayed streams of both directions: home moves to the next and no byte is lost.
#
#   a (ours), c (ours), b (stock), headscale -- hub -- x5, x20, x80 === 5, 20, 80 ms === r5, r20, r80
# waits: 50
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
need_peer derper tailscaled
${CC:-gcc} -std=gnu17 -D_GNU_SOURCE -O2 -o "$T/impair" bench/impair.c
far=() net=0
# distant RTT: a relay behind a gate; its address is 10.88.N.2
distant() {
	local r=r$1 x=x$1 region
	net=$((net + 1)); region=$((900 + $1))
	host "$x" 4; host "$r" 4
	ip -n "tp$ID-$r" link set eth0 down # only the slow link
	start "$x" "impair-$1" "$T/impair" "tp$ID-$x" "tp$ID-$r" 10.88.$net.1 10.88.$net.2 "$1" 0 0 0 0 0 "$net"
	until_ok 30 grep -q ready "$T/impair-$1.log"
	in_ns "$x" sysctl -qw net.ipv4.ip_forward=1
	ip -n "tp$ID-$r" route replace default dev bad0
	eval "far+=(\"10.88.$net.2 via \$IP_$x\"); IP_$r=10.88.$net.2 IP6_$r=none REGION_$r=$region"
	mkdir -p "$T/$r.certs"
	certificate "$T/$r.certs/$r.test" "IP:10.88.$net.2,DNS:$r.test"
	RELAYS+=("$r")
	relay_start "$r"
}
distant 80; distant 5; distant 20 # the nearest neither first nor last
headscale
host a 4; host b 4; host c 4
for h in a b c; do
	for f in "${far[@]}"; do in_ns $h ip route add $f; done
	in_ns $h nft -f - <<-END
		table inet relayed {
			chain out {
				type filter hook output priority 0
				oifname eth0 meta l4proto udp udp dport != 3478 drop
			}
		}
	END
done
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"
containerboot a "$key"; containerboot c "$key"
ready a; ready c
for h in a b c; do web $h 8000; done
ip_a=$(addr a); ip_b=$(addr b); ip_c=$(addr c)
home() { in_ns "$1" curl -s --unix-socket "$T/$1.sock" -H 'Host: local-tailscaled.sock' http://x/localapi/v0/status | jq -r .Self.Relay; }
# with traffic all the while: who has none looks at the network once, and one late answer on a busy machine would decide for good
is_home() {
	local h
	for h in a b c; do
		[ "$(home $h)" = "$1" ] || { fetch a "http://$ip_b:8000/" b; fetch b "http://$ip_a:8000/" a; fetch c "http://$ip_a:8000/" a; return 1; }
	done
}
until_ok 40 is_home r5 || die "homes are $(home a), $(home b), $(home c)"
in_ns a env TS_SOCKET="$T/a.sock" "$BIN/containerboot" netcheck | sed -n 's/^\t\t- */figure: t-44-three-relays: latency of /p'
say "the nearest relay is home, of ours and of stock"
until_ok 30 fetch a "http://$ip_b:8000/" b; until_ok 30 fetch b "http://$ip_a:8000/" a; until_ok 30 fetch c "http://$ip_a:8000/" a
via_relay() { ts "$1" ping -c 1 --until-direct=false --timeout 3s "$2" 2>&1 | grep -q "via DERP($3)"; }
until_ok 40 via_relay a "$ip_b" r5
big 100
RATE=1000000
stream pull a "$ip_b"  # stock to us
stream push b "$ip_a"  # us to stock
stream ours c "$ip_a"  # us to us
for s in pull push ours; do until_ok 30 moves $s; done
sleep 3
t0=$(date +%s%N)
kill -9 "$PID_r5"
wait "$PID_r5" 2> /dev/null || true
# readers keep an even pace out of buffers, so what counts is the new path, and that the rest of the bytes came over it
for h in a b c; do
	moved() { [ "$(home $h)" = r20 ]; }
	until_ok 30 moved || die "home of $h is $(home $h)"
	echo "figure: t-44-three-relays: home of $h moved within $((($(date +%s%N) - t0) / 1000000)) ms"
done
until_ok 30 via_relay a "$ip_b" r20; until_ok 30 via_relay b "$ip_a" r20; until_ok 30 via_relay c "$ip_a" r20
echo "figure: t-44-three-relays: all pairs meet at the next relay within $((($(date +%s%N) - t0) / 1000000)) ms"
for s in pull push ours; do
	[ "$(tail -n 1 "$T/$s.record" | cut -d ' ' -f 2)" -lt $((85 << 20)) ] || die "$s was over before the relay was missed"
	until_ok 30 moves $s
done
say "home moved to the next nearest, the streams go on"
for s in pull push ours; do arrived $s; done
say "no byte was lost"
