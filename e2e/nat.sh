# e2e/nat.sh - hosts behind NAT boxes; sourced after lib.sh by t-55-nat and bench/b-55-nat
#
#   host: wan0 [ e2e/natbox ] box-N in the hub: bridge 10.77.0.254 -- servers, hosts without a box
#   192.168.N.2               198.51.100.N
#
# A box is written MAPPING/FILTERING[,OPTION...] (e2e/natbox.c); two with + between them are chained, the host's own first, with
# 10.99.N.0/30 between them. Behind boxes there is IPv4 only.
NATBOX=${NATBOX:-$ROOT/build/gcc/e2e/natbox}
n_boxes=0
nat_lab() {
	[ -x "$NATBOX" ] || die "e2e/natbox is not built: make $NATBOX"
	hub
	ip -n "$HUB" addr add 10.77.0.254/24 dev br0
	ip netns exec "$HUB" sysctl -qw net.ipv4.ip_forward=1
}
# to_boxes HOST: routes back to those behind boxes
to_boxes() { ip -n "tp$ID-$1" route replace 198.51.100.0/24 via 10.77.0.254; }
# box HOST INNER_NS OUTER_NS INNER_DEV OUTER_DEV ADDRESS SPEC: one layer; its pid is added to BOXES_HOST (_ for -)
box() {
	local h=$1 inner=$2 outer=$3 di=$4 do=$5 address=$6 spec=$7 log=$T/box-$5.log
	local kind=${spec%%,*} options=
	[ "$spec" = "$kind" ] || options=${spec#*,}
	: > "$log"
	"$NATBOX" "$inner" "$di" "$outer" "$do" "$address" "${kind%/*}" "${kind#*/}" ${options//,/ } >> "$log" 2>&1 < /dev/null &
	PID=$!
	h=${h//-/_}
	eval "BOXES_$h=\"\${BOXES_$h:-} $PID\""
	until_ok 30 grep -q ready "$log"
	ip -n "$inner" link set "$di" up; ip -n "$outer" link set "$do" up
}
# boxed_host NAME SPEC: a host behind that; SPEC none: an ordinary one
boxed_host() {
	local h=$1 spec=$2 ns=tp$ID-$1 mid=tp$ID-$1-m n
	if [ "$spec" = none ]; then host "$h" 4; to_boxes "$h"; return; fi
	n_boxes=$((n_boxes + 1)); n=$n_boxes
	ip netns add "$ns"; NS+=("$ns")
	ip netns exec "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
	ip -n "$ns" link set lo up
	if [ "$spec" = "${spec#*+}" ]; then
		box "$h" "$ns" "$HUB" wan0 "box-$n" "198.51.100.$n" "$spec"
	else
		ip netns add "$mid"; NS+=("$mid")
		ip netns exec "$mid" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv4.ip_forward=1
		box "$h" "$ns" "$mid" wan0 lan0 "10.99.$n.1" "${spec%%+*}"
		ip -n "$mid" route add "10.99.$n.1/32" dev lan0
		box "$h" "$mid" "$HUB" wan0 "box-$n" "198.51.100.$n" "${spec#*+}"
		ip -n "$mid" addr add "10.98.$n.2/30" dev wan0
		ip -n "$mid" route add default dev wan0
	fi
	ip -n "$ns" addr add "192.168.$n.2/24" dev wan0
	ip -n "$ns" route add default dev wan0
	ip -n "$HUB" route add "198.51.100.$n/32" dev "box-$n"
	eval "IP_${h//-/_}=192.168.$n.2"
}
# nat_settings: the file for nat_cell.py; extra arguments are settings of ours
nat_settings() {
	jq -n --arg url "$URL" --arg ca "$CA" --arg dir "$T" --arg key "$(authkey --reusable)" --arg td "$PEERS/tailscaled" --arg ts "$PEERS/tailscale" \
		--arg cb "$BIN/containerboot" '{url: $url, ca: $ca, dir: $dir, key: $key, tailscaled: $td, tailscale: $ts, containerboot: $cb, ours_env: $ARGS.positional}' \
		--args "$@" > "$T/lab.json"
}
# can_meet A B: may two boxes (the last of a chain counts for mapping, the narrowest for filtering) be joined by hole punching? By RFC
# 4787's words: datagrams of one come in where STUN saw the other, once that has sent to where STUN saw the one.
varies() { case $1 in *address/* | *port/*) return 0 ;; esac; return 1; }
comes_in() { # FROM TO
	case $2 in none) return 0 ;; esac
	! varies "$2" || return 1
	varies "$1" || return 0
	case $2 in */port*) return 1 ;; esac
}
can_meet() { comes_in "$1" "$2" || comes_in "$2" "$1"; }
