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
RUNS=${RUNS:-3}
