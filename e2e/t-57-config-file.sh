#!/bin/bash
# TS_EXPERIMENTAL_VERSIONED_CONFIG_DIR as the stock operator mounts it: a node joins by the newest file that we know; the stock
# daemon takes the same file to the same preferences; a swapped mount acts in place, a malformed one changes nothing and says where;
# a locked file keeps `tailscale set` out; a forwarded port among its static endpoints is told to a stock peer, which comes that way; a new key in the file lets a node back in that control has forgotten.
. "$(dirname "$0")/lib.sh"
need_peer tailscaled tailscale
coordinator
host a; host b; host d
key=$(authkey); other=$(authkey); again=$(authkey --reusable)

# mounted DIR VERSION <<< FILE: as the kubelet does it: ..data is a link that is replaced as a whole
n=0
mounted() {
	n=$((n + 1))
	mkdir -p "$1/..$n"
	cat > "$1/..$n/cap-$2.hujson"
	echo '{"Version":"alpha0","Hostname":"wrong"}' | tee "$1/..$n/cap-9.hujson" > "$1/..$n/cap-60000.hujson"
	ln -s "..$n" "$1/..tmp"; mv -T "$1/..tmp" "$1/..data"
	for f in "cap-$2.hujson" cap-9.hujson cap-60000.hujson; do [ -e "$1/$f" ] || ln -s "..data/$f" "$1/$f"; done
}
# file KEY HOSTNAME [MORE]
file() { printf '// written by a test\n{\n\t"Version": "alpha0", "ServerURL": "%s",\n\t"AuthKey": "%s", "Hostname": "%s",\n\t"acceptDNS": false, %s\n}\n' "$URL" "$1" "$2" "${3:-}"; }
boot() { local h=$1; shift; containerboot "$h" "" TS_LOGIN_SERVER= TS_HOSTNAME= TS_EXPERIMENTAL_VERSIONED_CONFIG_DIR="$T/$h.conf" "$@"; }
named() { co_cli nodes list -o json | jq -e --arg n "$1" '[.nodes[] | select(.name == $n)] | length == 1'; }
more='"Locked": false, "AdvertiseRoutes": ["10.9.0.0/16"], "NoStatefulFiltering": true, "AppConnector": {"Advertise": false},'

file "$key" web "$more" | mounted "$T/a.conf" 106
boot a TS_TAILSCALED_EXTRA_ARGS=--port=41641
ready a
until_ok 20 named web
grep -q "settings of the node come from $T/a.conf/cap-106.hujson" "$T/a.log" || die "another file was chosen"
grep -q "$key" "$T/a.log" && die "the key is in the log"
tr '\0' '\n' < "/proc/$PID_a/environ" | grep -q "$key" && die "the key is in the environment"
grep -aq "$key" "$T/a.state/tailscaled.state" && die "the key is in the state"
say "joined by the file"

# the stock daemon reads the same file; what it makes of it is what we make of it
sed "s/$key/$other/; s/\"web\"/\"stock\"/" "$T/a.conf/cap-106.hujson" > "$T/b.hujson"
tailscaled b --config="$T/b.hujson"
until_ok 40 sh -c "ip netns exec tp$ID-b $PEERS/tailscale --socket=$T/b.sock status --json | jq -e '.BackendState == \"Running\"'"
prefs() { ts "$1" debug prefs | jq -S '{ControlURL, RouteAll, CorpDNS, WantRunning, LoggedOut, ShieldsUp, AdvertiseRoutes, NoSNAT, NoStatefulFiltering, ExitNodeID, RunSSH}'; }
diff <(prefs b) <(prefs a) || die "the stock daemon makes other preferences of the file"
say "the same preferences as the stock daemon"

# static endpoints: the stock peer cannot come straight to our port, only by one that is forwarded to it elsewhere
in_ns b nft -f - <<-END
	table inet block {
		chain out { type filter hook output priority 0; meta l4proto udp ip daddr $IP_a drop; meta l4proto udp ip6 daddr $IP6_a drop; }
	}
END
start d forward python3 "$ROOT/e2e/relay_udp.py" "$IP_d" 4500 "$IP_a" 41641
ping_b() { in_ns b timeout 60 "$PEERS/tailscale" --socket="$T/b.sock" ping --timeout=2s "$@" "$(addr web)"; }
lists() { ts b debug netmap | jq -e --arg e "$IP_d:4500" '[.Peers[] | select(.Endpoints // [] | index($e))] | length == '"$1"; }
ping_b --c 4 > "$T/ping" 2>&1 || true
grep -q 'via DERP' "$T/ping" && ! grep -q "via 10[.]" "$T/ping" || die "not by the relay alone: $(cat "$T/ping")"
lists 0 > /dev/null || die "the endpoint is known before it is in the file"
file "$key" web "$more \"StaticEndpoints\": [\"$IP_d:4500\"]," | mounted "$T/a.conf" 106
until_ok 20 lists 1
direct() { ping_b --c 1 | grep "via $IP_d:4500 "; }
until_ok 20 direct
ts a status --json | jq -e --arg e "$IP_d:4500" '.Self.Addrs | index($e)' > /dev/null || die "the local API does not list it"
file "$key" web "$more" | mounted "$T/a.conf" 106
until_ok 20 lists 0
in_ns b nft delete table inet block
say "static endpoints: told to the stock peer, used by it, taken back"

# unlocked: the local API may change things
ts a set --shields-up=true || die "an unlocked file keeps set out"
# a swap acts in place: no restart, same node
file "$key" renamed '"Locked": true, "ShieldsUp": false, "Wonder": 1,' | mounted "$T/a.conf" 106
until_ok 20 named renamed
grep -q 'line 5, column [0-9]*: unknown member Wonder is ignored' "$T/a.log" || die "nothing is said of an unknown member"
ts a set --shields-up=true 2> "$T/set.err" && die "a locked file lets set in"
grep -q "configuration file is locked" "$T/set.err" || die "the refusal does not say why: $(cat "$T/set.err")"
ts a debug prefs | jq -e '.ShieldsUp == false' > /dev/null || die "the file's value does not count"
say "swapped: renamed, locked"

# malformed: one line, what was in force stays
file "$key" broken '"AdvertiseRoutes": ["10.9.0.1/16"],' | mounted "$T/a.conf" 106
until_ok 20 grep -q "cap-106.hujson: line 5, column [0-9]*: AdvertiseRoutes: [^ ]* has bits beyond its length; the subnet is [^ ]*; what was in force stays" "$T/a.log"
named renamed > /dev/null || die "a malformed file changed the name"
in_ns a curl -sf http://127.0.0.1:9002/healthz > /dev/null || die "a malformed file took the node down"

# control forgets the node, and the key is spent: the program waits for another one in the file
id=$(co_cli nodes list -o json | jq -r '.nodes[] | select(.name == "renamed") | .id')
co_cli nodes delete "$id" > /dev/null
until_ok 60 grep -q "waiting for another auth key in its file" "$T/a.log"
file "$again" back '"Locked": false,' | mounted "$T/a.conf" 106
until_ok 60 named back
ready a
kill -0 "$PID_a" || die "it did not stay"
say "a new key in the file logs in again"
stop "$PID_a"

# started with a malformed file, without one, with variables that say the same: one line, code 1
refused() { # WORDS [VAR=VALUE...]
	local words=$1 rc=0; shift
	boot d "$@"
	wait "$PID_d" || rc=$?
	[ "$rc" = 1 ] && tail -n 1 "$T/d.log" | grep -q "$words" || die "code $rc: $(cat "$T/d.log")"
}
mkdir -p "$T/d.conf"
refused "no cap-N.hujson in $T/d.conf"
echo '{' > "$T/d.conf/cap-60000.hujson"
refused "cap-60000.hujson in $T/d.conf is newer than this program"
printf '{"Version": "alpha0",\n  "Hostname": "x"\n  "Locked": false}' > "$T/d.conf/cap-95.hujson"
refused "cap-95.hujson: line 3, column 3: not JSON from here on"
printf '{"Version": "alpha0",\n  "StaticEndpoints": ["192.0.2.1"]}' > "$T/d.conf/cap-106.hujson"
refused "cap-106.hujson: line 2, column 23: StaticEndpoints: wanted a host's ADDRESS:PORT"
printf '{"Version": "alpha0",\n  "RunSSHServer": true}' > "$T/d.conf/cap-106.hujson"
refused "cap-106.hujson: line 2, column 19: RunSSHServer: this program has no SSH server"
refused "TS_EXPERIMENTAL_VERSIONED_CONFIG_DIR and TS_HOSTNAME exclude each other" TS_HOSTNAME=x
rm -r "$T/d.conf"
refused "TS_EXPERIMENTAL_VERSIONED_CONFIG_DIR: open $T/d.conf: No such file or directory"
say "faults at start"
