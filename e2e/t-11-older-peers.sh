#!/bin/bash
# The same with the older peers that people still run: Headscale 0.26.1 and tailscaled 1.80.3. On a new machine those are built late.
# waits: 5
HEADSCALE=headscale-0.26.1 TAILSCALED=tailscaled-1.80.3
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
headscale
host a; host b
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"
web a 8000; web b 8000
containerboot a "$key"
ready a
core a b
big 128
pull a "$ip_b" "to us" || die "download through us is damaged"
pull b "$ip_a" "from us" || die "download from us is damaged"
ends a
