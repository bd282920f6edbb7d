#!/bin/bash
# Our packet filter gives the verdicts of the Go filter package: 200 random policies, 100,000 packets each (POLICIES, PACKETS)
set -eu
cd "$(dirname "$0")/.."
version=v1.102.5
peers=${PEERS_DIR:-$HOME/.cache/peers}
dir=$peers/mod/filter-oracle
mkdir -p "$dir" "$peers/bin"
if ! cmp -s e2e/filter_oracle/main.go "$dir/main.go" || [ ! -x "$peers/bin/filter-oracle" ]; then
	command -v go > /dev/null || { echo "no go command to build the oracle with"; exit 77; }
	cp e2e/filter_oracle/main.go "$dir/main.go"
	gomod=$(cd / && GOFLAGS= go mod download -json "tailscale.com@$version" | sed -n 's/.*"GoMod": "\(.*\)",*$/\1/p')
	printf 'module e2e/oracle\n\ngo %s\n\nrequire tailscale.com %s\n' "$(sed -n 's/^go //p' "$gomod")" "$version" > "$dir/go.mod"
	(cd "$dir" && GOFLAGS= GOWORK=off CGO_ENABLED=0 go build -mod=mod -o "$peers/bin/filter-oracle" .)
fi
timeout 500 "${TAILPOD_BUILD:-build/gcc}/e2e/filter_diff" "$peers/bin/filter-oracle" "${POLICIES:-200}" "${PACKETS:-100000}" "${SEED:-1}"
