#!/bin/bash
# Where the keys of a running sidecar lie in memory: only in pages that are locked and left out of core files. A core file taken
# with every kind of memory switched on has none; SIGABRT leaves no core file; nor are they in one that the kernel writes of a
# process that a debugger keeps dumpable. (Logs, environment, captures: t-53-secrets.sh.)
. "$(dirname "$0")/lib.sh"
command -v gcore > /dev/null || { echo "needs gdb (gcore)"; exit 77; }
headscale --fast
host a; host b
key=$(authkey --reusable)
containerboot a "$key"; containerboot b "$key"
ready a; ready b
web b 8000
until_ok 40 via a "http://$(addr b):8000/"
keys() { # HOST: arguments for the searches
	local state=$T/$1.state/tailscaled.state machine profile node disco
	machine=$(jq -r '._machinekey' "$state" | base64 -d | sed 's/^privkey://')
	profile=$(jq -r '._profiles' "$state" | base64 -d | jq -r 'keys[0]')
	node=$(jq -r --arg p "profile-$profile" '.[$p]' "$state" | base64 -d | jq -r '.Config.PrivateNodeKey // .Persist.PrivateNodeKey' | sed 's/^privkey://')
	disco=$(jq -r '."_tailpod-disco"' "$state" | base64 -d | sed 's/^privkey://')
	for k in "$machine" "$node" "$disco"; do [ "${#k}" = 64 ] || die "no key in the state: $k"; done
	echo "machine=$machine node=$node disco=$disco auth=$key"
}
absent() { python3 - "$@" <<'END'
import base64, sys
data, bad = open(sys.argv[1], "rb").read(), 0
for arg in sys.argv[2:]:
    name, value = arg.split("=", 1)
    forms = {"text": value.encode(), "base64 of text": base64.b64encode(value.encode())[:-4]}
    if name != "auth":
        raw = bytes.fromhex(value)
        forms |= {"raw": raw, "base64": base64.b64encode(raw)[:40]}
    for form, b in forms.items():
        if b in data:
            print(f"{name} key as {form} in {sys.argv[1]}")
            bad = 1
print(f"figure: {len(data) >> 10} KiB of core file searched")
sys.exit(bad)
END
}
python3 e2e/memory_keys.py "$PID_a" $(keys a) || die "keys in ordinary memory after the registration"
stop "$PID_a"; containerboot a "$key"; ready a
until_ok 40 via a "http://$(addr b):8000/"
python3 e2e/memory_keys.py "$PID_a" $(keys a) || die "keys in ordinary memory after a restart"
say "keys lie in locked memory only"

# the control server's and the relay's key of our coordinator, with sessions of both kinds
hs_url=$URL hs_ca=$CA hs_co=${CO_DIR:-}
coordinator
host c; containerboot c "$(authkey --reusable)"; ready c
until_ok 40 grep -q 'relay .*home' "$T/c.log"
tls_key() { openssl ec -in "$CO_DIR/state/tls.key" -noout -text 2> /dev/null | awk '/^priv:/ {on = 1; next} /^pub:/ {on = 0} on {gsub(/[ :]/, ""); printf "%s", $0}' | tail -c 64; }
args="control=$(sed 's/^privkey://' "$CO_DIR/state/control.key") derp=$(sed 's/^privkey://' "$CO_DIR/state/derp.key") tls=$(tls_key)"
python3 e2e/memory_keys.py "$CO_PID" $args || die "keys of the coordinator in ordinary memory"
stop "$PID_c"
stop "$CO_PID"; coordinator_start
python3 e2e/memory_keys.py "$CO_PID" $args || die "keys of the coordinator in ordinary memory after a restart"
CO_DIR=$hs_co URL=$hs_url CA=$hs_ca
say "so do the coordinator's"

gcore -o "$T/plain" "$PID_a" > "$T/gcore.log" 2>&1 || die "gcore: $(tail -n 3 "$T/gcore.log")"
absent "$T/plain.$PID_a" $(keys a) || die "a key in an ordinary core file"
echo 0x7f > "/proc/$PID_a/coredump_filter"
gcore -o "$T/all" "$PID_a" > "$T/gcore.log" 2>&1 || die "gcore: $(tail -n 3 "$T/gcore.log")"
[ "$(stat -c %s "$T/all.$PID_a")" -gt "$(stat -c %s "$T/plain.$PID_a")" ] || die "switching memory on made no larger core file"
grep -q 'tail.test' "$T/all.$PID_a" || die "the core file lacks the heap: nothing was proved"
absent "$T/all.$PID_a" $(keys a) || die "a key in a core file with all memory"
say "core files by a debugger have no keys"

# the kernel's own: from a process that a debugger kept from giving up its core limit and from becoming undumpable when it started
kill -ABRT "$PID_a"; rc=0; wait "$PID_a" || rc=$?
[ "$rc" = 134 ] || die "exit code $rc after SIGABRT"
find "$ROOT" "$T" -maxdepth 1 -name 'core*' -newer "$T/all.$PID_a" 2> /dev/null | grep . && die "the kernel wrote a core file"
if [ "$(cat /proc/sys/kernel/core_pattern)" != core ] || [ "$(uname -m)" != x86_64 ] || [ "$(ulimit -Hc)" != unlimited ]; then
	say "NOT PROVED HERE: core_pattern is not 'core', the core limit of this shell is not unlimited, or this is no x86-64: the kernel's own file is not searched"
	exit 0
fi
cat > "$T/gdb.script" <<'END'
set pagination off
set startup-with-shell off
set disable-randomization off
handle all nostop noprint pass
catch syscall prlimit64
catch syscall prctl
run
set $both = 0
while $both != 3
  if $orig_rax == 302 && $rsi == 4 && $rdx != 0
    set {long}$rdx = -1
    set {long}($rdx + 8) = -1
    set $both = $both | 1
  end
  if $orig_rax == 157 && $rdi == 4
    set $rsi = 1
    set $both = $both | 2
  end
  continue
end
detach
quit
END
mkdir "$T/dump"; cd "$T/dump"
ulimit -Sc unlimited
real=$BIN; mkdir "$T/bin"
printf '#!/bin/sh\nexec gdb -nx -batch -x %s %s\n' "$T/gdb.script" "$real/containerboot" > "$T/bin/containerboot"
chmod +x "$T/bin/containerboot"
BIN=$T/bin; containerboot a "$key" TS_DEBUG_SANDBOX=off; BIN=$real; cd "$ROOT"
wait "$PID_a" || die "gdb: $(tail -n 5 "$T/a.log")" # the debugger's; what it started goes on
ready a
pid=$(in_ns a ss -tlnpH 'sport = :1055' | sed -n 's/.*pid=\([0-9]*\).*/\1/p' | head -n 1)
until_ok 40 via a "http://$(addr b):8000/"
args=$(keys a)
grep -q '^Max core file size *unlimited' "/proc/$pid/limits" || die "the core limit was given up"
echo 0x7f > "/proc/$pid/coredump_filter"
kill -ABRT "$pid"; until_ok 40 eval '[ ! -e "/proc/$pid" ]'
core=$(find "$T/dump" -name 'core*' | head -n 1)
[ -n "$core" ] || die "no core file although it was forced: $(tail -n 5 "$T/a.log")"
grep -q 'tail.test' "$core" || die "the kernel's core file lacks the heap: nothing was proved"
absent "$core" $args || die "a key in the kernel's core file"
say "nor has the kernel's"
