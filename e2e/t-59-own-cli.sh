#!/bin/bash
# Our own CLI, called tailscale, beside the stock one at the same socket: the same exit codes, the same words where scripts read them;
# what its set and up change is what the stock CLI shows.
. "$(dirname "$0")/lib.sh"
need_peer tailscaled tailscale
coordinator
host a; host b
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"
containerboot a "$key"
ready a
ip_a=$(addr a); ip_b=$(addr b)
until_ok 60 ts a ping -c 1 --timeout 5s "$ip_b"
mkdir "$T/own"; ln -s "$BIN/containerboot" "$T/own/tailscale"
own() { in_ns a timeout 60 "$T/own/tailscale" --socket="$T/a.sock" "$@"; }

run() { # OUT WHICH ARGS...
	local rc=0 out=$1; shift
	"$@" > "$out" 2> "$out.err" || rc=$?
	echo $rc > "$out.rc"
	tr -s ' \t' ' ' < "$out" | sed 's/ $//' > "$out.plain"
}
both() { run "$T/stock" ts a "$@"; run "$T/ours" own "$@"; }
code() { # the codes agree
	both "$@"
	[ "$(cat "$T/stock.rc")" = "$(cat "$T/ours.rc")" ] || die "$*: code $(cat "$T/stock.rc") of stock, $(cat "$T/ours.rc") of ours: $(cat "$T/ours" "$T/ours.err")"
	[ "$(cat "$T/ours.rc")" = 0 ] || [ -s "$T/ours.err" ] || [ -s "$T/ours" ] || die "$*: fails without a word"
}
same() { # and so does the output
	code "$@"
	diff "$T/stock.plain" "$T/ours.plain" || die "$*: another output"
}

for c in status "status --self=false" "status --peers=false" "ip" "ip -1" "ip -4" "ip -6" "ip b" "ip -4 b" "ip --assert=$ip_a" \
	"whois $ip_b" "whois $ip_b:80" "metrics write $T/m.prom"; do
	same $c
done
[ "$(stat -c %a "$T/m.prom")" = 644 ] && grep -q '^tailscaled_inbound_packets_total' "$T/m.prom" || die "metrics write"
for c in "status nosuch" "status --bogus" "status --active" "ip nosuch" "ip -4 -6" "ip --assert=100.64.9.9" "ip --assert" whois "whois 100.64.9.9" \
	"whois --json $ip_b" "ping -c 1 b" "ping -c 1 --timeout 5s $ip_b" "ping -c 1 $ip_a" "ping -c 1 --tsmp b" "ping -c 1 --icmp b" "ping -c 1 --until-direct=false b" \
	"ping -c 1 nosuch" "ping -c 1 --timeout 1s 100.64.9.9" ping "ping --bogus b" "ping -c x b" metrics "metrics print" "metrics bogus" \
	"netcheck --format=json" "debug derp-map" "debug prefs" "debug" "version --json" "set --bogus" "set --shields-up=maybe" nosuchcommand \
	set nc "version extra" "down extra" "set --shields-up false" "set --advertise-routes=10.9.0.1/16" "set --advertise-tags=tag:x" \
	"set --exit-node=nobody" "set --exit-node=100.64.9.9" "set --exit-node=192.0.2.1" "set --exit-node=b" "set --exit-node=$ip_b" "set --exit-node=a"; do
	code $c
done
own ping -c 1 b | grep -qE "^pong from b \($ip_b\) via .* in [0-9]+m?s$" || die "pong: $(own ping -c 1 b)"
diff <(ts a debug derp-map | jq -S .) <(own debug derp-map | jq -S .) || die "debug derp-map"
diff <(ts a whois --json "$ip_b" | jq -S .) <(own whois --json "$ip_b" | jq -S .) || die "whois --json"
[ "$(own version --json | jq -r .majorMinorPatch)" = "$(ts a version --json | jq -r .majorMinorPatch)" ] || die "version --json"
own status --json | jq -e '.BackendState == "Running"' > /dev/null || die "status --json"
say "the same answers"

prefs() { ts a debug prefs | jq -cS "{$1}"; }
is() { [ "$(prefs "$1")" = "$2" ] || die "wanted $2, is $(prefs "$1")"; }
own set --hostname=renamed --shields-up --accept-routes --snat-subnet-routes=false --advertise-routes=10.9.0.0/16 --operator=root
is Hostname,ShieldsUp,RouteAll,NoSNAT,OperatorUser '{"Hostname":"renamed","NoSNAT":true,"OperatorUser":"root","RouteAll":true,"ShieldsUp":true}'
own set --advertise-exit-node
is AdvertiseRoutes '{"AdvertiseRoutes":["10.9.0.0/16","0.0.0.0/0","::/0"]}'
own set --advertise-routes=10.8.0.0/16,fd00::/64
is AdvertiseRoutes '{"AdvertiseRoutes":["10.8.0.0/16","fd00::/64","0.0.0.0/0","::/0"]}'
ts b set --advertise-exit-node
co_cli nodes approve-routes "$(co_cli nodes list -o json | jq -r '.nodes[] | select(.givenName == "b") | .id')" --routes 0.0.0.0/0,::/0 > /dev/null
own set --advertise-exit-node=false --advertise-routes=
until_ok 30 own set --exit-node=b
is ExitNodeIP,ExitNodeID "{\"ExitNodeID\":\"\",\"ExitNodeIP\":\"$ip_b\"}"
own set --exit-node=nobody 2> "$T/err" && die "an exit node that nobody is"
grep -q "exit nodes: b$" "$T/err" || die "who is an exit node is not told: $(cat "$T/err")"
own set --exit-node=; own set --exit-node="$ip_b"
is AdvertiseRoutes,ExitNodeIP "{\"AdvertiseRoutes\":null,\"ExitNodeIP\":\"$ip_b\"}" 2> /dev/null || is AdvertiseRoutes,ExitNodeIP "{\"AdvertiseRoutes\":[],\"ExitNodeIP\":\"$ip_b\"}"
own set --exit-node= --shields-up=false
for bad in "--advertise-routes=10.9.0.1/16" "--hostname=a_b" "--netfilter-mode=maybe"; do
	own set $bad 2> "$T/err" && die "set $bad is taken"
	grep -q -- "${bad%%=*}: " "$T/err" || die "set $bad: $(cat "$T/err")"
done
own set --ssh 2> "$T/err" && die "set --ssh is taken"
say "set"

# off KIND COMMAND...: fails as the stock one does, with its words on the stream where it has them, and says what to do
off() {
	local words=$1; shift
	both "$@"
	[ "$(cat "$T/ours.rc")" = 1 ] || die "$*: $(cat "$T/ours.rc") of a node that is off"
	cat "$T/ours" "$T/ours.err" | grep -qxF "$words" || die "$*: not \"$words\" but $(cat "$T/ours" "$T/ours.err")"
	grep -q "tailpod up" "$T/ours.err" || die "$*: not what to do: $(cat "$T/ours.err")"
}
own down; for c in status "ping -c 1 b" "ping -c 1 $ip_b" "nc b 80"; do off "Tailscale is stopped." $c; done
[ -s "$T/ours" ] && die "nc writes to the other end's stream: $(cat "$T/ours")"
same status; [ "$(cat "$T/ours")" = "Tailscale is stopped." ] || die "stopped: $(cat "$T/ours")"
own up --hostname=again --reset
until_ok 60 own healthcheck
is Hostname '{"Hostname":"again"}'
own logout
until_ok 30 sh -c "ip netns exec tp$ID-a $T/own/tailscale --socket=$T/a.sock status | grep -q 'Logged out.'"
same status; code logout; code ip; code "ip b"; code "whois $ip_b"
[ "$(ts a status --json | jq -c '[.TailscaleIPs, .Peer | length]')" = '[0,0]' ] || die "a node that is logged out has addresses or peers"
for c in status "ping -c 1 b" "ping -c 1 $ip_b" "nc b 80"; do off "Logged out." $c; done
own up --timeout 30s || die "up after a logout: $(own status)"
own healthcheck || die "up after a logout says 0, yet: $(own status)"
own ping -c 1 --until-direct=false b || die "no peer after up"
own logout
own down; own up --timeout 30s || die "down and up after a logout: $(own status)"
own healthcheck || die "down and up after a logout say 0, yet: $(own status)"
say "down, up, logout"

# a node whose control server does not answer yet
host d
kill -STOP "$CO_PID"
containerboot d "$key"
own() { in_ns d timeout 60 "$T/own/tailscale" --socket="$T/d.sock" "$@"; }
until_ok 30 own status
for c in status "ping -c 1 $ip_b" "ping -c 1 --timeout 1s b" "nc b 80"; do
	run "$T/ours" own $c
	grep -qE "still starting|state is Starting" "$T/ours.err" || die "$c while starting: $(cat "$T/ours" "$T/ours.err")"
done
own status 2> /dev/null | grep -q "^- *d " || die "status while starting: $(own status)"
run "$T/ours" own up --timeout 1s
[ "$(cat "$T/ours.rc")" = 1 ] && grep -q "not running in time: state is Starting" "$T/ours.err" || die "up does not wait: $(cat "$T/ours.rc" "$T/ours.err")"
kill -CONT "$CO_PID"
own up --timeout 60s || die "up while starting"
own healthcheck || die "up while starting says 0, yet: $(own status)"
say "while starting"
