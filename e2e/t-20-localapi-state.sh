#!/bin/bash
# The stock CLI works against our socket; a restart keeps the node; one state serves one process; tailscaled takes our state over
# and we take its state over, with the same node key and addresses; no secret is left where it could be read.
. "$(dirname "$0")/lib.sh"
need_peer promtool
headscale
host a; host b; host d
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"
containerboot a "$key"
ready a
ip_a=$(addr a); ip_b=$(addr b)
until_ok 40 ts b ping -c 1 --timeout 3s "$ip_a"

# --- the stock CLI ---
until_ok 30 ts a status
ts a status | tee "$T/status"
grep -q "^$ip_a .*a " "$T/status" || die "status does not show ourselves"
grep -q "^$ip_b .*b " "$T/status" || die "status does not show the peer"
grep -iq "warning: client version" "$T/status" && die "the CLI takes us for another version"
raw() { local h=$1; shift; in_ns "$h" curl -s --unix-socket "$T/$h.sock" -H 'Host: local-tailscaled.sock' "$@"; }
raw a http://x/localapi/v0/status > "$T/ours.json"; raw b http://x/localapi/v0/status > "$T/stock.json"
keys() { jq -r "$2 | keys[]" "$1" | sort -u; }
for part in . .Self '.Peer[]' '.User[]' .CurrentTailnet; do
	diff <(keys "$T/stock.json" "$part") <(keys "$T/ours.json" "$part") || die "keys of $part of status differ"
done
diff <(raw b http://x/localapi/v0/prefs | jq -r 'keys[]') <(raw a http://x/localapi/v0/prefs | jq -r 'keys[]') || die "keys of preferences differ"
[ "$(jq -r '.BackendState' "$T/ours.json")" = Running ] || die "not Running"
[ "$(jq -r '.Health | length' "$T/ours.json")" = 0 ] || die "health is not empty: $(jq -c .Health "$T/ours.json")"
[ "$(jq -r '.TailscaleIPs[0]' "$T/ours.json")" = "$ip_a" ] || die "wrong address"
say "status agrees"
ts a ping -c 3 --timeout 3s b || ts a ping -c 3 --timeout 3s "$ip_b" || die "our disco ping"
ts a ping --tsmp -c 1 "$ip_b" || die "our TSMP ping"
ts a ping --icmp -c 1 "$ip_b" || die "our ICMP ping"
[ "$(ts a ip -4)" = "$ip_a" ] || die "ip -4"
[ "$(ts a ip -4 b)" = "$ip_b" ] || die "ip of a peer"
ts a whois "$ip_b" | grep -q "Name: *b.tail.test" || die "whois"
ts a whois --json "$ip_b:80" | jq -e '.Node.Name == "b.tail.test."' > /dev/null || die "whois --json"
ts a whois 100.64.0.99 2> /dev/null && die "whois of nobody"
ts a metrics print > "$T/metrics"; grep -Eq '^tailscaled_inbound_packets_total\{path="direct_ipv[46]"\} [1-9]' "$T/metrics" || die "metrics: $(cat "$T/metrics")"
in_ns a curl -sf http://127.0.0.1:9002/metrics > "$T/metrics-endpoint"; grep -q '^tailscaled_home_derp_region_id 999' "$T/metrics-endpoint" || die "metrics endpoint"
"$PEERS/promtool" check metrics < "$T/metrics-endpoint" > "$T/promtool" 2>&1 && [ ! -s "$T/promtool" ] || die "promtool: $(cat "$T/promtool")"
ts a debug derp-map | jq -e '.Regions."999".Nodes[0].HostName' > /dev/null || die "derp-map"
ts a netcheck 2> /dev/null | grep -q 'Nearest DERP: Region hs' || die "netcheck"
say "ping, ip, whois, metrics, derp-map, netcheck"
ts a set --shields-up || die "set"
ts a debug prefs | jq -e '.ShieldsUp == true' > /dev/null || die "set is not stored"
until_ok 30 sh -c "! ip netns exec tp$ID-b $PEERS/tailscale --socket=$T/b.sock ping --icmp -c 1 --timeout 1s $ip_a"
ts a set --shields-up=false
until_ok 30 ts b ping --icmp -c 1 --timeout 1s "$ip_a"
ts a set --hostname=renamed
until_ok 30 sh -c "ip netns exec tp$ID-b $PEERS/tailscale --socket=$T/b.sock status | grep -q renamed"
ts a set --hostname=a
until_ok 30 sh -c "ip netns exec tp$ID-b $PEERS/tailscale --socket=$T/b.sock status | grep -q '$ip_a  *a '"
ts a set --ssh 2> "$T/ssh.err" && die "set --ssh must be refused"
grep -q "no SSH server" "$T/ssh.err" || die "the refusal does not say why: $(cat "$T/ssh.err")"
ts a down; [ "$(ts a status --json | jq -r .BackendState)" = Stopped ] || die "down"
timeout 120 ip netns exec "tp$ID-a" "$PEERS/tailscale" --socket="$T/a.sock" up --login-server="$URL" --hostname=a --accept-dns=false || die "up"
until_ok 40 in_ns a curl -sf http://127.0.0.1:9002/readyz
say "set, down, up"
in_ns a curl -s --unix-socket "$T/a.sock" -H 'Host: evil.example' http://x/localapi/v0/status -o /dev/null -w '%{http_code}' | grep -q 403 || die "a foreign Host was answered"
in_ns a curl -s --unix-socket "$T/a.sock" -H 'Host: local-tailscaled.sock' -H 'Origin: http://evil.example' http://x/localapi/v0/status -o /dev/null -w '%{http_code}' | grep -q 403 || die "a web page was answered"
chmod 711 "$T"
in_ns a setpriv --reuid 65534 --clear-groups curl -s --unix-socket "$T/a.sock" -X POST -H 'Host: local-tailscaled.sock' http://x/localapi/v0/logout -o /dev/null -w '%{http_code}' > "$T/code" || true
grep -q 403 "$T/code" || die "a stranger may log us out: $(cat "$T/code")"
stranger() { in_ns a setpriv --reuid 65534 --clear-groups "$PEERS/tailscale" --socket="$T/a.sock" set --shields-up="$1" > "$T/stranger" 2>&1; }
stranger true && die "a stranger may set"
ts a set --operator=nobody
stranger true || die "the operator may not set: $(cat "$T/stranger")"
stranger false
ts a set --operator=
stranger true && die "who is no longer the operator may still set"
say "an operator"

# --- our own CLI, by its other name too ---
ln -s "$BIN/containerboot" "$T/tailscale"
ours() { in_ns a "$T/tailscale" --socket="$T/a.sock" "$@"; }
ours status | grep -q "^$ip_b .*b .*direct" || die "our status: $(ours status)"
[ "$(ours ip -4 b)" = "$ip_b" ] && [ "$(ours ip -4)" = "$ip_a" ] || die "our ip"
ours ping -c 5 b | grep -q "pong from b ($ip_b) via" || die "our ping"
ours ping --icmp -c 1 "$ip_b" > /dev/null || die "our ICMP ping"
ours whois --json "$ip_b" | jq -e '.Node.Name == "b.tail.test."' > /dev/null || die "our whois"
# the stock CLI measures by sockets of its own: labels and their order are compared, of values what both must know
lines() { sed -E '/Endpoint:|Problem:/d; s/^(\t\* (Time|IPv4|IPv6|MappingVariesByDestIP|PortMapping)):.*/\1/; s/: [^ ]+ +\(/: N (/'; }
diff <(ts a netcheck 2> /dev/null | lines) <(ours netcheck | lines) || die "our netcheck"
ours netcheck --format=json > "$T/ours.netcheck"
diff <(ts a netcheck --format=json 2> /dev/null | jq -r 'keys[]') <(jq -r 'keys[]' "$T/ours.netcheck") || die "keys of netcheck --format=json"
in_ns a "$BIN/containerboot" healthcheck --socket="$T/a.sock" | grep -q ok || die "healthcheck"
ours down; ours healthcheck > "$T/hc" && die "healthcheck of a stopped node"
grep -q Stopped "$T/hc" || die "healthcheck does not say why"
ours up
until_ok 40 ours healthcheck
say "our CLI"

# --- state ---
[ "$(stat -c %a "$T/a.state/tailscaled.state")" = 600 ] || die "mode of the state"
in_ns a env TS_STATE_DIR="$T/a.state" TS_SOCKET="$T/a2.sock" "$BIN/containerboot" > "$T/second.log" 2>&1 && die "a second process on one state"
[ "$(grep -c . "$T/second.log")" -le 3 ] && grep -q "in use by another process" "$T/second.log" || die "the second process: $(cat "$T/second.log")"
nodes() { hs_cli nodes list -o json | jq 'length'; }
before=$(nodes)
for _ in 1 2 3; do
	kill -TERM "$PID_a"; rc=0; wait "$PID_a" || rc=$?
	[ "$rc" = 0 ] || die "exit code $rc on SIGTERM"
	containerboot a ""
	ready a
done
[ "$(nodes)" = "$before" ] || die "restarts made new nodes"
[ "$(addr a)" = "$ip_a" ] || die "a restart changed the address"
until_ok 40 ts b ping -c 1 --timeout 3s "$ip_a"
say "restarts keep the node"
tr '\0' '\n' < "/proc/$PID_a/environ" > "$T/environ" 2> /dev/null || true
grep -q "$key" "$T/environ" "$T/a.log" "$T/a.state/tailscaled.state" && die "the auth key can be read"

# the stock client takes our state over
stop "$PID_a"
tailscaled a
until_ok 30 sh -c "[ \"\$(ip netns exec tp$ID-a $PEERS/tailscale --socket=$T/a.sock status --json | jq -r .BackendState)\" = Running ]"
[ "$(ts a ip -4)" = "$ip_a" ] || die "tailscaled has another address with our state"
[ "$(nodes)" = "$before" ] || die "tailscaled registered anew with our state"
ts a debug prefs | jq -e --arg u "$URL" '.ControlURL == $u and .WantRunning' > /dev/null || die "tailscaled reads other preferences"
jq -e 'has("_tailpod-port") and has("_tailpod-disco")' "$T/a.state/tailscaled.state" > /dev/null || die "tailscaled dropped what is ours alone"
say "tailscaled took our state over"
# and we its own
stop "$PID_a"
containerboot a ""
ready a
[ "$(addr a)" = "$ip_a" ] && [ "$(nodes)" = "$before" ] || die "taking the state back made a new node"
grep -q '"AutoUpdate"' <(jq -r 'to_entries[] | select(.key | startswith("profile-")) | .value' "$T/a.state/tailscaled.state" | base64 -d) || die "what tailscaled stored was lost"
say "and we took it back"
# a node that tailscaled made
stop "$PID_b"
ip_b=$(addr b)
containerboot b ""
ready b
[ "$(ts b ip -4)" = "$ip_b" ] && [ "$(nodes)" = "$before" ] || die "a node of tailscaled was not taken over"
say "a node of tailscaled taken over"

# logout, and in again with a key: the same node, with a new key
login_state() { [ "$(ts a status --json | jq -r .BackendState)" = "$1" ]; }
ts a logout || die "logout"
until_ok 30 login_state NeedsLogin
timeout 120 ip netns exec "tp$ID-a" "$PEERS/tailscale" --socket="$T/a.sock" up --login-server="$URL" --authkey="$key" --hostname=a --accept-dns=false || die "up after the logout"
login_state Running || die "up came back before the node runs"
[ "$(ts a ip -4)" = "$ip_a" ] || die "another address after the logout"
until_ok 40 ts b ping -c 1 --timeout 3s "$ip_a"
say "logout and login"
# a start that control does not answer, taken down and logged out before it has registered: control hears of it once it is back
kill -TERM "$PID_a"; wait "$PID_a" || true
kill -STOP "$HS_PID"
containerboot a ""
until_ok 40 ts a status --json
ts a down || die "down"
timeout 120 ip netns exec "tp$ID-a" "$PEERS/tailscale" --socket="$T/a.sock" logout || die "logout while control is away"
sleep 1
kill -CONT "$HS_PID"
expired() { hs_cli nodes list -o json | jq -e '.[] | select(.name == "a") | .expiry.seconds // 0 | . > 0 and . <= now'; }
until_ok 60 expired || die "control was not told of the logout"
until_ok 40 login_state NeedsLogin
kill -TERM "$PID_a"; wait "$PID_a" || true
containerboot a "$key"
ready a
say "a logout before the first registration reaches control"
# nobody's node: the URL is shown, and `up` with a key ends the waiting
containerboot d ""
until_ok 40 grep -q "to log this node in, visit $URL/register/" "$T/d.log"
ts d status > "$T/d.status" 2>&1 || true
grep -q "Log in at: $URL" "$T/d.status" || die "status does not show the URL"
timeout 120 ip netns exec "tp$ID-d" "$PEERS/tailscale" --socket="$T/d.sock" up --login-server="$URL" --authkey="$key" --hostname=d --accept-dns=false || die "up of a new node"
until_ok 40 ts b ping -c 1 --timeout 3s "$(ts d ip -4)"
kill -TERM "$PID_a"; rc=0; wait "$PID_a" || rc=$?
[ "$rc" = 0 ] || die "exit code $rc"
say "a new node by its URL or a later key"
