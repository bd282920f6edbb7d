#!/bin/bash
# Headscale's REST API: the same requests to a real Headscale and to our coordinator; status and JSON of the answers are the same
# (e2e/rest_diff.py)
. "$(dirname "$0")/lib.sh"
need_peer headscale
FLEET=${TAILPOD_BUILD:-build/gcc}/e2e/fleet
work=$T; . "$ROOT/e2e/headscale.sh"
HS_POLICY_MODE=database headscale_start
coordinator_alone 'key_expiry: 0s'
policy='{"tagOwners":{"tag:web":["test@"]},"acls":[{"action":"accept","src":["*"],"dst":["*:*"]}]}'
echo "$policy" > "$T/policy"
hs policy set -f "$T/policy" > /dev/null
co_cli policy set "$T/policy" > /dev/null
co_cli users create test > /dev/null
echo "$(headscale_key) restnode 10.1.0.0/16" > "$T/hs.nodes"
echo "$(co_cli preauthkeys create --user test --expiration 24h | tail -n 1) restnode 10.1.0.0/16" > "$T/co.nodes"
mkfifo "$T/hold"
for w in "hs $HS_URL" "co $CO_URL"; do
	"$FLEET" "${w#* }" "$T/${w% *}.nodes" < "$T/hold" > "$T/${w% *}.fleet" 2>&1 &
done
exec 8> "$T/hold"
until_ok 30 grep -q ready "$T/hs.fleet"
until_ok 30 grep -q ready "$T/co.fleet"
# what the API takes for done, as Headscale's does, and a name that nobody has, the commands refuse by name
refused() { local want=$1; shift; co_cli "$@" > "$T/refused" 2>&1 && die "$* was done"; grep -qF "$want" "$T/refused" || die "$*: $(cat "$T/refused")"; }
for v in expire delete; do refused "there is no auth key 999;" preauthkeys $v 999; done
refused "no user is called 'nobody';" users delete nobody
refused "no node is called 'nobody';" nodes expire nobody
hs_api=$(hs apikeys create --expiration 1h 2> /dev/null | grep -E '^hskey|^[A-Za-z0-9._-]{20,}$' | tail -n 1)
co_api=$(co_cli apikeys create --expiration 1h | grep hskey | tail -n 1)
timeout 400 python3 e2e/rest_diff.py "$HS_URL" "$hs_api" "$CO_URL" "$co_api"
say "REST"
