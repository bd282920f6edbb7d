#!/bin/bash
# t-cni-load.sh - 100 ADDs at once, 1,000 ADD/DEL, kill -9 in the middle of ADD, mutated stdin: nothing is left, nothing hangs
. "$(dirname "$0")/cni.sh"
host_up; pod 2

# one namespace serves for all: what differs are container and address
plain() { conf "$1" "" | sed 's/"name":"cable[0-9]*"/"name":"cable2"/; s/pod[0-9]*/pod2/'; }
for i in $(seq 1 100); do plain $i > $work/in$i; done
export NETNS=/run/netns/pod2
for i in $(seq 1 100); do CID=p$i cni ADD 2 < $work/in$i > $work/out$i 2>&1 & done; wait
for i in $(seq 1 100); do jq -e .ips $work/out$i > /dev/null || fail "parallel ADD $i: $(cat $work/out$i)"; done
# two guards an address, and the cable's two, which all share
[ "$(rules)" = 202 ] || fail "$(rules) rules after 100 parallel ADDs"
for i in $(seq 1 100); do CID=p$i cni CHECK 2 < $work/in$i > $work/out || fail "CHECK $i: $(cat $work/out)"; done
for i in $(seq 1 99); do CID=p$i cni DEL 2 < $work/in$i & done; wait
[ "$(rules)" = 4 ] || fail "the last pod's guards are gone, or others are left: $(rules)"
CID=p100 cni DEL 2 < $work/in100; nothing_left "100 parallel"

start=$(date +%s%N)
for i in $(seq 1 1000); do
	CID=s$i cni ADD 2 < $work/in1 > /dev/null || fail "ADD $i"
	CID=s$i cni DEL 2 < $work/in1 || fail "DEL $i"
done
echo "figure: ADD and DEL together, process start included: $((($(date +%s%N) - start) / 1000000)) us (mean of 1,000)"
nothing_left "1,000 ADD/DEL"

# killed at moments that wander over the run of an ADD
conf 2 true "$OPEN" > $work/asks
killed=$(python3 "$(dirname "$0")/cni-kill.py" "$bin" $work/asks 300)
files=$(find /run/tailpod/cni -type f -name 'k*:eth0' | wc -l)
[ "$killed" -gt 0 ] && [ "$files" -gt 0 ] || fail "$killed killed, $files files: the moments do not wander"
for i in $(seq 1 300); do CID=k$i cni DEL 2 < $work/asks || fail "DEL after a kill"; done
[ "$(rules)" = 0 ] || fail "kills left rules after DEL"
find /run/tailpod/cni -type f -name '*:*:*' -delete # the rest of a write that was cut off; it claims nothing
nothing_left kills
ip -n pod2 route | grep -q 100.64 && fail "a route is left in the pod"
echo "figure: 300 ADDs, $killed of them killed while they ran, $files had written their file"

# mutated stdin: an answer each time, never a crash, and DEL cleans
conf 2 true "$OPEN"',"ranges":["100.64.0.0/10","fd7a:115c:a1e0::/48"],"namespaces":["a*"]' > $work/seed
python3 - $work/seed $work/mut <<'P'
import random, sys
seed = open(sys.argv[1], 'rb').read()
r = random.Random(1)
bits = [b'"', b'{', b'}', b'[', b']', b'\\u0000', b'\xff', b'null', b'-1', b'1e999', b'99999999999999999999', b',', b':', b'/', b'0.0.0.0/0']
for i in range(400):
    d = bytearray(seed)
    for _ in range(r.randint(1, 4)):
        k = r.randrange(len(d))
        w = r.randrange(4)
        if w == 0: d[k] = r.randrange(256)
        elif w == 1: del d[k:k + r.randint(1, 40)]
        elif w == 2: d[k:k] = r.choice(bits)
        else: d[k:k] = d[r.randrange(len(d)):][:r.randint(1, 200)]
    open('%s%d' % (sys.argv[2], i), 'wb').write(d)
P
ok=0
for i in $(seq 0 399); do
	rc=0; CID=f cni ADD 2 < $work/mut$i > $work/out 2> /dev/null || rc=$?
	case $rc in 0) ok=$((ok + 1)) ;; 1) jq -e '.code > 0 and (.msg | length > 0)' $work/out > /dev/null || fail "mutation $i: no error object: $(cat $work/out)" ;; *) fail "mutation $i: exit code $rc" ;; esac
	CID=f cni DEL 2 < $work/mut$i > /dev/null 2>&1 || true
	printf '{"cniVersion":"1.1.0","name":"net","cni.dev/valid-attachments":[]}' | cni GC 0 > $work/out || fail "GC: $(cat $work/out)"
done
[ $ok -gt 20 ] && [ $ok -lt 390 ] || fail "$ok of 400 mutations were accepted: they test nothing"
echo "figure: 400 mutations of stdin, $ok accepted"
echo passed
