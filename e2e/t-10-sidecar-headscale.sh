#!/bin/bash
# A containerboot joins Headscale with an auth key; a stock tailscaled pings it; pages cross both ways, over IPv4 and IPv6, by
# name and address; the direct path is found; the same over the relay only.
. "$(dirname "$0")/lib.sh"
headscale
host a; host b; host c
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"
web a 8000; web b 8000
say "containerboot starts"
containerboot a "$key"
ready a
say "ready"
ip_a=$(addr a); ip_b=$(addr b); ip6_a=$(addr6 a); ip6_b=$(addr6 b)
[ -n "$ip_a" ] && [ -n "$ip_b" ] || die "no addresses: a=$ip_a b=$ip_b"

until_ok 20 ts b ping -c 1 --timeout 3s "$ip_a"
say "tailscale ping to us answers"
out=$(ts b ping -c 10 --timeout 3s "$ip_a") || true
echo "$out"
grep -q "via $IP_a:" <<< "$out" || grep -q "via \[$IP6_a\]:" <<< "$out" || die "no direct path"
ts b ping --tsmp -c 1 "$ip_a" || die "no TSMP answer"
ts b ping --icmp -c 1 "$ip_a" || die "no ICMP answer"

# in: the stock node reaches a program behind us, by address, both families
fetch() { via "$1" "$2" | grep -q "hello from $3"; }
until_ok 10 fetch b "http://$ip_a:8000/" a
until_ok 10 fetch b "http://[$ip6_a]:8000/" a
say "in: by IPv4 and IPv6"

# out: through our proxies
until_ok 20 fetch a "http://$ip_b:8000/" b
until_ok 10 fetch a "http://b.tail.test:8000/" b
until_ok 10 fetch a "http://b:8000/" b
until_ok 10 fetch a "http://[$ip6_b]:8000/" b
in_ns a curl -sS --max-time 10 --proxy http://127.0.0.1:1055 http://b.tail.test:8000/ | grep -q "hello from b"
in_ns a curl -sS --max-time 10 --proxytunnel --proxy http://127.0.0.1:1055 "http://$ip_b:8000/" | grep -q "hello from b"
say "out: SOCKS5 and HTTP, names and addresses, both families"

# 64 MiB each way with checksums
head -c $((64 << 20)) /dev/urandom > "$T/b.www/big"
cp "$T/b.www/big" "$T/a.www/big"
sum=$(sha256sum < "$T/b.www/big")
[ "$(via a "http://$ip_b:8000/big" | sha256sum)" = "$sum" ] || die "download through us is damaged"
[ "$(via b "http://$ip_a:8000/big" | sha256sum)" = "$sum" ] || die "download from us is damaged"
say "64 MiB each way: checksums agree"

# relay only
containerboot c "$key" TS_DEBUG_ALWAYS_USE_DERP=true
ready c
until_ok 20 fetch c "http://$ip_b:8000/" b
[ "$(via c "http://$ip_b:8000/big" | sha256sum)" = "$sum" ] || die "download over the relay is damaged"
say "64 MiB over the relay: checksums agree"

# SIGTERM ends with 0 at once
kill -TERM "$PID_a"; rc=0; wait "$PID_a" || rc=$?
[ "$rc" = 0 ] || die "exit code $rc on SIGTERM"
