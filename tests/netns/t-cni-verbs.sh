#!/bin/bash
# t-cni-verbs.sh - ADD, CHECK, DEL, STATUS, VERSION and GC by hand, without an agent; the guard holds, nothing is left
. "$(dirname "$0")/cni.sh"
host_up; pod 2; pod 3; pod 4

# a pod could leak: this is what the guard is for
ip netns exec pod2 ping -c1 -W2 100.64.0.9 > /dev/null || fail "the topology does not leak, so the test proves nothing"
ip netns exec pod2 ping -c1 -W2 fd7a:115c:a1e0::9 > /dev/null || fail "the topology does not leak IPv6"

# without annotation: prevResult byte for byte, guards in both families
conf 2 "" > $work/in; prev 2 > $work/want
cni ADD 2 < $work/in > $work/out || fail "ADD: $(cat $work/out)"
cmp <(head -c -1 $work/out) $work/want || fail "prevResult is not handed on as it was"
ip netns exec pod2 ping -c1 -W2 100.64.0.9 > /dev/null && fail "an IPv4 packet leaked past the guard"
ip netns exec pod2 ping -c1 -W2 fd7a:115c:a1e0::9 > /dev/null && fail "an IPv6 packet leaked past the guard"
ip netns exec pod2 ping -c1 -W2 192.0.2.254 > /dev/null || fail "the guard stops other traffic"
ip -n pod2 addr add 10.77.9.9/32 dev lo
at_once pod2 100.64.0.9; at_once pod2 fd7a:115c:a1e0::9
# the table is put again by any ADD, and is no part of what CHECK looks for
nft delete table inet tailpod_refuse; cni CHECK 2 < $work/in > $work/out || fail "CHECK: $(cat $work/out)"
cni ADD 2 < $work/in > $work/out || fail "ADD: $(cat $work/out)"
at_once pod2 100.64.0.9; at_once pod2 fd7a:115c:a1e0::9
seen=$(echos gw); ip netns exec pod2 ping -I 10.77.9.9 -c1 -W1 100.64.0.9 > /dev/null 2>&1 || true
[ "$(echos gw)" = "$seen" ] || fail "a made-up source leaked past the guard"
ip -n pod2 route | grep -q 100.64 && fail "a route in a pod that did not ask"
[ "$(rules)" = 4 ] || fail "$(rules) rules, not a guard by cable and one by address in each family"
cni ADD 2 < $work/in > $work/out && [ "$(rules)" = 4 ] || fail "ADD is not idempotent"
cni CHECK 2 < $work/in > $work/out && [ ! -s $work/out ] || fail "CHECK: $(cat $work/out)"

# asked, agent away
NS=kube-system cni ADD 3 < <(conf 3 true) 2> $work/err > $work/out || fail "ADD in a namespace that is not opened: $(cat $work/out)"
grep -q namespaces $work/err || fail "no line about the gate"
ip -n pod3 route | grep -q 100.64 && fail "the gate is open"
cni ADD 4 < <(conf 4 true) > $work/out && fail "ADD without agent and without failOpen"
[ "$(code < $work/out)" = 11 ] || fail "not code 11: $(cat $work/out)"
[ -e /run/tailpod/cni/net/c4:eth0 ] && fail "a failed ADD left its file"
cni ADD 4 < <(conf 4 routes "$OPEN") > $work/out || fail "failOpen: $(cat $work/out)"
ip -n pod4 route | grep 100.64.0.0/10 | grep -q "mtu lock 1280 advmss 1240" || fail "no route in the pod: $(ip -n pod4 route)"
ip -n pod4 -6 route | grep fd7a:115c:a1e0::/48 | grep -q "mtu lock 1280 advmss 1220" || fail "no IPv6 route in the pod"
jq -e '.state == "pending"' /run/tailpod/cni/net/c4:eth0 > /dev/null || fail "not marked pending"
ip rule | grep -q "lookup 5252" && fail "a lookup before the agent granted it"
ip netns exec pod4 ping -c1 -W2 100.64.0.9 > /dev/null && fail "a pending pod leaked"
cni CHECK 4 < <(conf 4 routes "$OPEN") > $work/out || fail "CHECK of a pending pod: $(cat $work/out)"

# resultRoutes
cni ADD 4 < <(conf 4 true "$OPEN"',"resultRoutes":true' 1.1.0) > $work/out
jq -e '.cniVersion == "1.1.0" and (.routes | length == 3) and .routes[1] == {"dst":"100.64.0.0/10","gw":"10.77.255.254","mtu":1280,"advmss":1240} and ."x-kept"[1] == 2.5' $work/out > /dev/null ||
	fail "resultRoutes: $(cat $work/out)"

# CHECK sees damage
ip -n pod4 route del 100.64.0.0/10
cni CHECK 4 < <(conf 4 true "$OPEN") > $work/out && fail "CHECK does not miss the pod's route"
[ "$(code < $work/out)" = 101 ] || fail "CHECK: $(cat $work/out)"
at_once pod4 100.64.0.9; at_once pod4 fd7a:115c:a1e0::9
ip rule del from 10.77.0.2 to 100.64.0.0/10 unreachable
cni CHECK 2 < $work/in > $work/out && fail "CHECK does not miss a guard"
jq -e '.code == 101 and (.msg | contains("from 10.77.0.2/32 to 100.64.0.0/10 unreachable"))' $work/out > /dev/null || fail "CHECK: $(cat $work/out)"

# GC: no list: nothing; a list: the rest goes, and what no file names
before=$(rules)
printf '{"cniVersion":"1.1.0","name":"net"}' | cni GC 0 > $work/out || fail "GC: $(cat $work/out)"
[ "$(rules)" = "$before" ] || fail "GC without a list removed something"
ip rule add pref 5258 from 10.77.0.200 to 100.64.0.0/10 lookup 5252 protocol 116
ip rule add pref 5100 from 10.77.0.201 to 100.64.0.0/10 lookup 5252 protocol 117
printf '{"cniVersion":"1.1.0","name":"net","cni.dev/valid-attachments":[{"containerID":"c3","ifname":"eth0"}]}' | cni GC 0 > $work/out || fail "GC: $(cat $work/out)"
[ "$(rules)" = 4 ] && [ -e /run/tailpod/cni/net/c3:eth0 ] && [ "$(find /run/tailpod/cni -type f | wc -l)" = 1 ] || fail "GC left $(rules) rules"
ip rule | grep -q 10.77.0.201 || fail "GC removed what is not ours"

# first in a list: refused, with words that say what to do; nothing is made
printf '{"cniVersion":"1.0.0","name":"net"}' > $work/bare
CID=first cni ADD 3 < $work/bare > $work/out && fail "ADD as the first in a list"
jq -e '.code == 7 and (.msg | contains("first in the list \"net\"; put it behind"))' $work/out > /dev/null || fail "first in a list: $(cat $work/out)"
[ ! -e /run/tailpod/cni/net/first:eth0 ] || fail "a file is left"

# DEL: twice, without namespace, without prevResult
ip netns del pod3
NETNS= cni DEL 3 < $work/bare > $work/out || fail "DEL: $(cat $work/out)"
nothing_left DEL
NETNS= cni DEL 3 < $work/bare > $work/out || fail "DEL twice: $(cat $work/out)"
cni DEL 3 < $work/bare > $work/out || fail "DEL with a path that is gone: $(cat $work/out)"

# the same address again, first with, then without the tailnet: no lookup is inherited
cni ADD 4 < <(conf 4 true "$OPEN") > /dev/null
ip rule add pref 5258 from 10.77.0.4 to 100.64.0.0/10 lookup 5252 protocol 116
CID=next cni ADD 4 < <(conf 4 "") > /dev/null
ip rule | grep -q "lookup 5252" | grep -q 10.77.0.4 && fail "a lookup was inherited"
cni DEL 4 < $work/bare && [ "$(rules)" = 4 ] || fail "a late DEL took another pod's guards"
at_once pod4 100.64.0.9
CID=next cni DEL 4 < $work/bare; nothing_left "DEL of the heir"

# STATUS, VERSION
printf '{"cniVersion":"1.1.0","name":"net"}' | cni STATUS 0 || fail "STATUS"
printf '{"cniVersion":"1.1.0","name":"net","statusAffectsNode":true}' | cni STATUS 0 > $work/out && fail "STATUS without agent"
[ "$(code < $work/out)" = 50 ] || fail "STATUS: $(cat $work/out)"
printf '{"cniVersion":"1.1.0","name":"net","statusAffectsNode":true,"failOpen":true}' | cni STATUS 0 || fail "STATUS with failOpen"
CNI_COMMAND=VERSION $bin < /dev/null | jq -e '.cniVersion == "1.1.0" and .supportedVersions == ["0.3.1","0.4.0","1.0.0","1.1.0"]' > /dev/null || fail VERSION
[ "$($bin 2>&1 > /dev/null < /dev/null | head -1)" = "tailpod-cni: gives pods routes to a tailnet" ] || fail "no about text"

# every version; every wrong call has its code
for v in 0.3.1 0.4.0 1.0.0 1.1.0; do
	cni ADD 2 < <(conf 2 "" "" $v) > $work/out && cmp <(head -c -1 $work/out) <(prev 2 $v) || fail "ADD with $v: $(cat $work/out)"
	cni DEL 2 < <(conf 2 "" "" $v) || fail "DEL with $v"
done
expect() { local want=$1; shift; "$@" > $work/out 2> /dev/null && fail "no error, code $want wanted: $*"; [ "$(code < $work/out)" = "$want" ] || fail "$*: code $want wanted: $(cat $work/out)"; }
expect 1 cni ADD 2 < <(conf 2 "" "" 0.2.0)
expect 1 cni CHECK 2 < <(conf 2 "" "" 0.3.1)
expect 1 cni GC 2 < <(conf 2 "" "" 1.0.0)
expect 4 env CNI_COMMAND=ADD $bin < $work/bare
jq -e '.msg == "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME] missing"' $work/out > /dev/null || fail "$(cat $work/out)"
expect 4 env CNI_COMMAND=FROB $bin < $work/bare
CID=-x expect 4 cni ADD 2 < $work/in
CID=x/../y expect 4 cni DEL 2 < $work/bare
expect 6 cni ADD 2 < <(echo '{"cniVersion":')
expect 6 cni ADD 2 < <(echo '[]')
expect 6 cni ADD 2 < <(head -c 1200000 /dev/zero)
expect 7 cni ADD 2 < $work/bare
expect 7 cni ADD 2 < <(echo '{"cniVersion":"1.0.0","name":"../x"}')
expect 7 cni ADD 2 < <(conf 2 "" ',"mode":"node"')
NETNS=/proc/self/ns/net expect 8 cni ADD 2 < $work/in
NETNS=/etc/passwd expect 8 cni ADD 2 < $work/in
NETNS=/run/netns/none expect 8 cni ADD 2 < $work/in
expect 100 cni ADD 2 < <(conf 2 "" ',"ranges":["10.77.0.0/16"]')
nothing_left "errors"

# a range of the cluster's own is left alone: with narrower ones a pod reaches the rest as if there were no plugin, and a Service with
# an address in a guarded range is its endpoint's before anybody asks
listen() { timeout 300 ip netns exec "$1" python3 -c 'import socket; s = socket.create_server(("", 9)); print(flush=True)
while True: s.accept()[0].close()' > $work/listens & LISTENER=$!; for _ in $(seq 200); do [ ! -s $work/listens ] || return 0; sleep 0.1; done; fail "nobody listens"; }
reaches() { ip netns exec "$1" python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], 9), 20)' "$2" || fail "$1 does not reach $2"; }
listen gw
ip -n gw addr add 100.70.0.9/32 dev lo
cni ADD 2 < <(conf 2 "" ',"ranges":["100.64.0.0/16"]') > $work/out || fail "ADD: $(cat $work/out)"
at_once pod2 100.64.0.9
reaches pod2 100.70.0.9
nft -f - <<'END'
table ip services {
	chain pre { type nat hook prerouting priority dstnat; ip daddr 100.64.0.77 dnat to 192.0.2.254; }
}
END
reaches pod2 100.64.0.77
nft delete table ip services
kill $LISTENER
cni DEL 2 < $work/in; nothing_left "narrow ranges"

# where that table cannot be had (it is somebody else's here) ADD and DEL are well, the reason is told, and the guards hold by themselves
mkfifo $work/owner; timeout 300 nft -i < $work/owner > $work/nft 2>&1 & OWNER=$!
exec 7> $work/owner; echo 'add table inet tailpod_refuse { flags owner; }' >&7
for _ in $(seq 200); do [ "$(refusals)" = 0 ] || break; sleep 0.1; done
cni ADD 2 < $work/in > $work/out 2> $work/err || fail "ADD: $(cat $work/out)"
grep -q "some seconds before they are refused.*not permitted" $work/err || fail "no word about it: $(cat $work/err)"
[ "$(rules)" = 4 ] || fail "$(rules) rules"
ip netns exec pod2 ping -c1 -W2 100.64.0.9 > /dev/null && fail "a packet leaked past the guard alone"
cni DEL 2 < $work/in > $work/out || fail "DEL: $(cat $work/out)"
exec 7>&-; wait $OWNER; nothing_left "a table of somebody else"

# behind a bridge the cable is a port: guarded by address alone
ip link add br0 type bridge; ip link set br0 up; ip link set cable2 master br0
cni ADD 2 < $work/in > /dev/null; [ "$(rules)" = 2 ] || fail "$(rules) rules behind a bridge"
ip rule | grep -q "iif cable2" && fail "a rule by a bridge's port never matches"
cni DEL 2 < $work/in; nothing_left bridge
echo passed
