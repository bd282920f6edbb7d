#!/bin/bash
# Start, stop and failure of the sidecar: bad settings and full disks are one clear line, the boot timeout ends it with the reason,
# the key comes from a file, logout on exit removes the node, any uid without capabilities on a read-only root works, as PID 1 it
# reaps orphans, and proxies keep inside the tailnet when told to.
. "$(dirname "$0")/lib.sh"
headscale --fast
host a; host b; host c
boot() { in_ns a env -i PATH="$PATH" SSL_CERT_FILE="$CA" TS_SOCKET="$T/x.sock" TS_LOGIN_SERVER="$URL" "$@" timeout 120 "$BIN/containerboot"; }
# one WORDS VAR=VALUE...: ends with code 1 and exactly one error line, which holds WORDS
one() {
	local words=$1 rc=0; shift
	boot "$@" > "$T/one.log" 2>&1 || rc=$?
	[ "$rc" = "${want:-1}" ] || { cat "$T/one.log"; die "exit code $rc for $*"; }
	[ "$(grep -c ' error ' "$T/one.log")" = 1 ] || { cat "$T/one.log"; die "not one line for $*"; }
	grep ' error ' "$T/one.log" | grep -q "$words" || { cat "$T/one.log"; die "the line for $* does not say: $words"; }
}
one "TS_BOOT_TIMEOUT: wanted a duration" TS_BOOT_TIMEOUT=soon
one "TS_USERSPACE=false" TS_USERSPACE=false
one "no such flag" TS_EXTRA_ARGS=--hostnam=x
one "TS_SOCKS5_SERVER" TS_SOCKS5_SERVER=nowhere
one "/no/such/key" TS_AUTHKEY=file:/no/such/key
one "TS_SOCKS5_SERVER: listen on 192.0.2.1:1055" TS_SOCKS5_SERVER=192.0.2.1:1055
one "SSL_CERT_FILE: CA file /no/such/ca" SSL_CERT_FILE=/no/such/ca
mkdir "$T/torn"; echo '{"_machinekey": "cHJp' > "$T/torn/tailscaled.state"
one "torn or malformed" TS_STATE_DIR="$T/torn"
[ "$(cat "$T/torn/tailscaled.state")" = '{"_machinekey": "cHJp' ] || die "a torn state was overwritten"
mkdir "$T/full"; mount -t tmpfs -o size=4k tmpfs "$T/full"; head -c 8192 /dev/zero > "$T/full/fill" 2> /dev/null || true
full_rc=0; boot TS_STATE_DIR="$T/full" > "$T/full.log" 2>&1 || full_rc=$?
umount "$T/full"
[ "$full_rc" = 1 ] && grep -qi "no space left" "$T/full.log" || { cat "$T/full.log"; die "full disk: exit code $full_rc"; }
say "bad settings, torn state, full disk"

key=$(authkey --reusable)
one "TS_BOOT_TIMEOUT" TS_AUTHKEY="$key" TS_LOGIN_SERVER=https://$IP_hs:9 TS_BOOT_TIMEOUT=3s
one "certificate of $IP_hs: .*SSL_CERT_FILE" SSL_CERT_FILE= TS_AUTHKEY="$key" TS_BOOT_TIMEOUT=3s # empty is as if it were not set
want=3 one "refuses the auth key" TS_AUTHKEY=nonsense TS_BOOT_TIMEOUT=5s
grep -q nonsense "$T/one.log" && die "the key is in the log"
say "boot timeout and a bad key say why"

# a key from a file, an unknown variable, a junk boolean
echo "  $key " > "$T/key"
containerboot a "file:$T/key" TS_AUTH_ONCE=yes TS_SOMETHING=secret-value
ready a
grep -q "unknown variable TS_SOMETHING" "$T/a.log" || die "no warning for an unknown variable"
grep -q "TS_AUTH_ONCE is neither" "$T/a.log" || die "no warning for a junk boolean"
grep -q "secret-value\|$key" "$T/a.log" && die "a secret is in the log"
tr '\0' '\n' < "/proc/$PID_a/environ" | grep -q "$key" && die "the key is in environ"
[ "$(grep -c 'Startup complete, waiting for shutdown signal' "$T/a.log")" = 1 ] || die "no start-up line"
in_ns a curl -sf http://127.0.0.1:9002/livez > /dev/null && in_ns a curl -sf http://127.0.0.1:9002/readyz > /dev/null || die "livez, readyz"
start_kill=$(date +%s%N); kill -TERM "$PID_a"; rc=0; wait "$PID_a" || rc=$?
took=$((($(date +%s%N) - start_kill) / 1000000))
[ "$rc" = 0 ] || die "exit code $rc"
echo "figure: SIGTERM to exit $took ms"
say "key from a file, warnings, stop"

# a key's file that changes after it was read and before the node begins: the start waits for /etc/passwd, a FIFO
mkdir "$T/late.state"; mkfifo "$T/passwd"; echo nonsense > "$T/key"
start a a env SSL_CERT_FILE="$CA" TS_AUTHKEY="file:$T/key" TS_LOGIN_SERVER="$URL" TS_STATE_DIR="$T/late.state" TS_HOSTNAME=late TS_SOCKET="$T/late.sock" \
	TS_ENABLE_HEALTH_CHECK=true TS_EXTRA_ARGS=--operator=nobody \
	unshare --mount sh -c "mount --bind '$T/passwd' /etc/passwd && exec '$BIN/containerboot'"
PID_a=$PID
until_ok 30 test -S "$T/late.sock"
echo "$key" > "$T/key.new"; mv "$T/key.new" "$T/key"
timeout 30 sh -c "cat /etc/passwd > '$T/passwd'"
ready a || die "a key that came during the start is not seen: $(cat "$T/a.log")"
kill -TERM "$PID_a"; wait "$PID_a"
say "a key that changes during the start"

# stopping with live tunnels, on the side that dials and on the side that is dialled
containerboot a "$key"; containerboot b "$key" TS_STATE_DIR= TS_OUTBOUND_HTTP_PROXY_LISTEN=
ready a; ready b
web b 8000
hold() { in_ns a timeout 90 python3 -c 'import socket,sys,struct,time
c=socket.create_connection(("127.0.0.1",1055)); c.sendall(b"\5\1\0\5\1\0\1"+socket.inet_aton(sys.argv[1])+struct.pack(">H",int(sys.argv[2])))
r=b""
while len(r)<12: r+=c.recv(12-len(r))
print("reply", r[3], flush=True); time.sleep(60)' "$@"; }
hold "$(addr b)" 8000 > "$T/hold1" 2>&1 &
hold "$IP_hs" 8443 > "$T/hold2" 2>&1 &
until_ok 30 grep -q "reply 0" "$T/hold1"; until_ok 30 grep -q "reply 0" "$T/hold2"
for h in a b; do
	eval "pid=\$PID_$h"; kill -TERM "$pid"; rc=0; wait "$pid" || rc=$?
	[ "$rc" = 0 ] || die "exit code $rc of $h with live tunnels"
done
say "stop with live tunnels"

# expired on the server: with a key at hand it comes back, without one it ends with a code of its own
id_a() { hs_cli nodes list -o json | jq '.[] | select(.given_name == "a" or .name == "a") | .id'; }
containerboot a "$key"
ready a
hs_cli nodes expire --identifier "$(id_a)" > /dev/null
live() { hs_cli nodes list -o json | jq -e '.[] | select(.given_name == "a" or .name == "a") | .expiry == null or .expiry.seconds > now' > /dev/null; }
until_ok 40 live || die "an expired node with a key at hand did not come back"
until_ok 40 in_ns a curl -sf http://127.0.0.1:9002/readyz
kill -0 "$PID_a" || die "it ended although it has a key"
stop "$PID_a"
containerboot a ""
ready a
hs_cli nodes expire --identifier "$(id_a)" > /dev/null
rc=0; timeout 120 tail --pid="$PID_a" -f /dev/null || die "an expired node without a key goes on"
wait "$PID_a" || rc=$?
[ "$rc" = 3 ] && grep ' error ' "$T/a.log" | grep -q "set TS_AUTHKEY" || { cat "$T/a.log"; die "exit code $rc of an expired node"; }
say "expiry"

# logout on exit: the node is gone from control at once
containerboot b "$(authkey --ephemeral --reusable)" TS_STATE_DIR= TS_LOGOUT_ON_EXIT=true
ready b
grep -q "state is in memory" "$T/b.log" || die "no warning about memory state"
n=$(hs_cli nodes list -o json | jq length)
kill -TERM "$PID_b"; rc=0; wait "$PID_b" || rc=$?
[ "$rc" = 0 ] || die "exit code $rc after the logout"
fewer() { [ "$(hs_cli nodes list -o json | jq length)" -lt "$n" ]; }
until_ok 30 fewer
say "logout on exit"

# any uid, no capabilities, read-only root, PID 1 of its own namespace
chmod 755 "$T"; mkdir "$T/c.state"; chown 12345 "$T/c.state"; cp "$BIN/containerboot" "$T/cb"; cp "$CA" "$T/root-for-c.crt"; chmod 644 "$T/root-for-c.crt"
start c c env SSL_CERT_FILE="$T/root-for-c.crt" TS_AUTHKEY="$key" TS_LOGIN_SERVER="$URL" TS_HOSTNAME=c TS_STATE_DIR="$T/c.state" \
	TS_SOCKET="$T/c.state/sock" TS_ENABLE_HEALTH_CHECK=true TS_SOCKS5_SERVER=127.0.0.1:1055 TS_PROXY_TAILNET_ONLY=true \
	unshare --mount --pid --fork --kill-child sh -c \
	"mount -t proc proc /proc; mount --bind '$T/c.state' '$T/c.state'; mount -o remount,ro,bind / ; exec setpriv --reuid 12345 --regid 12345 --clear-groups --bounding-set -all --inh-caps -all '$T/cb'"
PID_c=$PID
ready c
inner=$(pgrep -P "$PID_c" | head -n 1)
until_ok 30 test -n "$inner"
[ "$(awk '/^CapEff/{print $2}' "/proc/$inner/status")" = 0000000000000000 ] || die "capabilities are left"
[ "$(awk '/^NoNewPrivs/{print $2}' "/proc/$inner/status")" = 1 ] || die "new privileges are possible"
# an orphan: its parent ends at once, so it becomes a child of PID 1, and must not stay a zombie
nsenter -t "$inner" --pid --mount sh -c '(sleep 0.3 &) ; exit 0'
sleep 1
no_zombie() { ! ps -o stat= --ppid "$inner" | grep -q Z; }
until_ok 5 no_zombie || die "an orphan stayed a zombie"
in_ns c curl -sS --max-time 60 --proxy socks5h://127.0.0.1:1055 "http://$IP_hs:8443/" > "$T/refused" 2>&1 && die "left the tailnet"
grep -qi "not allowed\|SOCKS5 connect\|(2)\|(97)\|rejected" "$T/refused" || { cat "$T/refused"; die "no clear refusal"; }
kill -TERM "$inner"
until_ok 30 sh -c "! kill -0 $inner 2> /dev/null"
say "uid 12345, no capabilities, read-only root, PID 1, tailnet only"
