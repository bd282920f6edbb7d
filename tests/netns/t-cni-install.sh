#!/bin/bash
# t-cni-install.sh - onto a node and off it: the owner's list with us behind it, followed as it changes, restored at the end
. "$(dirname "$0")/cni.sh"
bins=$work/bin nets=$work/net
mkdir -p $bins $nets
inst() { "$bin" "$1" --bin-dir $bins --net-dir $nets "${@:2}"; }
ours=$nets/00-00-tailpod.conflist
until_ok() { for _ in $(seq 1 600); do eval "$1" && return; sleep 0.1; done; fail "never: $1"; }

inst install || fail "install without any list"
cmp -s $bins/tailpod-cni "$bin" && [ -x $bins/tailpod-cni ] || fail "the program is not there"
[ -e $ours ] && fail "a list without an owner"
echo '{"cniVersion":"1.0.0","name":"k8s","plugins":[{"type":"ptp","mtu":1450}]}' > $nets/10-owner.conflist
echo '{"broken' > $nets/05-broken.conf
cp -r $nets $work/before
echo '{"namespaces":["apps"],"failOpen":true}' > $work/settings
inst install --settings $work/settings
jq -e '.name == "k8s" and (.plugins | map(.type)) == ["ptp","tailpod-cni"] and .plugins[1].failOpen and .plugins[1].capabilities["io.kubernetes.cri.pod-annotations"]' $ours > /dev/null || fail "$(cat $ours)"
[ "$(ls $nets | head -1)" = 00-00-tailpod.conflist ] || fail "it does not sort first"
stamp=$(stat -c %i:%Y $ours $bins/tailpod-cni); inst install --settings $work/settings
[ "$(stat -c %i:%Y $ours $bins/tailpod-cni)" = "$stamp" ] || fail "twice is not the same as once"
# settings that ADD would refuse change nothing
echo '{"failOpen":"maybe"}' > $work/bad
inst install --settings $work/bad 2> $work/err && fail "bad settings are taken"
grep -q failOpen $work/err || fail "it does not say which: $(cat $work/err)"
jq -e '.plugins[1].failOpen == true' $ours > /dev/null || fail "bad settings were written"
# nor do settings that nobody has heard of, whether there is a list to join or not
printf '{\n  "namespaces": ["apps"],\n  "failOpn": true\n}\n' > $work/bad
for dir in $nets $work/before/..; do
	"$bin" install --bin-dir $bins --net-dir $dir --settings $work/bad 2> $work/err && fail "a setting that there is not is taken"
	[ "$(cat $work/err)" = "tailpod-cni: $work/bad, line 3, column 3: there is no setting 'failOpn'; the nearest is 'failOpen'" ] || fail "it says: $(cat $work/err)"
done

# what we were given is what the runtime would run: the joined object of ours passes an ADD
host_up; pod 2
jq -c --argjson prev "$(prev 2)" '.plugins[1] + {cniVersion, name, prevResult: $prev}' $ours | cni ADD 2 > $work/out || fail "ADD with the joined settings: $(cat $work/out)"
cni DEL 2 < <(conf 2 "" | sed 's/"name":"net"/"name":"k8s"/'); nothing_left install

# watching OPTION...: in the background; its pid and, in the end, its exit code are in files, by a shell that has no other child
watching() {
	rm -f $work/watch.pid $work/watch.rc
	bash -c '"$@" & echo $! > $0.pid; rc=0; wait $! || rc=$?; echo $rc > $0.rc' $work/watch "$bin" watch "$@" --bin-dir $bins --net-dir $nets --settings $work/settings > /dev/null 2> $work/watch.log &
	until_ok '[ -s $work/watch.pid ]'
}
stop_watching() { kill "$(cat $work/watch.pid)"; until_ok '[ -s $work/watch.rc ]'; [ "$(cat $work/watch.rc)" = 0 ] || fail "watch ends with $(cat $work/watch.rc)"; }

# watch follows the owner
watching
trap 'kill "$(cat $work/watch.pid)" 2> /dev/null || true' EXIT
until_ok 'grep -q "as it should be" $work/watch.log'
echo '{"cniVersion":"1.1.0","name":"k8s","plugins":[{"type":"bridge"},{"type":"portmap"}]}' > $work/new; mv $work/new $nets/10-owner.conflist
until_ok 'jq -e "(.plugins | length) == 3" $ours > /dev/null'
rm -f $ours
until_ok 'jq -e "(.plugins | length) == 3" $ours > /dev/null 2>&1'
rm $nets/10-owner.conflist
until_ok '[ ! -e $ours ]'
echo '{"cniVersion":"0.4.0","name":"single","type":"ptp","ipam":{"type":"host-local"}}' > $nets/20-single.conf
until_ok 'jq -e ".cniVersion == \"0.4.0\" and .name == \"single\" and (.plugins | map(.type)) == [\"ptp\",\"tailpod-cni\"]" $ours > /dev/null 2>&1'
stop_watching

# on the way out of a cluster it takes everything along
watching --end remove
until_ok 'grep -q "as it should be" $work/watch.log'
[ -e $bins/tailpod-cni ] || fail "no program"
stop_watching
[ ! -e $ours ] && [ -z "$(ls -A $bins)" ] || fail "watch --end remove leaves something"

# a pod's end is the last one when the watcher of its DaemonSet says so, before or a moment after
inst install --settings $work/settings
for said in "echo remove" "echo keep" true; do
	rm -f $work/said
	watching --end-file $work/said
	until_ok 'grep -q "as it should be\|is written" $work/watch.log'
	[ "$said" != "echo remove" ] || $said > $work/said
	[ "$said" != "echo keep" ] || (sleep 0.5; $said > $work/said) &
	stop_watching
	if [ "$said" = "echo remove" ]; then [ ! -e $ours ] && [ -z "$(ls -A $bins)" ] || fail "the last end leaves something"
	else [ -e $ours ] && [ -e $bins/tailpod-cni ] || fail "$said: an end for the next pod removes the plugin"; fi
done
grep -q "is kept" $work/watch.log || fail "nobody said why it ended, and no word about that: $(cat $work/watch.log)"
inst uninstall

# with --device also what an agent that no longer runs has left: rules, table, device with its routes, files; while one answers it
# does that itself and nothing is touched by hand
run=$work/run state=$work/state
left() {
	ip link show tailpod0 2> /dev/null; nft list tables | grep tailpod; { ip rule; ip -6 rule; } | grep 'proto 116'
	ip route show table 5252 2> /dev/null; find $run $state -mindepth 1
	true
}
leave_all() { # what an agent that was killed leaves, with a pod's rules
	mkdir -p $run/cni/net $state/deep/er
	ip tuntap add tailpod0 mode tun; ip link set tailpod0 up; ip addr add 100.64.0.1/32 dev tailpod0
	ip route add 100.64.0.0/10 dev tailpod0 table 5252 proto 116
	ip rule add from 10.77.0.2 to 100.64.0.0/10 lookup 5252 priority 5258 protocol 116
	ip rule add from 10.77.0.2 to 100.64.0.0/10 priority 5259 protocol 116 type unreachable
	ip -6 rule add from fd00:77::2 to fd7a:115c:a1e0::/48 priority 5259 protocol 116 type unreachable
	nft add table inet tailpod-tailpod0; nft add table inet tailpod_refuse
	echo x > $run/cni/net/c2:eth0; echo x > $state/tailscaled.state; echo x > $state/deep/er/file
	ln -s $nets/10-owner.conflist $state/link
}
agent_like() { # answers one question a connection, for SECONDS
	rm -f $run/cni.sock
	python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(9); end = time.time() + float(sys.argv[2]); s.settimeout(0.1)
while time.time() < end:
    try: c, _ = s.accept()
    except OSError: continue
    c.recv(2048); c.sendall(b"{\"verdict\":\"ready\"}\n"); c.close()' $run/cni.sock "$1" &
	until_ok '[ -S $run/cni.sock ]'
}
off="--device tailpod0 --run-dir $run --state-dir $state"
ip rule add from 10.9.9.9 lookup main priority 900 # somebody else's
ip link add other0 type veth peer name other1; nft add table inet other
echo '{"cniVersion":"1.0.0","name":"k8s","plugins":[{"type":"ptp"}]}' > $nets/10-owner.conflist
leave_all
inst install
agent_like 30; other=$!
inst uninstall $off 2> $work/err && fail "uninstall under a running agent"
grep -q "end it first" $work/err && [ -e $ours ] && ip link show tailpod0 > /dev/null || fail "$(cat $work/err)"
kill $other; wait $other || true
inst uninstall $off || fail "uninstall --device"
[ -z "$(left)" ] && [ ! -e $ours ] && [ -z "$(ls -A $bins)" ] || fail "left: $(left)"
[ -e $nets/10-owner.conflist ] || fail "it went through a link"
inst uninstall $off || fail "twice"
# the last end of watch: an agent that ends meanwhile is waited for
leave_all
echo remove > $work/said
watching --end-file $work/said $off
until_ok 'grep -q "as it should be\|is written" $work/watch.log'
agent_like 3; other=$!
kill "$(cat $work/watch.pid)"
until_ok '[ ! -e $ours ]'
ip link show tailpod0 > /dev/null || fail "the device went under a running agent"
wait $other
until_ok '[ -s $work/watch.rc ]'
[ "$(cat $work/watch.rc)" = 0 ] && [ -z "$(left)" ] || fail "left: $(left) $(cat $work/watch.log)"
# an end for the next pod touches nothing
leave_all
echo keep > $work/said
watching --end-file $work/said $off
until_ok 'grep -q "as it should be\|is written" $work/watch.log'
left > $work/was
stop_watching
left | diff $work/was - || fail "an end for the next pod removes something"
inst uninstall $off
ip rule | grep -q '^900:' && ip link show other0 > /dev/null && nft list tables | grep -q other || fail "something of others is gone"
rm -f $nets/10-owner.conflist

cp $work/before/10-owner.conflist $nets/; rm $nets/20-single.conf
inst install --settings $work/settings; inst uninstall; inst uninstall
diff -r $work/before $nets || fail "the directory is not as it was"
[ -z "$(ls -A $bins)" ] || fail "the program is still there"
# a list that an administrator wrote with us in it stays alone
echo '{"cniVersion":"1.0.0","name":"k8s","plugins":[{"type":"ptp"},{"type":"tailpod-cni"}]}' > $nets/01-own.conflist
inst install 2> /dev/null; [ ! -e $ours ] || fail "a list that names us got a second one"
echo passed
