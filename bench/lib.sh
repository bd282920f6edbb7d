# bench/lib.sh - what benches share: CPU and memory of a process, medians
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"
FLOW=$ROOT/build/bench/flow
IMPAIR=$ROOT/build/bench/impair
mkdir -p "$ROOT/build/bench"
for p in flow impair; do
	[ "$ROOT/build/bench/$p" -nt "$ROOT/bench/$p.c" ] || ${CC:-gcc} -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -o "$ROOT/build/bench/$p" "$ROOT/bench/$p.c"
done
HZ=$(getconf CLK_TCK)
# user + system seconds of a process
cpu_of() { awk -v hz="$HZ" '{print ($14 + $15) / hz}' "/proc/$1/stat"; }
# resident and anonymous KiB
rss_of() { awk '/^VmRSS/ {print $2}' "/proc/$1/status"; }
anon_of() { awk '/^RssAnon/ {print $2}' "/proc/$1/status"; }
# "min median max" of numbers, one a line
spread() { sort -g | awk '{v[NR] = $1} END {printf "%s (%s-%s)", v[int((NR + 1) / 2)], v[1], v[NR]}'; }
RUNS=${RUNS:-7}

# --- bad links (bench/impair.c) ---

LINKS=()
# bad_link A B SUBNET SEED RTT_MS MBIT LOSS REORDER LATE LATE_MS [QUEUE_MS]: between two hosts, 10.88.SUBNET.1 and .2
bad_link() {
	local a=$1 b=$2 net=$3 seed=$4; shift 4
	start "$a" "impair-$a" "$IMPAIR" "tp$ID-$a" "tp$ID-$b" "10.88.$net.1" "10.88.$net.2" "${@:1:6}" "$seed" ${7+"$7"}
	LINKS+=("$PID")
	until_ok 10 grep -q ready "$T/impair-$a.log"
}
# drop_links: they end and say what they did; units larger than the MTU mean that a device hands over offloaded packets
drop_links() {
	local p
	for p in "${LINKS[@]}"; do kill "$p"; wait "$p" 2> /dev/null || true; done
	LINKS=()
	if grep -h 'larger than the MTU' "$T"/impair-*.log | grep -v 'MTU 0$'; then die "offloads are on"; fi
}
# only_bad HOST: UDP between hosts passes the bad link only; control and relay stay reachable
only_bad() {
	in_ns "$1" nft -f - <<-END
		table inet clean {
			chain out { type filter hook output priority 0; oifname eth0 ip daddr != $IP_hs meta l4proto udp drop; oifname eth0 ip6 daddr != $IP6_hs meta l4proto udp drop; }
		}
	END
}
# is_bad HOST ADDR: the direct path to a peer is the bad link
is_bad() { ts "$1" ping -c 1 --timeout 3s "$2" 2>&1 | grep -q 'via 10\.88\.'; }
# rate HOST SOCKS_PORT ADDR SECONDS: megabits per second of one download; a failure is said, counted, and ends within a minute
rate() {
	local out
	if out=$(in_ns "$1" timeout $(($4 + 60)) "$FLOW" get "$2" "$3" 7000 "$4" 2>&1); then echo "${out%% *}"; return 0; fi
	echo "a download from $3 failed: ${out:-no byte in time}" >&2
	return 1
}
