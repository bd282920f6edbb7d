#!/bin/bash
# Two routers of one subnet on our coordinator, a stock tailscaled and ours. The one that serves it freezes (SIGSTOP: its connections
# stay open) and the other takes over within 15 seconds; it comes back when it answers again. Both kinds answer the coordinator's
# PingRequests. Each router has the subnet's address on loopback and a page that says who it is.
# waits: 60
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
coordinator
host a; host c; host d
key=$(authkey --reusable)
subnet=192.168.50.0/24
for h in a c; do
	in_ns $h ip addr add 192.168.50.1/32 dev lo
	mkdir "$T/$h.www"; echo "hello from $h" > "$T/$h.www/index.html"
	start $h "web-$h" python3 -m http.server --bind 192.168.50.1 --directory "$T/$h.www" 8000
done
page() { in_ns "$1" curl -sf http://192.168.50.1:8000/ | grep -q "hello from $1"; }
until_ok 30 page a; until_ok 30 page c
tailscaled a; ts_up a "$key" --advertise-routes=$subnet
containerboot c "$key" TS_ROUTES=$subnet; ready c
containerboot d "$key" TS_ACCEPT_ROUTES=true; ready d
for h in a c; do until_ok 30 co_cli nodes approve-routes $h --routes $subnet > /dev/null; done
metric() { in_ns co curl -s --unix-socket "$CO_DIR/state/coordinator.sock" http://x/metrics | sed -n "s/^coordinator_$1 //p"; }
served_by() { fetch d http://192.168.50.1:8000/ "$1"; }
until_ok 40 served_by a
sleep 22 # two rounds of questions
served_by a || die "the subnet has moved without a reason"
asked() { [ "$(metric router_probes_total)" -ge 4 ]; }
until_ok 20 asked || die "only $(metric router_probes_total) questions were asked"
[ "$(metric router_failovers_total)" = 0 ] || die "a router that lives was taken for dead"
say "both kinds of routers answer"
kill -STOP "$PID_a"; at=$(date +%s)
until_ok 40 served_by c
say "a is frozen: c serves after $(($(date +%s) - at)) s"
[ "$(metric router_failovers_total)" = 1 ] || die "$(metric router_failovers_total) failovers"
kill -CONT "$PID_a"
until_ok 40 served_by a
kill -STOP "$PID_c"
sleep 17
served_by a || die "a lost its subnet when c froze"
kill -CONT "$PID_c"
say "a answers again and serves; c may freeze"
