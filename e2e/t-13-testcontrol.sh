#!/bin/bash
# What Headscale never asks of a node, asked by the Go testcontrol server, with a stock tailscaled as the other peer: approval of
# machines, requests to the node, pings, jailed and shared peers, masquerade addresses, an SSH policy, expiry of every key.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/testcontrol.sh"
testcontrol -approval -auth-key the-key

# --- approval: says so, then works ---
host a; host b
web a 8000; web b 8000
tailscaled b
containerboot a the-key TS_EXTRA_ARGS="--accept-dns=false"
needs_approval() { [ "$(state a)" = NeedsMachineAuth ]; }
until_ok 40 needs_approval
unwell a approv || die "health does not say that approval is wanted: $(ts a status --json | jq -c .Health)"
[ "$(in_ns a curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9002/healthz)" = 503 ] || die "healthy without approval"
in_ns a curl -s http://127.0.0.1:9002/readyz | grep -qi approv || die "readyz does not say why: $(in_ns a curl -s http://127.0.0.1:9002/readyz)"
tc "approve?node=a"
ready a 40
[ "$(state a)" = Running ] || die "approved and $(state a)"
well a || die "still unwell: $(ts a status --json | jq -c .Health)"
say "a machine that needs approval says so and works once it has it"
ts_up b the-key > /dev/null 2>&1 &
up=$!
until_ok 40 known b
tc "approve?node=b"
wait "$up"
IP_ta=$(tc_addr a) IP_tb=$(tc_addr b)
until_ok 40 get a "$IP_tb" b
until_ok 30 get b "$IP_ta" a
say "pages both ways"

# --- requests to the node: both clients give the same status; ours tells no key ---
[ "$(tc "c2n?node=a&method=POST&path=/echo" -d "hello")" = "200 hello" ] || die "no echo"
for rq in "GET /debug/prefs" "GET /debug/metrics" "GET /debug/component-logging" "GET /update" "POST /update" "GET /posture/identity" \
	"GET /tls-cert-status" "GET /vip-services" "GET /appconnector/routes" "POST /wol" "POST /wol?mac=zz" "GET /sockstats" "GET /nowhere"; do
	ours=$(tc "c2n?node=a&method=${rq% *}&path=$(jq -rn --arg p "${rq#* }" '$p | @uri')") || die "$rq: $ours"
	stock=$(tc "c2n?node=b&method=${rq% *}&path=$(jq -rn --arg p "${rq#* }" '$p | @uri')") || die "$rq at stock: $stock"
	[ "${ours%% *}" = "${stock%% *}" ] || die "$rq: ours ${ours:0:200}; stock ${stock:0:200}"
	! grep -q 'privkey:0*[1-9a-f]' <<< "$ours" || die "a private key in $rq"
done
[ "$(tc "c2n?node=a&method=POST&path=/logtail/flush" | cut -d ' ' -f 1)" = 500 ] || die "there is no log to flush"
say "requests to the node are answered as stock does"

# --- pings ---
tc "ping?node=a" | grep -q '^HEAD' || die "no HEAD"
tc "ping?node=a&noise=1" | grep -q '^HEAD' || die "no HEAD inside Noise"
for t in disco TSMP ICMP; do
	tc "ping?node=a&types=$t&ip=$IP_tb" > "$T/pong"
	sed 's/^POST //' "$T/pong" | jq -e --arg t $t --arg ip "$IP_tb" '.Type == $t and .IP == $ip and .NodeName == "b" and .LatencySeconds > 0 and (.Err // "") == ""' > /dev/null ||
		die "$t: $(cat "$T/pong")"
done
[ "$(tc "ping?node=a&types=TSMP,ICMP,disco&ip=$IP_tb" | grep -c LatencySeconds)" = 3 ] || die "three ways, fewer answers"
say "pings of every type"

# --- a jailed peer opens nothing to us, we open to it; the other way stock does the same ---
tc "jail?node=a&peer=b&on=true"
until_ok 30 shut b "$IP_ta" a
get a "$IP_tb" b || die "we cannot reach a peer that is jailed for us"
ts b ping --tsmp -c 1 --timeout 10s "$IP_ta" > /dev/null || die "a jailed peer gets no pong"
ts b ping --icmp -c 1 --timeout 2s "$IP_ta" > /dev/null && die "a jailed peer's echo request is answered"
tc "jail?node=a&peer=b&on=false"
until_ok 30 get b "$IP_ta" a
tc "jail?node=b&peer=a&on=true"
until_ok 30 shut a "$IP_tb" b
get b "$IP_ta" a || die "stock cannot reach us, whom it has in jail"
tc "jail?node=b&peer=a&on=false"
until_ok 30 get a "$IP_tb" b
say "jailed peers"

# --- a peer shared in from elsewhere: reachable, and shown as stock shows it ---
tc "share?node=b&by=77"
sleep 1
get a "$IP_tb" b || die "a shared peer is out of reach"
get b "$IP_ta" a || die "a shared peer cannot reach us"
ts a status > "$T/a.status" || die "status fails with a shared peer"
grep -q "$IP_tb" "$T/a.status" || die "a shared peer is missing from status"
say "a shared peer"

# --- masquerade: b knows us by another address, over both families; nothing else changes ---
masq4=100.108.7.7 masq6=fd7a:115c:a1e0:ab12:4843:cd96:626c:707
tc "masquerade?node=a&peer=b&as=$masq4"
until_ok 30 get b $masq4 a
until_ok 30 get a "$IP_tb" b
ts b ping --tsmp -c 1 --timeout 10s $masq4 > /dev/null || die "no TSMP pong from the masquerade address"
ts b ping --icmp -c 1 --timeout 10s $masq4 > /dev/null || die "no echo reply from the masquerade address"
seen=$(in_ns b sh -c "timeout 60 python3 - <<'P'
import socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('127.0.0.1', 8099)); s.listen(1); s.settimeout(30)
open('$T/listening', 'w').close()
c, _ = s.accept(); c.settimeout(20)
c.sendall(b'ok'); c.close()
P" & until_ok 30 test -e "$T/listening"; via a "http://$IP_tb:8099/" --http0.9 --max-time 20; wait) || true
[ "$seen" = ok ] || die "a new flow from behind the masquerade address fails: $seen"
ts b whois --json $masq4 | jq -e '.Node.Name | startswith("a.")' > /dev/null || die "b does not know us by the masquerade address"
tc "masquerade?node=a&peer=b&as=" ; tc "masquerade?node=a&peer=b&as=$masq6"
until_ok 30 get b "[$masq6]" a
# and we by a stock peer that masquerades
tc "masquerade?node=a&peer=b&as="; tc "masquerade?node=b&peer=a&as=100.108.8.8"
until_ok 30 get a 100.108.8.8 b
until_ok 30 get b "$IP_ta" a
tc "masquerade?node=a&peer=b&as="
until_ok 30 get b "$IP_ta" a
until_ok 30 get a "$IP_tb" b
say "masquerade addresses of both families, ours and a peer's"

# --- an SSH policy is nothing to us: no server, no crash, the map goes on ---
tc ssh
sleep 1
kill -0 "$PID_a" || die "an SSH policy ended us"
get b "$IP_ta" a || die "an SSH policy breaks flows"
in_ns b timeout 10 "$PEERS/tailscale" --socket="$T/b.sock" nc "$IP_ta" 22 < /dev/null > "$T/ssh" 2>&1 || true
[ ! -s "$T/ssh" ] || ! grep -q SSH- "$T/ssh" || die "something answers on port 22"
[ "$(tc "c2n?node=a&method=POST&path=/echo" -d "again")" = "200 again" ] || die "the map stream does not go on"
say "an SSH policy is left alone"

# --- our host moves: what its old address had opened ends at once, and control reaches us again within seconds ---
ip -n "tp$ID-a" addr add 10.77.0.88/24 dev eth0
ip -n "tp$ID-a" addr del "$IP_a/24" dev eth0
t0=$(date +%s%N)
asks() { timeout 10 ip netns exec "tp$ID-tc" curl -sS --fail-with-body --max-time 2 "http://127.0.0.1:9001/c2n?node=a&method=POST&path=/echo" -d moved | grep -q "200 moved"; }
until_ok 9 asks || die "control does not reach us after a move"
echo "figure: $(basename "$0" .sh): control reaches us $((($(date +%s%N) - t0) / 1000000)) ms after our address moved"
get b "$IP_ta" a || die "no flow after a move"

# --- every key expires: we log in again with the key at hand; once nothing is expired any more all is well ---
old=$(node_of a .Key)
tc "expire?on=true"
until_ok 40 unwell a expired
kill -0 "$PID_a" || die "expiry ended us, although there is an auth key"
tc "expire?on=false"
[ -n "$(node_of a .Key | grep -vxF "$old")" ] || die "no new key was tried"
again() { [ "$(state a)" = Running ] && ! unwell a expired; }
until_ok 60 again
[ "$(in_ns a curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9002/healthz)" = 200 ] || die "unhealthy after expiry"
say "expiry of every node is said and survived"

# --- down, and log out while down: done at once ---
ts a down
t0=$(date +%s%N)
timeout 60 ip netns exec "tp$ID-a" "$PEERS/tailscale" --socket="$T/a.sock" logout || die "logout while down does not end"
out() { [ "$(state a)" = NeedsLogin ]; }
until_ok 30 out || die "logged out, and $(state a)"
echo "figure: $(basename "$0" .sh): logged out $((($(date +%s%N) - t0) / 1000000)) ms after it was asked for, while down"
kill "$PID_a"; rc=0; wait "$PID_a" || rc=$?
[ "$rc" = 0 ] || die "exit code $rc"
