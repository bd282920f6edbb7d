#!/bin/bash
# Who meets whom behind NAT boxes (e2e/natbox), and how soon: each pair of kinds, ours to stock, stock to ours, stock to stock, TRIES
# of each in turns, SLOTS side by side. A line for each pair: the nodes behind the first box send first; median (range) of the
# milliseconds until both ends send straight, or how many tries stayed with the relay. Nodes are started anew for each try.
# BOXES="none independent/port ..." chooses kinds (e2e/nat.sh), PAIRS picks pairs by a pattern on "A B".
. "$(dirname "$0")/lib.sh"
. e2e/nat.sh
TRIES=${TRIES:-$RUNS} SLOTS=${SLOTS:-6} LIMIT=${LIMIT:-12}
read -ra kinds <<< "${BOXES:-none independent/independent independent/address independent/port address/port port/port}"
nat_lab
headscale --fast
to_boxes hs
nat_settings
for s in $(seq "$SLOTS"); do
	for k in "${!kinds[@]}"; do
		for end in a b; do boxed_host "$end$s-$k" "${kinds[$k]}"; done
	done
	: > "$T/cells-$s"
done
s=0
for try in $(seq "$TRIES"); do
	for a in "${!kinds[@]}"; do
		for b in "${!kinds[@]}"; do
			[[ "${kinds[$a]} ${kinds[$b]}" =~ ${PAIRS:-.} ]] || continue
			for who in ours,stock stock,ours stock,stock; do
				s=$((s % SLOTS + 1))
				eval "pids=\"\${BOXES_a${s}_$a:-} \${BOXES_b${s}_$b:-}\""
				echo "$a,$b,$who ${who%,*} tp$ID-a$s-$a ${who%,*}-a$s ${who#*,} tp$ID-b$s-$b ${who#*,}-b$s $pids"
			done
		done
	done
done > "$T/cells"
awk -v slots="$SLOTS" -v t="$T" '{match($3, /-a[0-9]+-/); s = substr($3, RSTART + 2, RLENGTH - 3); print > (t "/cells-" s)}' "$T/cells"
pids=()
for s in $(seq "$SLOTS"); do start hub "slot-$s" python3 e2e/nat_cell.py "$LIMIT" 2 "$T/lab.json" "$T/cells-$s"; pids+=("$PID"); done
for s in $(seq "$SLOTS"); do wait "${pids[$((s - 1))]}" || { echo "slot $s: $(tail -n 3 "$T/slot-$s.log")"; exit 1; }; done
grep -hE '^[^ ]+ (direct [0-9]+|relayed)$' "$T"/slot-*.log | sort > "$T/all" # without what a relayed pair says of itself
cell() { # A,B,WHO
	local n r
	n=$(grep -c "^$1 " "$T/all") || true; r=$(grep -c "^$1 relayed" "$T/all") || true
	[ "$r" = 0 ] || printf '%s' "$r of $n relayed"
	[ "$r" = 0 ] || [ "$r" = "$n" ] || printf ', '
	[ "$r" = "$n" ] || awk -v c="$1" '$1 == c && $2 == "direct" {print $3}' "$T/all" | spread
}
echo "| the first sends | to one behind | ours to stock | stock to ours | stock to stock |"
echo "|---|---|---|---|---|"
for a in "${!kinds[@]}"; do
	for b in "${!kinds[@]}"; do
		[[ "${kinds[$a]} ${kinds[$b]}" =~ ${PAIRS:-.} ]] || continue
		printf '| %s | %s' "${kinds[$a]}" "${kinds[$b]}"
		for who in ours,stock stock,ours stock,stock; do printf ' | %s' "$(cell "$a,$b,$who")"; done
		echo " |"
	done
done
for who in ours,stock stock,ours stock,stock; do # a round of pings is five or six seconds
	awk -v w="$who" '$1 ~ "," w "$" && $2 == "direct" {n++; if ($3 >= 4000) late++} END {printf "%s to %s: %d tries direct, %d of them after a second round\n", substr(w, 1, 5), substr(w, index(w, ",") + 1), n, late}' "$T/all"
done | sed 's/ours, /ours /'
# no cell worse: as often direct, and in the median not later (the sampling of two local APIs and a loaded machine left out of account)
worse=$(awk -v slack="${SLACK:-150}" '
	{split($1, c, ","); k = c[1] "," c[2] "," c[3] "," c[4]; n[k]++; if ($2 == "direct") {d[k]++; v[k, d[k]] = $3}}
	function med(k, i, j, m, t) {m = d[k]; for (i = 2; i <= m; i++) {t = v[k, i]; for (j = i - 1; j > 0 && v[k, j] > t; j--) v[k, j + 1] = v[k, j]; v[k, j + 1] = t}; return v[k, int((m + 1) / 2)]}
	END {for (k in n) if (k !~ /stock,stock$/) {split(k, c, ","); s = c[1] "," c[2] ",stock,stock";
		if (d[k] / n[k] < d[s] / n[s]) print k " is direct less often"; else if (d[k] && d[s] && med(k) > med(s) + slack) print k " is direct later"}}' "$T/all")
[ -z "$worse" ] || { echo "worse than stock to stock:"; echo "$worse"; }
