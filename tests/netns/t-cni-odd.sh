#!/bin/bash
# t-cni-odd.sh - what nobody asks for: ranges that overlap, pods of one family, a full disk, a file that cannot be read
. "$(dirname "$0")/cni.sh"
host_up; pod 2; pod 3; pod 4

# ranges and subnets that overlap, or are the same, once or twice, with and without the tailnet; CHECK and DEL find all of it
for more in '"ranges":["100.64.0.0/10","100.64.0.0/10"]' '"ranges":["100.64.0.0/10","100.64.0.0/16","fd7a:115c:a1e0::/48"]' '"subnets":["100.64.0.0/10","10.50.0.0/16","10.50.0.0/16"]' '"ranges":["100.64.0.1/10"]'; do
	for asks in "" true; do
		cni ADD 2 < <(conf 2 "$asks" ",$more$OPEN") > $work/out 2> $work/err || fail "$more, $asks: $(cat $work/out)"
		cni ADD 2 < <(conf 2 "$asks" ",$more$OPEN") > $work/out 2> $work/err || fail "$more, $asks, twice: $(cat $work/out)"
		at_once pod2 100.64.0.9
		cni CHECK 2 < <(conf 2 "$asks" ",$more$OPEN") > $work/out || fail "$more, $asks: CHECK: $(cat $work/out)"
		cni DEL 2 < <(conf 2 "$asks" ",$more$OPEN") > $work/out || fail "$more, $asks: DEL: $(cat $work/out)"
		nothing_left "$more, $asks"
		ip -n pod2 route | grep -q 100.64 && fail "$more: a route is left in the pod"
	done
done

# a pod with IPv6 alone, one with IPv4 alone: guarded and routed in its family, and by its cable in both
six() { conf 3 "$1" "$OPEN" | jq -c 'del(.prevResult.ips[0])'; }
four() { conf 3 "$1" "$OPEN" | jq -c 'del(.prevResult.ips[1])'; }
for family in six four; do
	cni ADD 3 < <($family true) > $work/out 2> $work/err || fail "$family: $(cat $work/out)"
	at_once pod3 $([ $family = six ] && echo fd7a:115c:a1e0::9 || echo 100.64.0.9)
	[ "$(ip -n pod3 route | grep -c 100.64)$(ip -n pod3 -6 route | grep -c fd7a)" = $([ $family = six ] && echo 01 || echo 10) ] || fail "$family: routes: $(ip -n pod3 route; ip -n pod3 -6 route)"
	cni CHECK 3 < <($family true) > $work/out || fail "$family: CHECK: $(cat $work/out)"
	cni DEL 3 < <($family true); nothing_left $family
done

# prevResults that are none: an error with words, and nothing made
for prev in '[]' '7' '"x"' '{"ips":7}' '{"ips":[{}]}' '{"ips":[{"address":"10.77.0.2"}]}' '{"ips":[{"address":"x/8"}]}' '{"interfaces":[7]}' '{"ips":[{"address":"10.77.0.2/32","gateway":7}]}'; do
	cni ADD 2 < <(conf 2 true "$OPEN" | jq -c ".prevResult = $prev") > $work/out 2> $work/err && fail "prevResult $prev is taken"
	jq -e '.code == 6 and (.msg | length) > 10' $work/out > /dev/null || fail "prevResult $prev: $(cat $work/out)"
	cni DEL 2 < <(conf 2 true "$OPEN" | jq -c ".prevResult = $prev") > $work/out || fail "DEL with prevResult $prev: $(cat $work/out)"
	nothing_left "prevResult $prev"
done

# no room for the attachment's file: ADD says so and leaves nothing; DEL needs none
mkdir -p /run/tailpod/cni/net
mount -t tmpfs -o size=4k none /run/tailpod/cni/net
head -c 4096 /dev/zero > /run/tailpod/cni/net/fill
cni ADD 2 < <(conf 2 "") > $work/out && fail "ADD without room for its file"
jq -e '.code == 5 and (.msg | contains("No space left"))' $work/out > /dev/null || fail "a full disk: $(cat $work/out)"
[ "$(ls /run/tailpod/cni/net)" = fill ] && [ "$(rules)" = 0 ] || fail "a full disk: something is left: $(ls /run/tailpod/cni/net)"
cni DEL 2 < <(conf 2 "") || fail "DEL on a full disk"
umount /run/tailpod/cni/net

# a file that cannot be read takes no guard away: not another pod's GC, until its own pod ends
cni ADD 2 < <(conf 2 "") > /dev/null; cni ADD 4 < <(conf 4 "") > /dev/null
n=$(rules)
echo '{' > /run/tailpod/cni/net/c2:eth0
printf '{"cniVersion":"1.1.0","name":"net","cni.dev/valid-attachments":[{"containerID":"c2","ifname":"eth0"},{"containerID":"c4","ifname":"eth0"}]}' | cni GC 0 > $work/out || fail "GC: $(cat $work/out)"
[ "$(rules)" = "$n" ] || fail "GC takes the guards of a running pod whose file cannot be read: $(rules) of $n rules are left"
at_once pod2 100.64.0.9
cni DEL 2 < <(conf 2 "") > $work/out || fail "DEL: $(cat $work/out)"
cni DEL 4 < <(conf 4 ""); nothing_left "the end"
echo passed
