# bench/lib.sh - what benches share: CPU and memory of a process, medians
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"
FLOW=$ROOT/build/bench/flow
[ -x "$FLOW" ] || { mkdir -p "$(dirname "$FLOW")"; ${CC:-gcc} -std=gnu17 -D_GNU_SOURCE -O2 -o "$FLOW" "$ROOT/bench/flow.c"; }
HZ=$(getconf CLK_TCK)
# user + system seconds of a process
cpu_of() { awk -v hz="$HZ" '{print ($14 + $15) / hz}' "/proc/$1/stat"; }
# resident and anonymous KiB
rss_of() { awk '/^VmRSS/ {print $2}' "/proc/$1/status"; }
anon_of() { awk '/^RssAnon/ {print $2}' "/proc/$1/status"; }
# "min median max" of numbers, one a line
spread() { sort -g | awk '{v[NR] = $1} END {printf "%s (%s-%s)", v[int((NR + 1) / 2)], v[1], v[NR]}'; }
RUNS=${RUNS:-7}
