#!/bin/bash
# The secret of an OAuth client in place of an auth key: TS_CLIENT_SECRET and TS_AUTHKEY=tskey-client-..., against our coordinator's
# API (nobody here has Tailscale's). A key is made when the node must log in, and only then; the secret is nowhere to be found.
. "$(dirname "$0")/lib.sh"
client=tskey-client-lab-$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
echo "$client" > "$T/client"
coordinator "api_key_file: $T/client"
host a; host b; host d
secret=$(co_cli apikeys create | grep -o 'hskey-api-[^ ]*' | tail -n 1)
[ -n "$secret" ] || die "no API key"
made() { grep -c 'audit: auth key .* created' "$T/coordinator.log" || true; }
nodes() { co_cli nodes list -o json | jq -e "$@"; }

# a new node, ephemeral unless said otherwise
containerboot a "" TS_CLIENT_SECRET="$secret" TS_CLIENT_ID=lab TS_ADVERTISE_TAGS=tag:web,tag:lab
ready a
nodes '.nodes[] | select(.name == "a") | .tags == ["tag:web", "tag:lab"] or .forcedTags == ["tag:web", "tag:lab"]' > "$T/tags" || { co_cli nodes list -o json; die "not the tags that were asked for"; }
[ "$(made)" = 1 ] || die "$(made) keys were made for one node"
for what in "$secret" "${secret#hskey-api-}"; do
	grep -q -- "$what" "$T/a.log" && die "the secret is in the log"
	tr '\0' '\n' < "/proc/$PID_a/environ" | grep -q -- "$what" && die "the secret is in the environment"
	tr '\0' ' ' < "/proc/$PID_a/cmdline" | grep -q -- "$what" && die "the secret is on the command line"
	grep -aqr -- "$what" "$T/a.state" && die "the secret is in the state"
done
say "joined with TS_CLIENT_SECRET"

# as an auth key, out of a file, not ephemeral; control is away at first
stop "$CO_PID"
echo "$client?ephemeral=false&preauthorized=true" > "$T/key"
containerboot b "file:$T/key" TS_ADVERTISE_TAGS=tag:web
until_ok 30 grep -q "no auth key from $IP_co:8443 yet: .*; next try in" "$T/b.log"
coordinator_start
ready b
grep -q "$client" "$T/b.log" && die "the secret is in the log"
say "joined with tskey-client-, after control came"
before=$(made)
stop "$PID_b"
containerboot b "file:$T/key" TS_ADVERTISE_TAGS=tag:web
ready b
[ "$(made)" = "$before" ] || die "a restart made another key"
say "a restart makes no key"
for h in a b; do # by value, out of a file
	id=$(co_cli nodes list -o json | jq -r --arg n $h '.nodes[] | select(.name == $n) | .id')
	co_cli nodes delete "$id" > /dev/null
	until_ok 90 nodes --arg n $h --arg i "$id" '.nodes[] | select(.name == $n and .id != $i) | .id'
	ready $h
	eval "pid=\$PID_$h"
	kill -0 "$pid" || die "$h did not stay"
	grep -qE 'there is no auth key|refuses the requested tags' "$T/$h.log" && die "$h says what is not so"
done
say "a forgotten node asks for another key"

# refusals: one line and the code that says why
refused() { # CODE WORDS [VAR=VALUE...]
	local code=$1 words=$2 rc=0; shift 2
	containerboot d "" TS_STATE_DIR= "$@"
	wait "$PID_d" || rc=$?
	[ "$rc" = "$code" ] && tail -n 2 "$T/d.log" | grep -q -- "$words" || die "code $rc, wanted $words: $(cat "$T/d.log")"
	grep -q "hush" "$T/d.log" && die "a secret in the log: $(cat "$T/d.log")"
	return 0
}
refused 3 "$IP_co:8443 refuses the client secret (status 401, the client secret is none of this server's API keys): is the client secret right" TS_CLIENT_SECRET=hush TS_ADVERTISE_TAGS=tag:web
refused 1 "makes keys for tagged nodes only: set TS_ADVERTISE_TAGS" TS_CLIENT_SECRET=hush
refused 1 "TS_CLIENT_SECRET: of parameters behind ? only ephemeral" TS_CLIENT_SECRET="hush?reusable=true" TS_ADVERTISE_TAGS=tag:web
refused 1 "TS_AUTHKEY and TS_CLIENT_SECRET exclude each other" TS_AUTHKEY=hush TS_CLIENT_SECRET=hush
refused 1 "TS_CLIENT_SECRET: read $T/nowhere: No such file" TS_CLIENT_SECRET="file:$T/nowhere" TS_ADVERTISE_TAGS=tag:web
say "refusals"
