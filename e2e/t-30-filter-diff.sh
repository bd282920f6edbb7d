#!/bin/bash
# Our packet filter gives the verdicts of the Go filter package: 200 random policies, 100,000 packets each (POLICIES, PACKETS)
set -eu
cd "$(dirname "$0")/.."
. e2e/peers.sh
need_peer filter-oracle
timeout 800 "${TAILPOD_BUILD:-build/gcc}/e2e/filter_diff" "$PEERS/filter-oracle" "${POLICIES:-200}" "${PACKETS:-100000}" "${SEED:-1}"
