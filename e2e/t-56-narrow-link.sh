#!/bin/bash
# A link that becomes too narrow for full packets while ICMP is blocked, between ours and a stock node, under transfers and before new
# ones: each goes on, whoever sends, whichever end is behind the link. What was direct goes by the relay meanwhile. (TCP to control and
# relay passes the link because its routers lower the segment size, as such routers do.)
#
#   hs, s (stock), o (ours) -- hub -- r2 == narrow == r1 -- so (stock), oo (ours)
# waits: 110
. "$(dirname "$0")/lib.sh"
. e2e/core.sh
headscale --fast
host s; host o
# wire NS_A DEV_A END_A NS_B DEV_B END_B: a link; end 83.0.1 has 10.83.0.1 and fd83::1
wire() {
	ip -n "$1" link add "$2" type veth peer name "$5" netns "$4"
	ip netns exec "$1" sysctl -qw "net.ipv6.conf.$2.accept_dad=0"; ip netns exec "$4" sysctl -qw "net.ipv6.conf.$5.accept_dad=0"
	ip -n "$1" addr add "10.$3/24" dev "$2"; ip -n "$4" addr add "10.$6/24" dev "$5"
	ip -n "$1" addr add "fd$(cut -d. -f1 <<< "$3")::${3##*.}/64" dev "$2" nodad; ip -n "$4" addr add "fd$(cut -d. -f1 <<< "$6")::${6##*.}/64" dev "$5" nodad
	ip -n "$1" link set "$2" up; ip -n "$4" link set "$5" up
}
for h in r1 r2 so oo; do ip netns add "tp$ID-$h"; NS+=("tp$ID-$h"); ip -n "tp$ID-$h" link set lo up; done
for h in r1 r2; do
	in_ns $h sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	in_ns $h nft -f - <<-END
		table inet blocked {
			chain out { type filter hook output priority 0; icmp type destination-unreachable drop; icmpv6 type packet-too-big drop; }
			chain clamp { type filter hook forward priority -10; tcp flags syn tcp option maxseg size set 1180; }
			chain forward { type filter hook forward priority 0; icmp type destination-unreachable drop; icmpv6 type packet-too-big drop; }
		}
	END
done
ip -n "$HUB" addr add 10.77.0.254/24 dev br0; ip -n "$HUB" addr add fd77::fe/64 dev br0 nodad
in_ns hub sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
wire "$HUB" to-r2 81.0.1 "tp$ID-r2" wan 81.0.2
wire "tp$ID-r2" narrow 82.0.1 "tp$ID-r1" narrow 82.0.2
wire "tp$ID-r1" to-so 83.0.1 "tp$ID-so" eth0 83.0.2
wire "tp$ID-r1" to-oo 84.0.1 "tp$ID-oo" eth0 84.0.2
for h in so oo; do n=$([ $h = so ] && echo 83 || echo 84); ip -n "tp$ID-$h" route add default via 10.$n.0.1; ip -n "tp$ID-$h" -6 route add default via fd$n::1; done
ip -n "tp$ID-r1" route add default via 10.82.0.1; ip -n "tp$ID-r1" -6 route add default via fd82::1
ip -n "tp$ID-r2" route add default via 10.81.0.1; ip -n "tp$ID-r2" -6 route add default via fd81::1
for n in 83 84; do
	ip -n "tp$ID-r2" route add 10.$n.0.0/24 via 10.82.0.2; ip -n "tp$ID-r2" -6 route add fd$n::/64 via fd82::2
	ip -n "$HUB" route add 10.$n.0.0/24 via 10.81.0.2; ip -n "$HUB" -6 route add fd$n::/64 via fd81::2
	for h in hs s o; do ip -n "tp$ID-$h" route add 10.$n.0.0/24 via 10.77.0.254; ip -n "tp$ID-$h" -6 route add fd$n::/64 via fd77::fe; done
done
key=$(authkey --reusable)
tailscaled s; tailscaled so; ts_up s "$key"; ts_up so "$key"
containerboot o "$key"; containerboot oo "$key"
ready o; ready oo
for h in s o so oo; do web $h 8000; eval "ip_$h=$(addr $h)"; done
head -c $((64 << 20)) /dev/urandom > "$T/big"; head -c $((10 << 20)) "$T/big" > "$T/ten"
sum=$(sha256sum < "$T/big") ten=$(sha256sum < "$T/ten")
for h in s o so oo; do ln -sf "$T/big" "$T/ten" "$T/$h.www/"; done
straight_at() { ts "$1" ping -c 1 --timeout 2s "$2" 2>&1 | grep -qE 'via (10\.|\[fd)'; }
fetch_ten() { [ "$(via "$1" "http://$2:8000/ten" | sha256sum)" = "$ten" ]; }
# link MTU: of the middle one
link() { ip -n "tp$ID-r1" link set narrow mtu "$1"; ip -n "tp$ID-r2" link set narrow mtu "$1"; }
pairs=("oo s" "o so") # ours behind the link, stock beyond; and the reverse
for p in "${pairs[@]}"; do
	read -r x y <<< "$p"
	eval "ip_x=\$ip_$x ip_y=\$ip_$y"
	until_ok 30 straight_at "$x" "$ip_y"; until_ok 30 fetch_ten "$x" "$ip_y"; until_ok 30 fetch_ten "$y" "$ip_x"
done
say "direct, and full packets pass"
RATE=4000000 # more than all buffers hold is still to come when the link changes
for p in "${pairs[@]}"; do
	read -r x y <<< "$p"
	eval "ip_x=\$ip_$x ip_y=\$ip_$y"
	stream "$x" "$x" "$ip_y"; stream "$y" "$y" "$ip_x"
done
sleep 2
since=$(date +%s%N)
link 1280
say "the link is narrow"
# silence NAME: the longest time in milliseconds without a byte since then
silence() { awk -v since="$since" 'BEGIN {last = since} $1 >= since {if ($1 - last > max) max = $1 - last; last = $1} END {printf "%d\n", max / 1e6}' "$T/$1.record"; }
for p in "${pairs[@]}"; do
	read -r x y <<< "$p"
	eval "ip_x=\$ip_$x ip_y=\$ip_$y"
	fetch_ten "$x" "$ip_y" || die "$x cannot fetch from $y"
	fetch_ten "$y" "$ip_x" || die "$y cannot fetch from $x"
done
say "new transfers pass"
for p in "${pairs[@]}"; do
	for w in $p; do
		eval "pid=\$STREAM_$w"
		timeout 120 tail --pid="$pid" -f /dev/null || die "the download of $w stands still"
		arrived "$w"
		echo "figure: t-56-narrow-link: download of $w: longest silence $(silence "$w") ms"
	done
done
link 1500
for p in "${pairs[@]}"; do
	read -r x y <<< "$p"
	eval "ip_y=\$ip_$y"
	until_ok 100 straight_at "$x" "$ip_y"
done
say "wide again, and direct again"

# the link of our own host narrows, and nobody on the way says so: connections are kept to what fits, new and old
RATE=8000000
stream oo oo "$ip_s"; stream s s "$ip_oo"
sleep 1
since=$(date +%s%N)
ip -n "tp$ID-oo" link set eth0 mtu 1280
fetch_ten oo "$ip_s" || die "oo cannot fetch over its narrow link"
fetch_ten s "$ip_oo" || die "s cannot fetch from oo over its narrow link"
until_ok 10 straight_at oo "$ip_s" || die "no direct path any more"
for w in oo s; do
	eval "pid=\$STREAM_$w"
	timeout 120 tail --pid="$pid" -f /dev/null || die "the download of $w stands still"
	arrived "$w"
	echo "figure: t-56-narrow-link: own link, download of $w: longest silence $(silence "$w") ms"
done
