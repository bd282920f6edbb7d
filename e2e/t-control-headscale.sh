#!/bin/bash
# Our control client against a real Headscale: pre-auth key, first map (zstd and plain), lite updates, logout; tags that
# Headscale refuses; a bad key; another key than the pinned one; interactive login; a restart of Headscale; a deleted node.
# waits: 60
set -u
cd "$(dirname "$0")/.." || exit 1
work=$(mktemp -d) || exit 1
. e2e/headscale.sh
trap 'headscale_stop; rm -rf "$work"' EXIT
probe=${TAILPOD_BUILD:-build/gcc}/e2e/control_probe
[ -x "$probe" ] || { echo "$probe is not built: make $probe"; exit 1; }
fail() { echo "FAILED: $*"; cat "$work/out"; tail -n 20 "$work/hs/log"; exit 1; }
run() { timeout 300 "$probe" "$HS_URL" "$@" > "$work/out" 2>&1; }
has() { grep -q -e "$1" "$work/out" || fail "no '$1' in the probe's output"; }
nodes() { hs nodes list -o json 2>/dev/null; }

headscale_start || exit 1
headscale_key --reusable --ephemeral > "$work/key"; [ -s "$work/key" ] || fail "no key"

run --auth-key-file "$work/key" || fail "zstd run"
has '^registered authorized=1'; has '^map frame 1: [0-9]\{3,\} bytes'; has '^lite updates answered: 2'; has '^logged-out'
[ "$(grep -c '^dial 0' "$work/out")" = 1 ] || fail "key fetch and upgrade did not share one stream"
! grep -q '^trouble' "$work/out" || fail "trouble in an untroubled run"
nodes | grep -q probe && fail "an ephemeral node is still there after its logout"
echo "figure: first map, zstd: $(sed -n 's/^map frame 1: //p' "$work/out")"

run --auth-key-file "$work/key" --plain || fail "plain run"
has '^map frame 1: [0-9]\{3,\} bytes'

run --auth-key-file "$work/key" --tag tag:x || fail "a run with tags that the key does not allow"
has '^trouble .*refuses the requested tags'

headscale_key --reusable > "$work/key2"
run --auth-key-file "$work/key2" --keep || fail "run that stays"
nodes | tr -d ' \n' | grep -q '"name":"probe"' || fail "the node is not listed"
nodes | tr -d ' \n' | grep -q '"disco_key":"discokey:[0-9a-f]*[1-9a-f]' || fail "its disco key did not arrive"

echo "hskey-auth-aaaaaaaaaaaa-$(printf 'b%.0s' $(seq 64))" > "$work/bad"
run --auth-key-file "$work/bad" --seconds 12 && fail "a bad key was accepted"
has '^login-failed fatal=1'
grep -q -e 'bbbb' "$work/out" && fail "the auth key is shown"

run --auth-key-file "$work/key" --seconds 12 --pinned "mkey:$(printf '12%.0s' $(seq 32))" && fail "a wrong control key was accepted"
has '^trouble .*pinned: refused'

# interactive: the URL names an id, the operator approves it, the follow-up returns
timeout 300 "$probe" "$HS_URL" --seconds 120 > "$work/out" 2>&1 &
pid=$!
for i in $(seq 600); do grep -q '^auth-url' "$work/out" && break; sleep 0.1; done
id=$(sed -n 's|^auth-url .*/\(hskey-authreq-[^/]*\)$|\1|p' "$work/out")
[ -n "$id" ] || fail "no id in the URL"
hs auth register --auth-id "$id" --user test > /dev/null 2>&1 || fail "headscale does not approve $id"
wait $pid || fail "interactive login"
has '^registered'; has '^logged-out'

# Headscale goes away and comes back: the same node streams again without registering again
timeout 300 "$probe" "$HS_URL" --auth-key-file "$work/key" --streams 2 --seconds 200 > "$work/out" 2>&1 &
pid=$!
for i in $(seq 600); do grep -q '^lite updates answered' "$work/out" && break; sleep 0.1; done
headscale_stop
for i in $(seq 600); do grep -q '^trouble' "$work/out" && break; sleep 0.1; done
headscale_run || fail "headscale does not come back"
wait $pid || fail "a restart of headscale"
has '^map frame [0-9]*: [0-9]* bytes, stream 2'; has '^trouble (none any more)'
[ "$(grep -c '^registered auth' "$work/out")" = 1 ] || fail "it registered again"

# deleted under its open stream: the next request is answered 404, and it registers again
timeout 300 "$probe" "$HS_URL" --auth-key-file "$work/key2" --streams 2 --seconds 200 > "$work/out" 2>&1 &
pid=$!
for i in $(seq 600); do grep -q '^lite updates answered' "$work/out" && break; sleep 0.1; done
for n in $(nodes | jq -r '.[].id'); do hs nodes delete -i "$n" --force >> "$work/hs/cli" 2>&1 || fail "cannot delete node $n: $(cat "$work/hs/cli")"; done
headscale_stop
headscale_run || fail "headscale does not come back"
wait $pid || fail "a node that was deleted"
[ "$(grep -c '^registered auth' "$work/out")" = 2 ] || fail "it did not register again"
has '^trouble .*does not know this node any more'
echo ok
