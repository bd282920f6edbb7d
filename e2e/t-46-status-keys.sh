#!/bin/bash
# `status --json` of a stock client, on Headscale and on our coordinator: the same keys everywhere in it, and Health empty on both.
# ONE=FILE: one of the two runs, which writes the keys there.
set -eu
if [ -z "${ONE:-}" ]; then
	keys=$(mktemp -d); trap 'rm -rf "$keys"' EXIT
	for c in headscale coordinator; do echo "== $c"; ONE=$keys/$c CONTROL=$c bash "$0"; done
	[ -s "$keys/headscale" ] || { echo "no keys"; exit 1; }
	diff "$keys/headscale" "$keys/coordinator" || { echo "FAIL: keys of status --json differ (left: on Headscale)"; exit 1; }
	echo "$(wc -l < "$keys/headscale") keys, the same on both"
	exit
fi
. "$(dirname "$0")/lib.sh"
headscale
host a; host b
key=$(authkey --reusable)
tailscaled a; ts_up a "$key"
tailscaled b; ts_up b "$key"
direct() { ts "$1" ping -c 5 --timeout 3s "$2" | grep -qE 'via (10\.77\.0|\[fd77)'; }
until_ok 60 direct a "$(addr b)"
until_ok 60 direct b "$(addr a)"
whole() { ts a status --json | jq -e '.BackendState == "Running" and ((.Health // []) | length) == 0 and ([.Peer[] | .Online and .Active] | all)' > /dev/null; }
until_ok 60 whole || die "not whole: $(ts a status --json | jq -c '[.BackendState, .Health]')"
# members of maps whose keys are nodes, users and attributes count as one
ts a status --json | jq -r '(.Peer, .User) |= [.[]] | (.. | objects | .CapMap? // empty) |= {} |
	[paths | map(if type == "number" then "*" else . end) | join(".")] | unique[]' > "$ONE"
say "Health is empty; $(wc -l < "$ONE") keys"
