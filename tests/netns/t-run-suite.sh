#!/bin/bash
# The rules of the suites, on a small one: a failure fails it, a skip too where CI is set, one or two failures have a second try
# there and are named, three have none; peers that are built beside the tests are waited for, and a build that fails is a failure.
# Then those of tools/beside: it ends as what it runs does, shows why, and leaves nothing behind.
set -eu
cd "$(dirname "$0")/../.."
suite=$PWD/tools/run-suite T=$(mktemp -d /tmp/tp-XXXXXX)
trap 'rm -rf "$T"' EXIT
die() { echo "FAILED: $*"; cat "$T/out"; exit 1; }
run() { # CODE NAME=VALUE...: the suite ends with CODE
	local want=$1 rc=0; shift
	rm -f "$T"/tried-* "$T/late"
	(cd "$T" && env -u CI -u ONLY -u SETUP_BUSY "$@" bash "$suite" s) > "$T/out" 2>&1 < /dev/null || rc=$?
	[ "$rc" = "$want" ] || die "code $rc, wanted $want"
}
says() { grep -q -- "$1" "$T/out" || die "nothing says: $1"; }
last() { [ "$(tail -n 1 "$T/out")" = "$1" ] || die "the last line is not: $1"; }
put() { cat > "$T/s/$1"; }
mkdir "$T/s"
put t-good.sh <<< 'true'
put t-waits.sh <<< $'# waits: 1\nsleep 0.3'
run 0 CI=1; last "2 passed, 0 failed"
put t-skips.sh <<< 'echo "needs a thing"; exit 77'
run 0; says "needs a thing"; last "2 passed, 0 failed, 1 skipped"
run 1 CI=1; says "skipped, which in CI is a failure"; last "2 passed, 1 failed"
rm "$T/s/t-skips.sh"
put t-bad.sh <<< 'echo "FAILED: for a reason"; exit 1'
run 1; last "2 passed, 1 failed"
run 1 CI=1; says "    FAILED: for a reason"; last "2 passed, 1 failed"
[ "$(grep -c '^FAIL t-bad' "$T/out")" = 2 ] || die "no second try"
# one that fails at its first try only
second() { put "t-$1.sh" <<< "[ -e ../tried-$1 ] || [ -e tried-$1 ] || { touch tried-$1; echo 'FAILED: busy'; exit 1; }"; }
rm "$T/s/t-bad.sh"
second a; second b
run 1; last "2 passed, 2 failed"
run 0 CI=1; says "passed only alone, at the second try: t-a"; says "    FAILED: busy"; last "4 passed, 0 failed"
second c
run 1 CI=1; last "2 passed, 3 failed"
rm "$T"/s/t-[abc].sh
# a peer that comes while tests run
put setup <<< '[ "${1:-}" != first ] || exit "${FIRST:-0}"; sleep 2; mkdir -p bin; printf "#!/bin/sh\n" > bin/late; chmod +x bin/late; exit "${REST:-0}"'
sed -i '1i #!/bin/bash' "$T/s/setup"; chmod +x "$T/s/setup"
put t-peer.sh <<< ". '$PWD/e2e/peers.sh'; need_peer late"
run 0 CI=1 PEERS_DIR="$T"; last "3 passed, 0 failed"
run 1 CI=1 PEERS_DIR="$T" REST=3; says "setup failed (3)"
run 1 CI=1 PEERS_DIR="$T" FIRST=4; says "setup failed (4)"
put t-peer.sh <<< ". '$PWD/e2e/peers.sh'; need_peer never"
run 0 PEERS_DIR="$T"; says "peer never is not there"; last "2 passed, 0 failed, 1 skipped"
# two commands at once
beside() { # CODE BACK FRONT...
	local want=$1 rc=0; shift
	tools/beside "$T/beside.log" "$@" > "$T/out" 2>&1 || rc=$?
	[ "$rc" = "$want" ] || die "beside: code $rc, wanted $want"
}
beside 0 "sleep 0.2; echo done" true; [ ! -s "$T/out" ] || die "beside is not silent"
[ "$(cat "$T/beside.log")" = "done" ] || die "beside did not wait"
beside 3 true sh -c 'exit 3'
beside 4 "echo a reason; exit 4" true; says "a reason"; says "ended with 4"
beside 3 "exit 4" sh -c 'exit 3'
tools/beside "$T/beside.log" "exec sleep 300.0$$" sleep 1 > "$T/out" 2>&1 & p=$!
for _ in $(seq 100); do pgrep -f "^sleep 300.0$$" > /dev/null && break; sleep 0.05; done
pgrep -f "^sleep 300.0$$" > /dev/null || die "beside's command does not run"
kill "$p"; wait "$p" && die "beside ends well when it is ended"
for _ in $(seq 100); do pgrep -f "^sleep 300.0$$" > /dev/null || break; sleep 0.05; done
pgrep -f "^sleep 300.0$$" > /dev/null && die "beside left its command"
exit 0
