#!/bin/bash
# Two stock tailscaled on our coordinator: no health complaint, direct path, pages both ways by name and address; over our relay
# only; an ephemeral node goes away; the coordinator restarts under them; policies, interactive login, expiry, removal; an older
# client and a containerboot beside them.
. "$(dirname "$0")/lib.sh"
coordinator
host a; host b; host e; host c
key=$(authkey --reusable)
tailscaled a; ts_up a "$key"
say "a is up"
tailscaled b; ts_up b "$key"
say "b is up"
web a 8000; web b 8000
ip_a=$(addr a); ip_b=$(addr b); ip6_b=$(addr6 b)
[ -n "$ip_a" ] && [ -n "$ip_b" ] || die "no addresses: a=$ip_a b=$ip_b"

direct() { ts "$1" ping -c 5 --timeout 3s "$2" | grep -qE 'via (10\.77\.0|\[fd77)'; }
until_ok 40 direct a "$ip_b"
say "direct path"
fetch() { via "$1" "$2" | grep -q "hello from $3"; }
until_ok 30 fetch a "http://$ip_b:8000/" b
until_ok 30 fetch b "http://$ip_a:8000/" a
until_ok 30 fetch a "http://[$ip6_b]:8000/" b
until_ok 30 fetch a "http://b.tail.test:8000/" b
say "pages both ways, both families, by name"

healthy() { [ "$(ts "$1" status --json | jq -c '[.BackendState, (.Health // [])]')" = '["Running",[]]' ]; }
for h in a b; do
	until_ok 40 healthy $h || { ts $h status --json | jq .Health; die "$h complains"; }
done
say "Health is empty"
ts a netcheck | grep -q "Nearest DERP: Laboratory" || die "netcheck does not see our relay"

# a containerboot beside them
containerboot c "$key"
ready c
web c 8000
until_ok 40 fetch a "http://c.tail.test:8000/" c
until_ok 40 fetch c "http://b.tail.test:8000/" b
say "containerboot: pages both ways"

# ephemeral: gone once it is away for the time that is set
ekey=$(authkey --ephemeral)
tailscaled e; ts_up e "$ekey"
seen() { ts a status --json | jq -e '[.Peer[]?.HostName] | index("e")' > /dev/null; }
unseen() { ! seen; }
until_ok 30 seen
stop "$PID_e"
until_ok 40 unseen
[ -z "$(addr e)" ] || die "the ephemeral node is still there"
say "ephemeral node removed"

# restart of the coordinator: nodes go on, and come back to it
before=$(co_cli nodes list -o json | jq -c '[.nodes[] | [.id, .nodeKey, .ipAddresses]] | sort')
kill -TERM "$CO_PID"; rc=0; wait "$CO_PID" || rc=$?
[ "$rc" = 0 ] || die "exit code $rc on SIGTERM"
fetch a "http://$ip_b:8000/" b || die "no traffic without the coordinator"
coordinator_start
online() { [ "$(co_cli nodes list -o json | jq '[.nodes[] | select(.online)] | length')" = 3 ]; }
until_ok 60 online
[ "$(co_cli nodes list -o json | jq -c '[.nodes[] | [.id, .nodeKey, .ipAddresses]] | sort')" = "$before" ] || die "nodes changed over the restart"
say "restarted: all back"

# over our relay only
stop "$PID_a"
export TS_DEBUG_ALWAYS_USE_DERP=1
tailscaled a
until_ok 30 fetch a "http://$ip_b:8000/" b
ts a ping -c 3 --until-direct=false --timeout 15s "$ip_b" | grep -q "via DERP(lab)" || die "not over our relay"
until_ok 40 healthy a
say "relayed"

# a policy is in force at once, and gone as fast
cat > "$T/policy" <<-END
{"acls": [{"action": "accept", "src": ["$(addr a)"], "dst": ["$(addr b):8000"]}]} // only one way
END
co_cli policy set "$T/policy" > /dev/null
refused() { ! via "$1" "$2" --connect-timeout 2 > /dev/null 2>&1; }
until_ok 30 refused b "http://$(addr a):8000/"
until_ok 30 fetch a "http://$ip_b:8000/" b
unknown() { ! ts b status --json | jq -e '[.Peer[]?.HostName] | index("c")' > /dev/null; }
until_ok 30 unknown
echo '{"acls": [' > "$T/policy-bad"
if co_cli policy set "$T/policy-bad" 2> "$T/policy-bad.out"; then die "a broken policy was taken"; fi
grep -q "line" "$T/policy-bad.out" || die "no line in: $(cat "$T/policy-bad.out")"
echo '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}' > "$T/policy"
co_cli policy set "$T/policy" > /dev/null
until_ok 30 fetch b "http://$(addr a):8000/" a
say "policy changed and changed back"

# interactive login: the node shows a URL, a command lets it in
unset TS_DEBUG_ALWAYS_USE_DERP
host d
tailscaled d
timeout 240 ip netns exec "tp$ID-d" env SSL_CERT_FILE="$CA" "$PEERS/tailscale" --socket="$T/d.sock" up --login-server="$URL" --hostname=d \
	--accept-dns=false > "$T/login.out" 2>&1 &
UP=$!
until_ok 30 grep -q "$URL/register/" "$T/login.out"
login=$(grep -o "$URL/register/[A-Za-z0-9_-]*" "$T/login.out")
in_ns d curl -sf --cacert "$CA" "$login" | grep -q "coordinator login approve" || die "the page does not say how"
co_cli login approve "$login" --user test > /dev/null
wait $UP || die "tailscale up after the approval"
until_ok 30 fetch d "http://$ip_b:8000/" b
say "interactive login"

# expiry: the node is told to log in again
co_cli nodes expire d > /dev/null
expired() { [ "$(ts d status --json | jq -r .BackendState)" = NeedsLogin ]; }
until_ok 30 expired
say "expired node needs login"

# an older client: it does not know certificate pins, so the same certificate is given as files
need_peer tailscaled-1.80.3
stop "$CO_PID"
sed -i "s|^tls: .*|tls: {mode: files, certificate: $CA, key: $CO_DIR/state/tls.key}|" "$CO_DIR/config.yaml"
coordinator_start
host o
TAILSCALED=tailscaled-1.80.3 tailscaled o
ts_up o "$key"
web o 8000
until_ok 40 fetch a "http://o.tail.test:8000/" o
say "tailscaled 1.80.3"

# removal of a node: its peers forget it
stop "$PID_c" # one that runs and has its key would register again at once
co_cli nodes delete c > /dev/null
gone() { ! ts b status --json | jq -e '[.Peer[]?.HostName] | index("c")' > /dev/null; }
until_ok 30 gone
say "deleted node is gone"
