#!/bin/bash
# Workload identity: TS_ID_TOKEN with TS_CLIENT_ID, against a stand-in that exchanges tokens (nobody here has Tailscale's server, ours has no
# such thing) and passes the rest to our coordinator. The stock client asks the same stand-in: its requests and ours say the same. The token
# lies in a projected volume that is swapped; it is read again at each login, and is nowhere to be found.
. "$(dirname "$0")/lib.sh"
need_peer tailscaled tailscale
coordinator
host a; host b; host d
BASE=http://$IP_d:8080
co_cli apikeys create | grep -o 'hskey-api-[^ ]*' | tail -n 1 > "$T/api-key"
[ -s "$T/api-key" ] || die "no API key"
exchange() { start d exchange python3 "$ROOT/e2e/fake_exchange.py" "$IP_d" "$1" "$URL" "$CA" "$T/issued" "$T/api-key" "$T/asked"; EXCHANGE=$PID; }
exchange 8080
until_ok 60 in_ns d curl -s "$BASE/"
made() { grep -c 'audit: auth key .* created' "$T/coordinator.log" || true; }
exchanges() { jq -c 'select(.path | endswith("token-exchange")) | '"$1" "$T/asked"; }
b64() { base64 -w0 | tr '+/' '-_' | tr -d =; }
# token SECONDS: one that ends then
token() { echo "$(printf '{"alg":"RS256"}' | b64).$(printf '{"sub":"system:serviceaccount:default:web","exp":%d}' $(($(date +%s) + $1)) | b64).$(head -c 32 /dev/urandom | b64)"; }
# projected DIR TOKEN: as the kubelet does it
n=0
projected() {
	n=$((n + 1))
	HUSH=${2##*.} # what must not be found
	mkdir -p "$1/..$n"; printf '%s' "$2" > "$1/..$n/token"
	ln -s "..$n" "$1/..tmp"; mv -T "$1/..tmp" "$1/..data"
	[ -e "$1/token" ] || ln -s ..data/token "$1/token"
}
issue() { TOKEN=$(token "$1"); HUSH=${TOKEN##*.}; echo "$TOKEN" > "$T/issued"; }
id=lab?baseURL=$(printf %s "$BASE" | jq -sRr @uri)

# a new node, out of a projected volume
issue 3600
projected "$T/tokens" "$TOKEN"
containerboot a "" TS_CLIENT_ID="$id" TS_ID_TOKEN="file:$T/tokens/token" TS_ADVERTISE_TAGS=tag:web,tag:lab
ready a
co_cli nodes list -o json | jq -e '.nodes[] | select(.name == "a") | .tags == ["tag:web", "tag:lab"] or .forcedTags == ["tag:web", "tag:lab"]' > "$T/tags" || { co_cli nodes list -o json; die "not the tags that were asked for"; }
[ "$(made)" = 1 ] || die "$(made) keys were made for one node"
[ "$(exchanges '[.client_id, .members, .right]')" = '["lab",["client_id","jwt"],true]' ] || die "asked: $(cat "$T/asked")"
nowhere() { # PID HOST
	grep -q -- "$HUSH" "$T/$2.log" && die "the token is in the log"
	tr '\0' '\n' < "/proc/$1/environ" | grep -q -- "$HUSH" && die "the token is in the environment"
	tr '\0' ' ' < "/proc/$1/cmdline" | grep -q -- "$HUSH" && die "the token is on the command line"
	grep -aqr -- "$HUSH" "$T/$2.state" && die "the token is in the state"
	return 0
}
nowhere "$PID_a" a
say "joined with a token out of a file"

# forgotten when another token is issued: the volume is swapped, the new one is exchanged
issue 3600
projected "$T/tokens" "$TOKEN"
old=$(co_cli nodes list -o json | jq -r '.nodes[] | select(.name == "a") | .id')
co_cli nodes delete "$old" > /dev/null
again() { co_cli nodes list -o json | jq -e --arg i "$old" '.nodes[] | select(.name == "a" and .id != $i) | .id'; }
until_ok 90 again
ready a
[ "$(made)" = 2 ] || die "$(made) keys for two logins"
[ "$(exchanges .right | sort | uniq -c | tr -s ' ')" = ' 2 true' ] || die "asked: $(cat "$T/asked")"
nowhere "$PID_a" a
stop "$PID_a"
say "a swapped token is read again"

# by value
issue 3600
containerboot a "" TS_STATE_DIR= TS_CLIENT_ID="$id&ephemeral=false&preauthorized=true" TS_ID_TOKEN="$TOKEN" TS_ADVERTISE_TAGS=tag:web
ready a
nowhere "$PID_a" a
stop "$PID_a"
say "joined with a token by value"

# the stock client at the same server, with the same settings: what it wants of it is what we want
key() { jq -cS 'select(.key) | [.right, .key.capabilities]' "$T/asked" | tail -n 1; }
ours=$(key)
[ "$(jq -cn "$ours | .[1].devices.create | [.ephemeral, .preauthorized, .reusable, .tags]")" = '[false,true,false,["tag:web"]]' ] || die "we asked for another key: $ours"
cp "$T/asked" "$T/asked.ours"
: > "$T/asked"
tailscaled b
in_ns b timeout 60 env SSL_CERT_FILE="$CA" "$PEERS/tailscale" --socket="$T/b.sock" up --login-server="$BASE" --client-id='lab?ephemeral=false&preauthorized=true' \
	--id-token="$TOKEN" --advertise-tags=tag:web --timeout=2s > "$T/up.log" 2>&1 && die "the stand-in is no control server"
[ "$(exchanges '[.client_id, .right]' | tail -n 1)" = '["lab",true]' ] || die "the stock client asked: $(cat "$T/asked" "$T/up.log")"
[ "$(exchanges .type | sort -u)" = '"application/x-www-form-urlencoded"' ] || die "the stock client asked: $(cat "$T/asked")"
[ "$(key)" = "$ours" ] || die "the stock client asks for $(key), ours for $ours"
stop "$PID_b"
say "the stock client asks for the same"

# a server that is away at first, and comes when the token has been renewed
stop "$EXCHANGE"
projected "$T/tokens" "$(token -100)"
containerboot a "" TS_STATE_DIR= TS_CLIENT_ID="lab?baseURL=http%3A%2F%2F$IP_d%3A8081" TS_ID_TOKEN="file:$T/tokens/token" TS_ADVERTISE_TAGS=tag:web
until_ok 30 grep -q "no auth key from $IP_d:8081 yet: .*; next try in" "$T/a.log"
issue 3600
projected "$T/tokens" "$TOKEN"
exchange 8081
ready a
nowhere "$PID_a" a
stop "$PID_a"
say "joined with a token that was renewed while the server was away"

# refusals: one line and the code that says why
refused() { # CODE WORDS [VAR=VALUE...]
	local code=$1 words=$2 rc=0; shift 2
	containerboot a "" TS_STATE_DIR= "$@"
	wait "$PID_a" || rc=$?
	[ "$rc" = "$code" ] && tail -n 2 "$T/a.log" | grep -q -- "$words" || die "code $rc, wanted $words: $(cat "$T/a.log")"
	grep -q -e hush -e "$HUSH" "$T/a.log" && die "a token in the log: $(cat "$T/a.log")"
	return 0
}
base="baseURL=http%3A%2F%2F$IP_d%3A8081"
tagged=TS_ADVERTISE_TAGS=tag:web
projected "$T/tokens" "$(token -100)"
refused 3 "$IP_d:8081 refuses the token of TS_ID_TOKEN (status 401, token is expired or not yet valid): the token ended 10[0-9] s ago; give a fresh one" TS_CLIENT_ID="lab?$base" TS_ID_TOKEN="file:$T/tokens/token" $tagged
projected "$T/tokens" "$(token 100)"
refused 3 "$IP_d:8081 refuses the token of TS_ID_TOKEN (status 401, .*): does it exchange tokens .* issuer, subject and audience match what TS_CLIENT_ID stands for" TS_CLIENT_ID="lab?$base" TS_ID_TOKEN="file:$T/tokens/token" $tagged
refused 3 "$IP_co:8443 refuses the token of TS_ID_TOKEN (status 404, tokens of workloads are not exchanged here): it has no such API; make an auth key" TS_CLIENT_ID=lab TS_ID_TOKEN="file:$T/tokens/token" $tagged
refused 1 "workload identity makes keys for tagged nodes only: set TS_ADVERTISE_TAGS" TS_CLIENT_ID=lab TS_ID_TOKEN=e30.e30.hush
refused 1 "TS_ID_TOKEN: wanted a JWT" TS_CLIENT_ID=lab TS_ID_TOKEN=hush $tagged
refused 1 "TS_ID_TOKEN: read $T/nowhere: No such file" TS_CLIENT_ID=lab TS_ID_TOKEN="file:$T/nowhere" $tagged
refused 1 "TS_CLIENT_ID: of parameters behind ? only ephemeral" TS_CLIENT_ID="lab?x=y" TS_ID_TOKEN=e30.e30.hush $tagged
refused 1 "TS_ID_TOKEN needs TS_CLIENT_ID" TS_ID_TOKEN=hush
refused 1 "TS_AUDIENCE: tokens are not asked of a cloud's metadata" TS_AUDIENCE=x TS_CLIENT_ID=x
refused 1 "TS_CLIENT_ID alone is not enough" TS_CLIENT_ID=x
refused 1 "TS_CLIENT_SECRET and TS_ID_TOKEN exclude each other" TS_CLIENT_SECRET=hush TS_ID_TOKEN=hush TS_CLIENT_ID=x
say "refusals"
