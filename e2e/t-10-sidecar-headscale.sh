#!/bin/bash
# A containerboot joins Headscale with an auth key; a stock tailscaled pings it; pages cross both ways, over IPv4 and IPv6, by
# name and address; the direct path is found; 1 GiB each way with checksums, then 1 GiB each way over the relay only.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
headscale
host a; host b; host c
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"
web a 8000; web b 8000; web c 8000
say "containerboot starts"
containerboot a "$key"
containerboot c "$key" TS_DEBUG_ALWAYS_USE_DERP=true
ready a
say "ready"
core a b
big "${BIG_MIB:-1024}"; ln -sf "$T/big" "$T/c.www/big"
pull a "$ip_b" "direct, to us" || die "download through us is damaged"
pull b "$ip_a" "direct, from us" || die "download from us is damaged"
say "each way directly"

ready c
until_ok 40 fetch c "http://$ip_b:8000/" b
pull c "$ip_b" "over the relay, to us" || die "download over the relay is damaged"
pull b "$(addr c)" "over the relay, from us" || die "download from us over the relay is damaged"
ts b ping -c 2 --timeout 3s "$(addr c)" > "$T/ping" 2>&1 || true
grep -q 'via DERP(hs)' "$T/ping" || die "no answer over the relay: $(cat "$T/ping")"
grep -q "via $IP_c" "$T/ping" && die "a node that is told to use the relay only answers directly"
say "each way over the relay"
ends a
