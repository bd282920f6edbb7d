#!/bin/bash
# t-cni-socket.sh - what the plugin makes of an agent that grants, refuses, waits, talks nonsense, is silent or hangs up; who may ask at all
. "$(dirname "$0")/cni.sh"
host_up; pod 2
mkdir -p /run/tailpod

cat > $work/agent.py <<'P'
# plays the agent: each caller gets the bytes of the file "says"; none there: silence until it hangs up; "deaf": nobody is accepted
import os, socket, sys, time
path, says = sys.argv[1:3]
s = socket.socket(socket.AF_UNIX); s.bind(path); s.listen(1)
if sys.argv[3:] == ['deaf']:
    fill = []
    for _ in range(3):
        c = socket.socket(socket.AF_UNIX); c.setblocking(False)
        try: c.connect(path)
        except OSError: pass
        fill.append(c)
    print('up', flush=True)
    while True: time.sleep(1)
print('up', flush=True)
while True:
    c, _ = s.accept()
    try:
        asked = c.makefile('rb').readline()
        open(says + '.asked', 'wb').write(asked)
        if os.path.exists(says):
            c.sendall(open(says, 'rb').read())
        else:
            c.recv(1)
    except OSError: # a caller that has hung up
        pass
    c.close()
P
agent() { # [deaf]
	rm -f /run/tailpod/cni.sock
	python3 $work/agent.py /run/tailpod/cni.sock $work/says "$@" > $work/agent.up 2> $work/agent.err < /dev/zero & AGENT=$!
	for _ in $(seq 200); do [ ! -s $work/agent.up ] || return 0; sleep 0.1; done
	fail "the played agent does not start: $(cat $work/agent.err)"
}
agent_gone() { [ -z "${AGENT:-}" ] || { kill "$AGENT"; wait "$AGENT" 2> /dev/null || true; }; AGENT=; }
trap 'rc=$?; agent_gone; for n in $(ip netns list 2> /dev/null | cut -d" " -f1); do ip netns del $n || true; done; exit $rc' EXIT
says() { rm -f $work/says; [ $# = 0 ] || printf "$1" > $work/says; }
state() { jq -r .state /run/tailpod/cni/net/c2:eth0; }
lookups() { ip rule | grep -c "lookup 5252" || true; }
# never COMMAND...: is to fail with an answer, by itself
never() { local s; s=$(date +%s); if timeout 90 bash -c '"$@"' never "$@" > $work/out 2> $work/err; then fail "this should have failed: $*"; fi; [ $(($(date +%s) - s)) -le 60 ] || fail "it hung: $*"; }
export -f cni; export bin OPEN

conf 2 true > $work/asks
conf 2 true "$OPEN" > $work/open
agent
says '{"verdict":"ready","words":""}\n'
cni ADD 2 < $work/asks > $work/out || fail "ready: $(cat $work/out)"
[ "$(state)" = granted ] && [ "$(lookups)" = 1 ] || fail "ready: $(state), $(lookups) lookups"
jq -e '.version == 1 and .op == "add" and .pod == "apps/web" and .container == "c2" and .ifname == "eth0" and .network == "net"' $work/says.asked > /dev/null || fail "asked: $(cat $work/says.asked)"
# asked again and refused, the lookup goes and the guard stays
says '{"verdict":"refused","words":"not you"}\n'
cni ADD 2 < $work/asks > $work/out 2> $work/err || fail "refused: $(cat $work/out)"
[ "$(state)" = guarded ] && [ "$(lookups)" = 0 ] && [ "$(rules)" = 4 ] || fail "refused: $(state), $(rules) rules"
grep -q "not you" $work/err || fail "refused without the reason: $(cat $work/err)"
ip netns exec pod2 ping -c1 -W2 100.64.0.9 > /dev/null && fail "a refused pod leaked"
cni DEL 2 < $work/asks; nothing_left refused

# waits, nonsense, half a line, too long a line, a caller that is hung up on: code 11, or pending with failOpen
long=$(printf '%2000s' '' | tr ' ' x)
for what in '{"verdict":"not-yet","words":"no login"}\n' 'nonsense\n' '{"verdict":"maybe"}\n' '{"verdict":"ready"' '' '\n' '\377\376{}\n' '[1,2]\n' "{\"verdict\":\"ready\",\"words\":\"$long\"}\n" "$long"; do
	says "$what"
	never cni ADD 2 < $work/asks
	[ "$(code < $work/out)" = 11 ] || fail "\"${what:0:40}\" is not code 11: $(cat $work/out)"
	nothing_left "$what"
	cni ADD 2 < $work/open > $work/out 2> $work/err || fail "\"${what:0:40}\" with failOpen: $(cat $work/out)"
	[ "$(state)" = pending ] && [ "$(lookups)" = 0 ] || fail "\"${what:0:40}\": $(state), $(lookups) lookups"
	cni DEL 2 < $work/open; nothing_left "$what"
done

# STATUS
status() { # [EXTRA]
	printf '{"cniVersion":"1.1.0","name":"net","statusAffectsNode":true%s}' "${1:-}" | cni STATUS 0
}
export -f status
says '{"verdict":"ready","words":""}\n'; status > $work/out || fail "STATUS: $(cat $work/out)"
says '{"verdict":"not-yet","words":"no login"}\n'; never status
jq -e '.code == 51 and .msg == "no login"' $work/out > /dev/null || fail "STATUS: $(cat $work/out)"
never status "$OPEN" # an agent that is there says more than failOpen
says 'nonsense\n'; never status; [ "$(code < $work/out)" = 50 ] || fail "STATUS: $(cat $work/out)"

# silence: two seconds, then as if it were away
says
never cni ADD 2 < $work/asks
[ "$(code < $work/out)" = 11 ] || fail "silence: $(cat $work/out)"
nothing_left silence
# DEL and GC ask nobody
says '{"verdict":"ready","words":""}\n'
cni ADD 2 < $work/asks > $work/out || fail "$(cat $work/out)"
says; rm -f $work/says.asked
cni DEL 2 < $work/asks || fail DEL
printf '{"cniVersion":"1.1.0","name":"net","cni.dev/valid-attachments":[]}' | cni GC 0 || fail GC
[ ! -e $work/says.asked ] || fail "DEL or GC asked the agent"
nothing_left DEL

# who asks: another name of the annotation; every pod of the namespaces; nobody of others
says '{"verdict":"ready","words":""}\n'
plain=$(conf 2 "" ',"annotation":"example.com/net","runtimeConfig":{"io.kubernetes.cri.pod-annotations":{"example.com/net":"true"}}')
cni ADD 2 <<< "$plain" > $work/out || fail "$(cat $work/out)"
[ "$(state)" = granted ] || fail "another annotation is not heard"
cni ADD 2 < <(conf 2 "" ',"optIn":"all"') > $work/out && [ "$(state)" = granted ] || fail "optIn all: $(state)"
NS=other cni ADD 2 < <(conf 2 "" ',"optIn":"all"') > $work/out && [ "$(state)" = guarded ] || fail "optIn all in another namespace: $(state)"
cni ADD 2 < <(conf 2 "") > $work/out && [ "$(state)" = guarded ] || fail "a pod that does not ask: $(state)"
cni DEL 2 < $work/asks; nothing_left "who asks"
agent_gone

# nobody accepts: connecting itself is limited
agent deaf
never cni ADD 2 < $work/asks
[ "$(code < $work/out)" = 11 ] || fail "deaf: $(cat $work/out)"
agent_gone
nothing_left deaf
echo passed
