#!/bin/bash
# The same against a stock client with a TUN device: its kernel is the other TCP.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
[ -c /dev/net/tun ] || { echo "needs /dev/net/tun"; exit 77; }
headscale
host a; host b
key=$(authkey --reusable)
TUN=tailscale0
tailscaled b; ts_up b "$key"
web a 8000; web b 8000 ::
containerboot a "$key"
ready a
core a b
big 512
pull a "$ip_b" "to us" || die "download through us is damaged"
pull_straight b "$ip_a" "from us" || die "download from us is damaged"
in_ns b ping -c 3 -i 0.2 -s 1200 "$ip_a" || die "the kernel's ping"
in_ns b ping -c 3 -i 0.2 "$ip6_a" || die "the kernel's ping over IPv6"
ends a
