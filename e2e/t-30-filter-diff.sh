#!/bin/bash
# Our packet filter gives the verdicts of the Go filter package: 200 random policies, 100,000 packets each (POLICIES, PACKETS)
set -eu
cd "$(dirname "$0")/.."
oracle=${PEERS_DIR:-$HOME/.cache/peers}/bin/filter-oracle
[ -x "$oracle" ] || { echo "peer filter-oracle is not there: run e2e/setup"; exit 77; }
timeout 800 "${TAILPOD_BUILD:-build/gcc}/e2e/filter_diff" "$oracle" "${POLICIES:-200}" "${PACKETS:-100000}" "${SEED:-1}"
