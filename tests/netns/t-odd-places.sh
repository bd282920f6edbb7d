#!/bin/bash
# Odd environments: system calls that a container's filter refuses, few descriptors, no memory to lock, no /proc, /proc/sys, /sys,
# /dev, /etc, no resolv.conf, no IPv6. What is a matter of speed or of one more fence is done without; what nothing works without ends
# the start with code 1 and one line that says what.
. "$(dirname "$0")/../../e2e/lib.sh"
deny=$ROOT/build/gcc/tests/netns/deny
[ -x "$deny" ] || deny=$(dirname "$BIN")/tests/netns/deny
[ -x "$deny" ] || die "deny is not there: make check-netns"
coordinator
host a; host b
key=$(authkey --reusable)
web b 8000
containerboot b "$key"; ready b
ip_b=$(addr b)

boot() { # PREFIX...
	rm -rf "$T/a.state"
	mkdir "$T/a.state"
	start a a env SSL_CERT_FILE="$CA" TS_AUTHKEY="$key" TS_LOGIN_SERVER="$URL" TS_HOSTNAME=a TS_STATE_DIR="$T/a.state" \
		TS_SOCKET="$T/a.sock" TS_SOCKS5_SERVER=127.0.0.1:1055 TS_ENABLE_HEALTH_CHECK=true "$@" "$BIN/containerboot"
	PID_a=$PID
}
# carries NAME PREFIX...: it joins, carries a request and stops with 0, and nothing is an error
carries() {
	local name=$1 rc=0; shift
	boot "$@"
	ready a || die "$name: it does not start"
	until_ok 30 sh -c "ip netns exec tp$ID-a curl -sS --max-time 10 --proxy socks5h://127.0.0.1:1055 http://$ip_b:8000/ | grep -q 'hello from b'" ||
		die "$name: it carries nothing"
	kill -TERM "$PID_a"; wait "$PID_a" || rc=$?
	[ "$rc" = 0 ] || die "$name: code $rc on SIGTERM"
	! grep ' error ' "$T/a.log" || die "$name: an error in the log"
	say "$name: carries"
}
# ends NAME WORDS PREFIX...: code 1, and the only error names the reason
ends() {
	local name=$1 words=$2 rc=0; shift 2
	boot "$@"
	wait "$PID_a" || rc=$?
	[ "$rc" = 1 ] && tail -n 1 "$T/a.log" | grep -q -- " error .*$words" || die "$name: code $rc, wanted $words"
	say "$name: one line"
}
without() { # MOUNT COMMANDS: as a prefix of the program
	echo "mount --make-rprivate / && $1 && exec \"\$@\""
}

carries "no batches of datagrams" "$deny" sendmmsg,recvmmsg
carries "no inotify" "$deny" inotify_init1
carries "no locked memory" "$deny" mlock,mlock2,mlockall
carries "no Landlock" "$deny" landlock_create_ruleset
carries "no prctl" "$deny" prctl
grep -q "not confined: forbid new privileges: Operation not permitted" "$T/a.log" || die "nothing is said of the missing fence"
carries "no seccomp" "$deny" seccomp
grep -q "not confined: limit system calls" "$T/a.log" || die "nothing is said of the missing fence"
carries "no madvise, no statx" "$deny" madvise,statx,memfd_create,sched_getaffinity
carries "RLIMIT_MEMLOCK 0" prlimit --memlock=0
carries "32 descriptors" prlimit --nofile=32
carries "no standard input, output and error" bash -c 'exec 0<&- 1>&- 2>&-; exec "$@"' x
for dir in /proc /proc/sys /sys /dev /etc; do
	carries "an empty $dir" unshare --mount sh -c "$(without "mount -t tmpfs none $dir")" x
done
carries "an empty resolv.conf" unshare --mount sh -c "$(without 'mount --bind /dev/null /etc/resolv.conf')" x

ends "no event loop" "event loop (epoll, eventfd): Operation not permitted" "$deny" eventfd2
ends "no sockets" "Operation not permitted" "$deny" socket
# whatever descriptors this test was started with, the program has these and no others
few='for f in /proc/self/fd/*; do f=${f##*/}; [ "$f" -le 2 ] || eval "exec $f>&-"; done; n=$1; shift; exec prlimit --nofile=$n "$@"'
for n in 5 6 7 8 9 10 11 12 13 14 15 16; do
	ends "$n descriptors" "Too many open files" bash -c "$few" x "$n"
done
ends "a state directory that cannot be made" "TS_STATE_DIR: make directory /proc/nowhere: No such file" env TS_STATE_DIR=/proc/nowhere
ends "a state directory that cannot be written" "TS_STATE_DIR (uid 0 must be able to write there): lock /sys/tailpod.lock: Permission denied" env TS_STATE_DIR=/sys
ends "a state that cannot be made durable" "TS_STATE_DIR .* cannot be written: .*Operation not permitted" "$deny" fsync
ends "a socket that cannot be made" "TS_SOCKET: listen on /proc/s: " env TS_SOCKET=/proc/s
ends "a socket in no directory" "TS_SOCKET=/nowhere/s: there is no directory /nowhere; make it, or choose a place below" env TS_SOCKET=/nowhere/s
ends "a way out of what may be made" "there is no directory $T/x/../../../nowhere;" env TS_SOCKET="$T/x/../../../nowhere/s"
[ ! -e /nowhere ] && [ ! -e "$T/x" ] || die "a directory was made"
carries "a socket in a directory below /tmp" env TS_SOCKET="$T/made/here/s"
[ "$(stat -c %a "$T/made/here")" = 755 ] || die "mode of the socket's directory"

in_ns a sysctl -qw net.ipv6.conf.all.disable_ipv6=1
carries "no IPv6"
