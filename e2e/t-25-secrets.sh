#!/bin/bash
# Where the keys of a running sidecar lie in memory: only in pages that are locked and left out of core files. A core file taken
# with every kind of memory switched on has none; SIGABRT leaves no core file; nor are they in one that the kernel writes after the
# process was made dumpable by force (where the limit can be raised again: CAP_SYS_RESOURCE). (Logs, environment, captures: t-53-secrets.sh.)
. "$(dirname "$0")/lib.sh"
command -v gcore > /dev/null || { echo "needs gdb (gcore)"; exit 77; }
headscale --fast
host a; host b
key=$(authkey --reusable)
containerboot a "$key"; containerboot b "$key"
ready a; ready b
web b 8000
until_ok 20 via a "http://$(addr b):8000/"
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
until_ok 20 via a "http://$(addr b):8000/"
python3 e2e/memory_keys.py "$PID_a" $(keys a) || die "keys in ordinary memory after a restart"
say "keys lie in locked memory only"

# the control server's and the relay's key of our coordinator, with sessions of both kinds
hs_url=$URL hs_ca=$CA
coordinator
host c; containerboot c "$(authkey --reusable)"; ready c
until_ok 20 grep -q 'relay .*home' "$T/c.log"
args="control=$(sed 's/^privkey://' "$CO_DIR/state/control.key") derp=$(sed 's/^privkey://' "$CO_DIR/state/derp.key")"
python3 e2e/memory_keys.py "$CO_PID" $args || die "keys of the coordinator in ordinary memory"
stop "$PID_c"
stop "$CO_PID"; coordinator_start
python3 e2e/memory_keys.py "$CO_PID" $args || die "keys of the coordinator in ordinary memory after a restart"
unset CO_DIR; URL=$hs_url CA=$hs_ca
say "so do the coordinator's"

gcore -o "$T/plain" "$PID_a" > "$T/gcore.log" 2>&1 || die "gcore: $(tail -n 3 "$T/gcore.log")"
absent "$T/plain.$PID_a" $(keys a) || die "a key in an ordinary core file"
echo 0x7f > "/proc/$PID_a/coredump_filter"
gcore -o "$T/all" "$PID_a" > "$T/gcore.log" 2>&1 || die "gcore: $(tail -n 3 "$T/gcore.log")"
[ "$(stat -c %s "$T/all.$PID_a")" -gt "$(stat -c %s "$T/plain.$PID_a")" ] || die "switching memory on made no larger core file"
grep -q 'tail.test' "$T/all.$PID_a" || die "the core file lacks the heap: nothing was proved"
absent "$T/all.$PID_a" $(keys a) || die "a key in a core file with all memory"
say "core files by a debugger have no keys"

# the kernel's: from a process that a debugger made dumpable again (which the system call filter would refuse)
kill -ABRT "$PID_a"; rc=0; wait "$PID_a" || rc=$?
[ "$rc" = 134 ] || die "exit code $rc after SIGABRT"
mkdir "$T/dump"; cd "$T/dump"
containerboot a "$key" TS_DEBUG_SANDBOX=off; cd "$ROOT"
ready a
find "$ROOT" "$T" -maxdepth 1 -name 'core*' -newer "$T/all.$PID_a" 2> /dev/null | grep . && die "the kernel wrote a core file"
case $(cat /proc/sys/kernel/core_pattern) in
core) ;;
*) say "core_pattern is not 'core': the kernel's own file is not searched"; exit 0 ;;
esac
args=$(keys a)
if ! prlimit --pid "$PID_a" --core=unlimited 2> /dev/null; then
	say "NOT PROVED HERE: without CAP_SYS_RESOURCE the core limit of the process cannot be raised; the kernel's own file is not searched"
	exit 0
fi
echo 0x7f > "/proc/$PID_a/coredump_filter"
gdb -batch -p "$PID_a" -ex 'call (int)prctl(4, 1, 0, 0, 0)' > "$T/gdb.log" 2>&1 || die "gdb: $(tail -n 3 "$T/gdb.log")"
kill -ABRT "$PID_a"; wait "$PID_a" || true
core=$(find "$T/dump" -name 'core*' | head -n 1)
[ -n "$core" ] || die "no core file although it was forced: $(tail -n 5 "$T/gdb.log")"
grep -q 'tail.test' "$core" || die "the kernel's core file lacks the heap: nothing was proved"
absent "$core" $args || die "a key in the kernel's core file"
say "nor has the kernel's"
