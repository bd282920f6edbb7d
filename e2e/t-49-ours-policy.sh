#!/bin/bash
# Once more on our coordinator: tests of the sidecar that were written against Headscale and ask nothing of it but to be a control
# server (e2e/lib.sh: CONTROL). The others of them run so by hand: CONTROL=coordinator bash e2e/t-51-survival.sh
set -eu
export CONTROL=coordinator BIG_MIB=64
for t in t-33-routes t-35-names t-34-serve t-50-policy; do
	echo "== $t"
	bash "$(dirname "$0")/$t.sh"
done
