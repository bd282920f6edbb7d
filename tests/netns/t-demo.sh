#!/bin/bash
# The demo does what it says, and whenever it is interrupted it ends with one line, and leaves no process and no file.
set -u
cd "$(dirname "$0")/../.."
T=$(mktemp -d /tmp/tailpod-t-demo-XXXXXX)
trap 'rm -r "$T"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
leaves_nothing() {
	[ -z "$(ls "$T/d")" ] || fail "$1: files are left: $(ls "$T/d")"
	! pgrep -af "$T/d/" || fail "$1: a program is left"
}
mkdir "$T/d"
export TMPDIR=$T/d
unset MAKELEVEL
timeout 120 tools/demo > "$T/out" 2>&1 || fail "the demo: $(cat "$T/out")"
grep -q "Hello from the tailnet" "$T/out" || fail "no page: $(cat "$T/out")"
leaves_nothing "the demo"
# SIGINT to the group, as a terminal does it, after so many seconds
interrupted() {
	python3 -c '
import os, signal, subprocess, sys
signal.signal(signal.SIGINT, signal.default_int_handler) # background jobs of a script ignore it
p = subprocess.Popen(["tools/demo"], start_new_session=True)
try:
    p.wait(float(sys.argv[1]))
except subprocess.TimeoutExpired:
    os.killpg(p.pid, signal.SIGINT)
sys.exit(p.wait(60))' "$1" > "$T/out" 2>&1
}
n=0
for after in 0.1 0.2 0.3 0.4 0.5 0.7; do
	rc=0; interrupted $after || rc=$?
	leaves_nothing "interrupted after $after s"
	[ $rc != 0 ] || continue # it was done
	n=$((n + 1))
	[ $rc = 130 ] || fail "interrupted after $after s: code $rc: $(cat "$T/out")"
	[ "$(tail -n 1 "$T/out")" = "demo: stopped; nothing is left" ] || fail "interrupted after $after s: $(cat "$T/out")"
	! grep -vE '^ *[0-9]+ ms  |^demo: stopped' "$T/out" || fail "interrupted after $after s: other lines"
done
[ $n -gt 0 ] || fail "never interrupted"
echo ok
