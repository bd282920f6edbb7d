#!/bin/bash
# A port mapped at a real gateway (miniupnpd) by UPnP, NAT-PMP and PCP: it appears, a peer behind the worst kind of NAT reaches us
# through it directly where without it both stay on the relay, netcheck tells which service is there, a gateway that restarts and
# has forgotten the port is asked again while there is traffic, SIGTERM gives it back.
# Without the switch not one packet goes to the gateway's services.
#
#   a (ours) -- lan 192.168.7.0/24 -- gwa (masquerade, miniupnpd) --+-- hub: headscale, relay
#   b (stock) -- lan 192.168.8.0/24 -- gwb (masquerade, a random port for each destination) --+
#
# miniupnpd does not map to addresses from private or reserved ranges: gwa's outside is in 11.0.0.0/8, which is nobody's here.
# waits: 110
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
need_peer miniupnpd
relay r
headscale
host gwa 4; host gwb 4

# outside address of gwa in another net on the same wire
for h in hs r gwb; do in_ns $h ip route add 11.77.0.0/24 dev eth0; done
in_ns gwa ip addr flush dev eth0
in_ns gwa ip addr add "11.77.0.$n_hosts/24" dev eth0
OUT=11.77.0.$n_hosts
in_ns gwa ip route add 10.77.0.0/24 dev eth0

# behind NAME GATEWAY NET: a namespace on a wire of its own with the gateway
behind() {
	local ns=tp$ID-$1 gw=tp$ID-$2
	ip netns add "$ns"; NS+=("$ns")
	ip -n "$ns" link set lo up
	ip -n "$ns" link add eth0 type veth peer name lan0 netns "$gw"
	ip -n "$ns" addr add "$3.2/24" dev eth0
	ip -n "$gw" addr add "$3.1/24" dev lan0
	ip -n "$ns" link set eth0 up
	ip -n "$gw" link set lan0 up
	ip -n "$ns" route add default via "$3.1"
	in_ns "$2" sysctl -qw net.ipv4.ip_forward=1
}
behind a gwa 192.168.7
behind b gwb 192.168.8
in_ns gwb nft -f - <<-END
	table inet box {
		chain post {
			type nat hook postrouting priority 100;
			oifname eth0 masquerade fully-random
		}
		chain input {
			type filter hook input priority 0;
			iifname eth0 ct state new drop
		}
	}
END
in_ns gwa nft -f - <<-END
	table inet gateway {
		counter asked { }
		chain input {
			type filter hook input priority 0;
			iifname eth0 ct state new drop
			iifname lan0 meta l4proto { tcp, udp } th dport { 1900, 5000, 5351 } counter name asked
			jump closed
		}
		chain closed { }
		chain post {
			type nat hook postrouting priority 110; oifname eth0 masquerade
		}
		chain forward {
			type filter hook forward priority 10; iifname eth0 ct state new ct status & dnat != dnat drop
		}
	}
	table inet upnp {
		chain forward { type filter hook forward priority 0; policy accept; jump ports; }
		chain ports { }
		chain prerouting { type nat hook prerouting priority -100; policy accept; jump in_ports; }
		chain postrouting { type nat hook postrouting priority 100; policy accept; jump out_ports; }
		chain in_ports { }
		chain out_ports { }
	}
END
# only SERVICE: which of the three answers; NAT-PMP and PCP share a port and differ in the first byte
only() {
	in_ns gwa nft flush chain inet gateway closed
	[ "$1" = upnp ] || in_ns gwa nft add rule inet gateway closed udp dport 1900 drop
	case $1 in
	upnp) in_ns gwa nft add rule inet gateway closed udp dport 5351 drop ;;
	pmp) in_ns gwa nft add rule inet gateway closed udp dport 5351 @th,64,8 2 drop ;;
	pcp) in_ns gwa nft add rule inet gateway closed udp dport 5351 @th,64,8 0 drop ;;
	esac
}
cat > "$T/miniupnpd.conf" <<-END
	ext_ifname=eth0
	listening_ip=lan0
	http_port=5000
	enable_natpmp=yes
	enable_upnp=yes
	secure_mode=yes
	min_lifetime=120
	max_lifetime=86400
	lease_file=$T/leases
	uuid=dc38e145-4467-4f46-ac82-8e93cbb6b00b
	upnp_table_name=upnp
	upnp_nat_table_name=upnp
	upnp_forward_chain=ports
	upnp_nat_chain=in_ports
	upnp_nat_postrouting_chain=out_ports
	allow 1024-65535 192.168.7.0/24 1024-65535
	deny 0-65535 0.0.0.0/0 0-65535
END
gateway() {
	: > "$T/leases"
	start gwa miniupnpd "$PEERS/miniupnpd" -d -f "$T/miniupnpd.conf" -P "$T/miniupnpd.pid"
	PID_upnpd=$PID
	until_ok 30 in_ns gwa sh -c 'ss -uln | grep -q :5351 && ss -tln | grep -q :5000'
}
mapped() { in_ns gwa nft list chain inet upnp in_ports | grep -q 'dnat ip to 192.168.7.2:'; }
unmapped() { ! mapped; }
port() { in_ns gwa nft list chain inet upnp in_ports | sed -n 's/.*dport \([0-9]*\).*dnat.*/\1/p' | head -n 1; }
offered() { # the mapped address is what peers are told first
	in_ns a curl -s --unix-socket "$T/a.sock" -H 'Host: local-tailscaled.sock' http://x/localapi/v0/status |
		jq -e --arg e "$OUT:$(port)" '.Self.Addrs[0] == $e'
}
via_port() { ts b ping -c 1 --timeout 2s "$ip_a" 2>&1 | grep -q "via $OUT:$(port) "; }
asked() { in_ns gwa nft -j list counter inet gateway asked | jq '.nftables[] | select(.counter) | .counter.packets'; }
found() { in_ns a env TS_SOCKET="$T/a.sock" "$BIN/containerboot" netcheck | grep -qxF $'\t'"* $1"; }

gateway
key=$(authkey --reusable)
web a 8000; web b 8000
tailscaled b; ts_up b "$key"
containerboot a "$key" TS_DEBUG_SANDBOX=strict
ready a
ip_a=$(addr a); ip_b=$(addr b)
until_ok 40 fetch a "http://$ip_b:8000/" b
until_ok 40 ts b ping -c 1 --until-direct=false --timeout 3s "$ip_a"
for _ in 1 2 3 4 5 6; do
	ts b ping -c 1 --timeout 10s "$ip_a" 2>&1 | tee "$T/ping" | grep -q 'via DERP(r)' || die "the NATs let a direct path through: $(cat "$T/ping")"
	sleep 0.5
done
[ "$(asked)" = 0 ] || die "$(asked) packets went to the gateway without TS_PORT_MAPPING"
found 'PortMapping: ' || die "netcheck knows of services that were not asked for"
stop "$PID_a"
say "without a mapping: relayed, and the gateway was not asked"

for service in upnp pmp pcp; do
	only $service
	containerboot a "$key" TS_DEBUG_SANDBOX=strict TS_PORT_MAPPING=true
	ready a
	until_ok 30 mapped
	until_ok 30 offered
	say "$service: port $(port) is mapped and offered"
	until_ok 40 via_port || die "$service: b does not reach a through the mapped port"
	until_ok 40 fetch a "http://$ip_b:8000/" b # a is new: b still has the session of before
	until_ok 40 fetch b "http://$ip_a:8000/" a
	case $service in upnp) name=UPnP ;; pmp) name=NAT-PMP ;; pcp) name=PCP ;; esac
	found "PortMapping: $name" || die "netcheck does not show $name, and that alone"
	found "Mapped port: $OUT:$(port)" || die "netcheck does not show the port"
	say "$service: direct through the port"
	before=$(port)
	stop "$PID_upnpd"
	for chain in ports in_ports out_ports; do in_ns gwa nft flush chain inet upnp $chain; done
	gateway
	unmapped || die "the restarted gateway still knows the port"
	again() { fetch b "http://$ip_a:8000/" a || true; mapped; }
	until_ok 90 again || die "$service: nobody asked the restarted gateway"
	[ "$(port)" = "$before" ] || die "$service: another port after the restart"
	say "$service: the same port again from a gateway that had forgotten it"
	stop "$PID_a"
	rc=0; wait "$PID_a" || rc=$?
	[ "$rc" = 0 ] || die "$service: exit code $rc after SIGTERM"
	until_ok 30 unmapped || die "$service: the port is still mapped after SIGTERM"
	! grep -q 'leaving anyway' "$T/a.log" || die "$service: the gateway did not confirm"
	say "$service: given back at SIGTERM"
done
