#!/bin/bash
# One flipped bit in the stream of a running node, and a control server that comes back with another key: both refused, nothing of
# it applied, health says so, traffic between peers goes on; what is right again is taken again. TS_CONTROL_KEY pins the key.
# waits: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
. "$(dirname "$0")/testcontrol.sh"

# --- one bit: a proxy before the server, for our node alone ---
testcontrol
host a; host b
web a 8000; web b 8000
big 200
mkdir "$T/flip"
start tc flip python3 e2e/flip.py "$T/flip" 9100 "$IP_tc" 9000
tailscaled b
ts_up b any
containerboot a any TS_LOGIN_SERVER="http://$IP_tc:9100"
ready a
ip_a=$(tc_addr a) ip_b=$(tc_addr b)
until_ok 40 get a "$ip_b" b
until_ok 30 get b "$ip_a" a
RATE=1000000 stream a a "$ip_b"
until_ok 30 moves a
# flip WHICH: the map that puts b into jail gets one bit flipped; the way back is closed for the time being
flip() {
	: > "$T/flip/closed"
	echo "$1" > "$T/flip/down"
	tc "jail?node=a&peer=b&on=true"
	until_ok 30 test ! -e "$T/flip/down"
	until_ok 30 unwell a control || die "byte $1: health does not say so: $(ts a status --json | jq -c .Health)"
	get b "$ip_a" a || die "byte $1: something of the damaged message was applied"
	get a "$ip_b" b || die "byte $1: a new flow fails"
	moves a || die "byte $1: the stream stands"
	[ "$(state a)" = Running ] || die "byte $1: state is $(state a)"
	rm "$T/flip/closed"
	until_ok 30 shut b "$ip_a" a
	until_ok 40 well a || die "byte $1: not well again: $(ts a status --json | jq -c .Health)"
	tc "jail?node=a&peer=b&on=false"
	until_ok 30 get b "$ip_a" a
}
for which in 0 m -1; do flip $which; done
say "one flipped bit towards us is refused whole, and healed"
echo m > "$T/flip/up"
in_ns a ip addr add 10.77.0.77/24 dev eth0 # something to tell control
until_ok 40 test ! -e "$T/flip/up"
until_ok 30 well a
tc "jail?node=a&peer=b&on=true"; until_ok 30 shut b "$ip_a" a
tc "jail?node=a&peer=b&on=false"; until_ok 30 get b "$ip_a" a
say "one flipped bit towards control is healed"
arrived a
say "a checksummed stream went through all of it"
cat "$T/flip.log"
kill "$PID_a" "$PID_b"

# --- another key: the same Headscale with a new noise key, then with its own again ---
headscale --fast
host c; host d; host e
key=$(authkey --reusable)
web c 8000; web d 8000; web e 8000
tailscaled d; ts_up d "$key"
containerboot c "$key"
pin=$(in_ns hs curl -sS --cacert "$CA" "$URL/key?v=130" | jq -r .publicKey)
containerboot e "$key" TS_CONTROL_KEY="$pin"
ready c; ready e
ip_c=$(addr c) ip_d=$(addr d)
until_ok 40 get c "$ip_d" d
until_ok 40 get e "$ip_d" d
until_ok 40 get d "$ip_c" c
ln -sf "$T/big" "$T/d.www/big"
RATE=1000000 stream c c "$ip_d"
until_ok 30 moves c
stop "$HS_PID"
noise=$HS_DIR/noise.key
[ "${CONTROL:-headscale}" = headscale ] || noise=$HS_DIR/state/control.key
mv "$noise" "$T/noise.key"
headscale_start
until_ok 40 unwell c "changed its key"
until_ok 40 unwell e "pinned: refused"
get c "$ip_d" d || die "with the changed key a new flow fails"
get d "$ip_c" c || die "with the changed key nobody reaches us"
get e "$ip_d" d || die "the node with the pinned key lost its peers"
moves c || die "the stream stands"
[ "$(state c)" = Running ] && [ "$(state e)" = Running ] || die "states: $(state c) $(state e)"
[ "$(in_ns c curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9002/healthz)" = 200 ] || die "an orchestrator would restart us"
say "a changed control key is refused, flows live"
stop "$HS_PID"
cp "$T/noise.key" "$noise"
headscale_start
until_ok 60 well c
until_ok 60 well e
say "the right key is taken again"
# whoever starts with the wrong pin never comes in
stop "$PID_e"
containerboot e "$key" TS_CONTROL_KEY="mkey:${pin:6:62}00" TS_BOOT_TIMEOUT=5s TS_STATE_DIR="$T/e2.state"
rc=0; wait "$PID_e" || rc=$?
[ $rc = 1 ] && grep -q "is pinned: refused" "$T/e.log" || die "a wrong pin: exit code $rc"
arrived c
say "done"
