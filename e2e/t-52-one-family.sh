#!/bin/bash
# One of ours on a host with IPv6 only and one on a host with IPv4 only: control, STUN, relay, direct path to a stock node that has
# both, pages both ways, and between the two over the relay. Counters in the namespaces see no packet to any address besides
# control, relay, peers.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
relay r
headscale
host b; host six 6; host four 4
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"
for h in b six four; do web $h 8000; done
for h in six four; do
	in_ns $h nft -f - <<-END
		table inet watch {
			set to4 { type ipv4_addr . inet_proto . inet_service; flags dynamic; size 4096; }
			set to6 { type ipv6_addr . inet_proto . inet_service; flags dynamic; size 4096; }
			chain out {
				type filter hook output priority 0; oifname "lo" accept
				meta l4proto { tcp, udp } update @to4 { ip daddr . meta l4proto . th dport }
				meta l4proto { tcp, udp } update @to6 { ip6 daddr . meta l4proto . th dport }
			}
		}
	END
done
containerboot six "$key" TS_LOGIN_SERVER="https://[$IP6_hs]:8443"
containerboot four "$key"
ready six; ready four
ip_b=$(addr b); ip_six=$(addr six); ip_four=$(addr four)
until_ok 40 fetch six "http://$ip_b:8000/" b; until_ok 40 fetch b "http://$ip_six:8000/" six
until_ok 40 fetch four "http://$ip_b:8000/" b; until_ok 40 fetch b "http://$ip_four:8000/" four
until_ok 40 fetch six "http://four:8000/" four; until_ok 40 fetch four "http://six:8000/" six
via6() { ts six ping -c 1 --timeout 2s "$ip_b" 2>&1 | grep -q "via \[$IP6_b\]:41641"; }
via4() { ts four ping -c 1 --timeout 2s "$ip_b" 2>&1 | grep -q "via $IP_b:41641"; }
until_ok 40 via6; until_ok 40 via4
ts six ping -c 1 --timeout 10s "$ip_four" 2>&1 | grep -q "via DERP(r)" || die "the two families meet elsewhere than at the relay"
ts six netcheck 2>&1 | tee "$T/six.netcheck" | grep -q 'IPv6: yes' || die "no IPv6 in netcheck: $(cat "$T/six.netcheck")"
ts four netcheck 2>&1 | tee "$T/four.netcheck" | grep -q 'IPv4: yes' || die "no IPv4 in netcheck: $(cat "$T/four.netcheck")"
stun() { ts "$1" debug prefs > /dev/null; in_ns "$1" curl -s --unix-socket "$T/$1.sock" -H 'Host: local-tailscaled.sock' http://x/localapi/v0/status | jq -r '.Self.Relay'; }
for h in six four; do [ "$(stun $h)" = r ] || die "$h has home $(stun $h)"; done
say "IPv6 alone, IPv4 alone"
sleep 30 # netcheck rounds, heartbeats, keepalives
for h in six four; do
	in_ns $h nft -j list sets | jq -r '.nftables[] | select(.set) | .set.elem // [] | .[] | .concat | join(" ")' | sort -u > "$T/$h.sent"
	echo "$h sent to:"; cat "$T/$h.sent"
	[ -s "$T/$h.sent" ] || die "$h: nothing was counted"
	while read -r to proto port; do
		case "$to $proto $port" in
		"$IP_hs tcp 8443" | "$IP6_hs tcp 8443") ;;                                    # control
		"$IP_r tcp 8443" | "$IP6_r tcp 8443" | "$IP_r udp 3478" | "$IP6_r udp 3478") ;; # relay and STUN
		"$IP_b udp "* | "$IP6_b udp "* | "$IP_four udp "* | "$IP6_six udp "*) ;;        # peers
		*) die "$h sent $proto to $to port $port" ;;
		esac
	done < "$T/$h.sent"
done
say "no packet went anywhere else"
ends six; ends four
