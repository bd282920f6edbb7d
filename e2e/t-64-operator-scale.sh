#!/bin/bash
# The operator among many: 100 Services annotated at once; then 10,000 Services of which 1,000 are exposed: memory, time from start
# until nothing is left to do, time from a change to the write that answers it. Times are printed; memory is bounded.
# Real API server without nodes: what a proxy would write into its Secret is written by the test.
. "$(dirname "$0")/lib.sh"
. e2e/kube.sh
ALL=${SERVICES:-10000} EXPOSED=${EXPOSED:-1000}
kube_api --event-ttl 5m --service-cluster-ip-range 10.64.0.0/14
fake_headscale
crds
scale() { in_ns kube python3 e2e/kube_scale.py "$T/pki/ca.crt" admin-token "$@"; }
metric() { in_ns kube curl -sf --max-time 5 http://127.0.0.1:9003/metrics | awk -v n="$1" '$1 == n {print $2}'; }
calls() { in_ns kube curl -sf --max-time 5 http://127.0.0.1:9003/metrics | awk '/^tailpod_operator_api_requests_total/ {s += $2} END {print s}'; }
idle() { [ "$(metric tailpod_operator_leader)" = 1 ] && [ "$(metric tailpod_operator_queue)" = 0 ] && [ "$(metric tailpod_operator_workers)" = 0 ]; }
rss() { awk '/^VmRSS/ {print $2}' "/proc/$(pgrep -P "$1" 2> /dev/null || echo "$1")/status"; }

LISTEN=127.0.0.1:9003 kept op-a OPERATOR_LEASE=a
A=$PID
until_ok 40 idle
scale create 1 100 plain
until_ok 40 idle
before=$(calls)
said=$(scale expose 1 100) || die "$said"
until_ok 60 idle
echo "figure: t-64-operator-scale: $said; $((($(calls) - before) / 100)) API calls each"

scale create 101 "$EXPOSED" expose
say "exposed"
scale create $((EXPOSED + 1)) "$ALL"
say "made"
all_made() { [ "$(metric tailpod_operator_proxies)" = "$EXPOSED" ] && idle; }
until_ok 180 all_made
say "proxies made"
scale join
all_joined() { [ "$(metric tailpod_operator_proxies_joined)" = "$EXPOSED" ] && idle; }
until_ok 180 all_joined
say "$ALL Services, $EXPOSED of them with proxies; the operator that made them has $(rss "$A") kB"
stop "$A"

S=$(date +%s%N)
LISTEN=127.0.0.1:9003 kept op-b OPERATOR_LEASE=b
B=$PID
steady() { idle && [ "$(metric tailpod_operator_proxies_joined)" = "$EXPOSED" ]; }
until_ok 60 steady
S=$((($(date +%s%N) - S) / 1000000))
written=$(in_ns kube curl -sf http://127.0.0.1:9003/metrics | awk '/^tailpod_operator_steps_total/ {s += $2} END {print s + 0}')
echo "figure: t-64-operator-scale: $ALL Services, $EXPOSED exposed: steady $S ms after the start ($written writes), $(rss "$B") kB resident"
[ "$written" = 0 ] || die "a start in a cluster that is in order writes"
said=$(scale change 20) || die "$said"
echo "figure: t-64-operator-scale: $ALL Services: $said; $(rss "$B") kB resident"
[ "$(rss "$B")" -le 40960 ] || die "more than 40 MB"
kill -0 "$B"
