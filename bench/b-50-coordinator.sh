#!/bin/bash
# A whole tailnet at once: simulated clients (e2e/fleet.c: real sockets, Noise, HTTP/2, zstd streams) join our coordinator and,
# as far as it goes, Headscale. 1,000 nodes in full mesh (MESH), 5,000 that see 99 others each by policy (GROUPED); then one node
# moves, then a new policy reaches every stream. Time, CPU of server and clients apart, memory a node with its stream.
. "$(dirname "$0")/lib.sh"
FLEET=$ROOT/build/gcc/e2e/fleet
make -s "${FLEET#"$ROOT/"}"
MESH=${MESH:-1000} GROUPED=${GROUPED:-5000} SECONDS_MAX=${SECONDS_MAX:-60}
ulimit -n "$(ulimit -Hn)"

# policy GROUPS PORTS: each tag its own only
policy() {
	local i sep=
	printf '{"tagOwners":{'
	for i in $(seq "$1"); do printf '%s"tag:g%d":[]' "$sep" "$i"; sep=,; done
	printf '},"acls":['; sep=
	for i in $(seq "$1"); do printf '%s{"action":"accept","src":["tag:g%d"],"dst":["tag:g%d:%s"]}' "$sep" "$i" "$i" "$2"; sep=,; done
	printf ']}\n'
}
# fresh: a coordinator that lets all in from one address
fresh() {
	coordinator_alone 'limits: {handshakes_per_second: 100000, api_per_second: 10000}' 'log_level: warn'
	co="$BIN/coordinator --config $CO_DIR/config.yaml"
	$co users create test > /dev/null
}
# run NAME URL KEYS COUNT PEERS [COMMAND]: the figures; memory is read when what was needed for joining is back
run() {
	local name=$1 before=$(rss_of "$SERVER") fleet rc=0; shift
	mkfifo "$T/hold.$name"
	"$FLEET" "$1" "$2" "$3" "$4" "$SECONDS_MAX" "$SERVER" ${5:+"$5"} < "$T/hold.$name" > "$T/$name.out" 2> "$T/$name.err" & fleet=$!
	exec 9> "$T/hold.$name"
	until grep -q settled "$T/$name.out" || ! kill -0 "$fleet" 2> /dev/null; do sleep 0.2; done
	sed "/^settled/d; s/^/$name: /" "$T/$name.out"
	if kill -0 "$fleet" 2> /dev/null; then
		sleep 12
		echo "$name: memory: idle $before KiB, $((($(rss_of "$SERVER") - before) * 1024 / $3)) bytes more a node with its stream"
	else
		echo "$name: that is how far it goes in $SECONDS_MAX s ($(tail -n 1 "$T/$name.err"))"
	fi
	exec 9>&-
	wait "$fleet" || rc=$?
	stop "$SERVER"
}

fresh
sleep 12
$co preauthkeys create --user test --reusable | tail -n 1 > "$T/mesh.key"
echo '{"acls":[{"action":"accept","src":["*"],"dst":["*:1-60000"]}]}' > "$T/mesh.policy"
run "mesh-$MESH" "$CO_URL" "$T/mesh.key" "$MESH" $((MESH - 1)) "$co policy set $T/mesh.policy > /dev/null"

fresh
groups=$((GROUPED / 100))
policy "$groups" '*' > "$T/grouped.policy"
policy "$groups" '1-60000' > "$T/grouped.new"
$co policy set "$T/grouped.policy" > /dev/null
for i in $(seq "$groups"); do $co preauthkeys create --tags "tag:g$i" --reusable | tail -n 1; done > "$T/grouped.keys"
sleep 12
run "grouped-$GROUPED" "$CO_URL" "$T/grouped.keys" "$GROUPED" 99 "$co policy set $T/grouped.new > /dev/null"

# Headscale, as it comes
work=$T; . "$ROOT/e2e/headscale.sh"
for n in ${HS_MESH:-100 300 1000}; do
	rm -rf "$work/hs"
	headscale_start
	SERVER=$(pgrep -P "$HS_PID" headscale || echo "$HS_PID") # below its timeout
	headscale_key --reusable > "$T/hs.key"
	run "headscale-$n" "$HS_URL" "$T/hs.key" "$n" $((n - 1))
	headscale_stop || true
done
