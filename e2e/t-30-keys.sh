#!/bin/bash
# Auth keys of every kind at a real Headscale: reusable, one-time, ephemeral, tagged, expired, from a file; each refusal is one
# clear line and exit code 3 (with a key from a file: it waits for another one); a node that was deleted registers again with its key,
# and without one leaves with 3.
# waits: 110
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
headscale
for h in a b c d e f g; do host $h; done
nodes() { hs_cli nodes list -o json | jq -r '.[].given_name' | sort | tr '\n' ' '; }
exits() { # HOST CODE: the program of that host leaves with this code
	local rc=0 pid
	eval "pid=\$PID_$1"
	wait "$pid" || rc=$?
	[ "$rc" = "$2" ] || die "$1 left with $rc, not $2"
}
# a line about the key, once, without the key itself
complains() { # HOST KEY PATTERN
	local n
	n=$(grep -Ec "(warn|error).*($3)" "$T/$1.log") || true
	[ "$n" -ge 1 ] && [ "$n" -le 2 ] || die "$1 says it $n times: $(cat "$T/$1.log")"
	[ -z "$2" ] || ! grep -qF -- "$2" "$T/$1.log" || die "$1 shows the key"
}

# reusable: two nodes
key=$(authkey --reusable)
containerboot a "$key"; containerboot b "$key"
ready a; ready b
# one-time: the second use is refused
once=$(authkey)
containerboot c "$once"; ready c
containerboot d "$once"
# expired: refused
old=$(authkey --expiration 1s)
sleep 1.5
containerboot e "$old"
# made up
containerboot f "hskey-auth-aaaaaaaaaaaa-$(printf 'b%.0s' $(seq 64))"
say "three nodes are up, three wait"
exits d 3; exits e 3; exits f 3
complains d "$once" 'refuses the auth key'
complains e "$old" 'refuses the auth key'
complains f "bbbb" 'refuses the auth key'
for h in d e f; do
	echo "$h: $(grep -E 'warn|error' "$T/$h.log" | head -n 1)"
done
[ "$(nodes)" = "a b c " ] || die "nodes: $(nodes)"
say "one-time, expired and unknown keys are refused"

# a one-time key that is used up does no harm to a registered node that restarts with it
ends c
containerboot c "$once"; ready c
[ "$(nodes)" = "a b c " ] || die "nodes after a restart with a used key: $(nodes)"

# tags belong to the key; requested ones are refused by Headscale, then joined without, with a warning
tagged=$(authkey --reusable --tags tag:web)
containerboot d "$tagged"; ready d
hs_cli nodes list -o json | jq -e '.[] | select(.given_name == "d") | (.tags // .forced_tags // .valid_tags) | index("tag:web")' > /dev/null || die "d has no tag: $(hs_cli nodes list -o json)"
containerboot e "$tagged" TS_EXTRA_ARGS=--advertise-tags=tag:other; ready e
complains e "$tagged" 'refuses the requested tags'
containerboot f "$key" TS_TAGS=tag:other; ready f
complains f "$key" 'refuses the requested tags'
say "tagged keys; requested tags are left out"

# a key from a file, read again when it changes: first one that is refused, then a good one
echo "$once" > "$T/key"
containerboot g "file:$T/key" TS_BOOT_TIMEOUT=60s
until_ok 30 grep -q 'waiting for another auth key' "$T/g.log"
printf ' %s\n\n' "$key" > "$T/key.new"; mv "$T/key.new" "$T/key"
ready g 40
ends g
say "a key file that changes"

# deleted in Headscale: registers again with the key at hand; without a key it leaves with 3
id_of() { hs_cli nodes list -o json | jq -r --arg n "$1" '.[] | select(.given_name == $n) | .id'; }
# (Headscale leaves its stream open and says nothing; the next request, here for a new address, is answered 404)
hs_cli nodes delete -i "$(id_of a)" --force > /dev/null
ip -n "tp$ID-a" addr add 10.77.0.201/24 dev eth0
there() { nodes | grep -qw "$1"; }
gone() { ! there "$1"; }
until_ok 30 there a
ready a 40
say "a deleted node registers again"
ends b
containerboot b ""; ready b
hs_cli nodes delete -i "$(id_of b)" --force > /dev/null
ip -n "tp$ID-b" addr add 10.77.0.202/24 dev eth0
exits b 3
[ "$(grep -Ec ' (error) ' "$T/b.log")" = 1 ] || die "not one line: $(cat "$T/b.log")"
grep -q 'error.*set TS_AUTHKEY' "$T/b.log" || die "does not say what to do: $(cat "$T/b.log")"
say "a deleted node without a key leaves with 3"

# ephemeral: gone at once after a logout, and by itself after inactivity
eph=$(authkey --reusable --ephemeral)
rm -rf "$T/g.state"
containerboot g "$eph" TS_STATE_DIR= TS_HOSTNAME=eph1 TS_LOGOUT_ON_EXIT=true; ready g
nodes | grep -qw eph1 || die "no ephemeral node: $(nodes)"
ends g
until_ok 30 gone eph1
say "an ephemeral node is gone after its logout"
containerboot g "$eph" TS_STATE_DIR= TS_HOSTNAME=eph2; ready g
kill -9 "$PID_g"; wait "$PID_g" 2> /dev/null || true
nodes | grep -qw eph2 || die "no second ephemeral node: $(nodes)"
until_ok 100 gone eph2
say "an ephemeral node that was killed is gone after inactivity"
