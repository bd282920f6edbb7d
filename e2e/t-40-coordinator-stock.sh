#!/bin/bash
# Two stock tailscaled on our coordinator: no health complaint, direct path, pages both ways by name and address; over our relay
# only; an ephemeral node goes away; the coordinator restarts under them; a containerboot beside them.
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
until_ok 20 direct a "$ip_b"
say "direct path"
fetch() { via "$1" "$2" | grep -q "hello from $3"; }
until_ok 10 fetch a "http://$ip_b:8000/" b
until_ok 10 fetch b "http://$ip_a:8000/" a
until_ok 10 fetch a "http://[$ip6_b]:8000/" b
until_ok 10 fetch a "http://b.tail.test:8000/" b
say "pages both ways, both families, by name"

healthy() { [ "$(ts "$1" status --json | jq -c '[.BackendState, (.Health // [])]')" = '["Running",[]]' ]; }
for h in a b; do
	until_ok 20 healthy $h || { ts $h status --json | jq .Health; die "$h complains"; }
done
say "Health is empty"
ts a netcheck | grep -q "Nearest DERP: Laboratory" || die "netcheck does not see our relay"

# a containerboot beside them
containerboot c "$key"
ready c
web c 8000
until_ok 20 fetch a "http://c.tail.test:8000/" c
until_ok 20 fetch c "http://b.tail.test:8000/" b
say "containerboot: pages both ways"

# ephemeral: gone once it is away for the time that is set
ekey=$(authkey --ephemeral)
tailscaled e; ts_up e "$ekey"
seen() { ts a status --json | jq -e '[.Peer[]?.HostName] | index("e")' > /dev/null; }
unseen() { ! seen; }
until_ok 5 seen
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
ts a ping -c 3 --until-direct=false --timeout 5s "$ip_b" | grep -q "via DERP(lab)" || die "not over our relay"
until_ok 20 healthy a
say "relayed"

# removal of a node: its peers forget it
co_cli nodes delete c > /dev/null
gone() { ! ts b status --json | jq -e '[.Peer[]?.HostName] | index("c")' > /dev/null; }
until_ok 5 gone
say "deleted node is gone"
