# e2e/core.sh - what must hold between one of ours and a stock client, whichever versions; sourced after lib.sh

fetch() { via "$1" "$2" | grep -q "hello from $3"; }
# the stock node reaches programs on its host itself when it has a device
straight() { in_ns "$1" curl -sS --max-time 60 "$2" | grep -q "hello from $3"; }

# core OURS STOCK: both are up, with a web server on port 8000 of each; leaves ip_a ip_b ip6_a ip6_b behind
core() {
	local a=$1 b=$2 out seen=fetch name4 name6
	[ -z "${TUN:-}" ] || seen=straight
	ip_a=$(addr "$a"); ip_b=$(addr "$b"); ip6_a=$(addr6 "$a"); ip6_b=$(addr6 "$b")
	[ -n "$ip_a" ] && [ -n "$ip_b" ] || die "no addresses: $a=$ip_a $b=$ip_b"
	eval "name4=\$IP_$a name6=\$IP6_$a"

	until_ok 40 ts "$b" ping -c 1 --timeout 3s "$ip_a"
	say "tailscale ping to us answers"
	out=$(ts "$b" ping -c 10 --timeout 3s "$ip_a") || true
	echo "$out"
	grep -q "via $name4:" <<< "$out" || grep -q "via \[$name6\]:" <<< "$out" || die "no direct path"
	ts "$b" ping --tsmp -c 1 "$ip_a" || die "no TSMP answer"
	ts "$b" ping --icmp -c 1 "$ip_a" || die "no ICMP answer"

	# in: the stock node reaches a program behind us, by address, both families
	until_ok 30 $seen "$b" "http://$ip_a:8000/" "$a"
	until_ok 30 $seen "$b" "http://[$ip6_a]:8000/" "$a"
	say "in: by IPv4 and IPv6"

	# out: through our proxies
	until_ok 40 fetch "$a" "http://$ip_b:8000/" "$b"
	until_ok 30 fetch "$a" "http://$b.tail.test:8000/" "$b"
	until_ok 30 fetch "$a" "http://$b:8000/" "$b"
	until_ok 30 fetch "$a" "http://[$ip6_b]:8000/" "$b"
	in_ns "$a" curl -sS --max-time 60 --proxy http://127.0.0.1:1055 "http://$b.tail.test:8000/" | grep -q "hello from $b"
	in_ns "$a" curl -sS --max-time 60 --proxytunnel --proxy http://127.0.0.1:1055 "http://$ip_b:8000/" | grep -q "hello from $b"
	say "out: SOCKS5 and HTTP, names and addresses, both families"
}

# big MIB: the same random file behind web servers of hosts a and b as /big; its checksum in $sum
big() {
	head -c $(($1 << 20)) /dev/zero | openssl enc -aes-128-ctr -K "$(printf '%032x' 7)" -iv "$(printf '%032x' 1)" > "$T/big" 2> /dev/null
	sum=$(sha256sum < "$T/big")
	for h in a b; do ln -sf "$T/big" "$T/$h.www/big"; done
}
# pull HOST ADDRESS: downloads /big through the node of HOST, compares, prints the rate
pull() {
	local t0 t1 got
	t0=$(date +%s%N)
	got=$(via "$1" "http://$2:8000/big" | sha256sum)
	t1=$(date +%s%N)
	[ "$got" = "$sum" ] || return 1
	echo "figure: $(basename "$0" .sh): $3: $(($(stat -c %s "$T/big") * 8000 / (t1 - t0))) Mb/s, checksum agrees"
}
# pull_straight HOST ADDRESS WHAT: the same through the device of a stock node
pull_straight() { via() { in_ns "$1" curl -sS --max-time 120 "$2"; }; pull "$@"; }

# ends HOST: SIGTERM ends ours with 0
ends() {
	local rc=0 pid
	eval "pid=\$PID_$1"
	kill -TERM "$pid"; wait "$pid" || rc=$?
	[ "$rc" = 0 ] || die "exit code $rc on SIGTERM"
}
