#!/bin/bash
# Who asks a program or a command of it for help gets it: on standard output, with success, at once and without effect; who errs
# gets it on standard error.
set -u
BIN=${BIN_DIR:-build/gcc/bin}
T=$(mktemp -d /tmp/tailpod-help-XXXXXX)
trap 'rm -r "$T"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
tell() { # PROGRAM ARGUMENTS...: helps
	timeout 20 "$BIN/$1" "${@:2}" > "$T/out" 2> "$T/err" < /dev/null || fail "$* ended with $?: $(head -n 2 "$T/err")"
	[ "$(wc -l < "$T/out")" -ge 5 ] || fail "$* says nothing: $(cat "$T/out")"
	[ ! -s "$T/err" ] || fail "$* has an error: $(cat "$T/err")"
}
refuse() { # CODE PROGRAM ARGUMENTS...: does not know them
	local code=$1 rc=0; shift
	timeout 20 "$BIN/$1" "${@:2}" > "$T/out" 2> "$T/err" < /dev/null || rc=$?
	[ $rc = "$code" ] || fail "$* is refused with $rc, not $code"
	[ -s "$T/err" ] && [ ! -s "$T/out" ] || fail "$* is refused without words"
}
for p in containerboot coordinator operator tailpod-cni; do
	tell $p --help
	tell $p -h
	refuse 2 $p nonsense
done
# variables for tests are no business of users
for p in containerboot coordinator operator tailpod-cni; do
	"$BIN/$p" --help | grep _TEST_ > "$T/out" && fail "$p tells users: $(cat "$T/out")"
done
for c in serve relay "users create" "preauthkeys list" "nodes approve-routes" "policy check" backup config; do tell coordinator $c --help; done
for c in install watch uninstall; do tell tailpod-cni $c --help; done
tell operator check --help
for c in status ping up healthcheck; do tell containerboot $c --help; done
told() { grep -qxF "coordinator: $1" "$T/err" || fail "wanted: $1; said: $(cat "$T/err")"; }
refuse 2 coordinator users; told "users wants one of: list, create, delete, rename"
refuse 2 coordinator policy put; told "policy: there is no 'put', but: check, get, set"
for c in serve relay; do refuse 78 coordinator $c --config "$T/nowhere"; done
grep -q " error coordinator: configuration: read $T/nowhere: No such file" "$T/err" || fail "said: $(cat "$T/err")"
echo "policy: {path: $T/nowhere}" > "$T/c.yaml"
echo "state_directory: $T/state" >> "$T/c.yaml"
refuse 78 coordinator serve --config "$T/c.yaml"
rm -r "$T/c.yaml" "$T/state"
grep -q " error coordinator: policy.path: read $T/nowhere: No such file" "$T/err" || fail "said: $(cat "$T/err")"
refuse 2 coordinator --config nowhere serve; told "serve comes first, its options follow it"
ln -s "$(realpath "$BIN/containerboot")" "$T/tailscale"
BIN=$T
tell tailscale --help
tell tailscale help
refuse 1 tailscale nonsense # as the stock CLI
refuse 2 tailscale --nonsense
refuse 2 tailscale status --nonsense
echo ok
