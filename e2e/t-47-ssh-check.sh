#!/bin/bash
# ssh rules of the policy, kept by stock tailscaled with --ssh on our coordinator: accepted, refused, checked by a person: the session
# waits for `login approve`, the next one within the checkPeriod does not; `login reject` ends it; with "always" every one waits.
. "$(dirname "$0")/lib.sh"
need_peer tailscaled tailscale
coordinator
host a; host b
key=$(authkey --reusable)
rules() { # rules ACTION...: the ssh rule of the policy
	cat > "$T/policy" <<-END
	{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}],
	 "ssh": [{"src": ["test@"], "dst": ["autogroup:self"], "users": ["root"], $1}]}
	END
	co_cli policy set "$T/policy" > /dev/null
}
rules '"action": "accept"'
tailscaled a; ts_up a "$key"
tailscaled b; ts_up b "$key" --ssh
until_ok 20 ts a ping -c 1 --timeout 3s b
ssh-keygen -q -t ed25519 -N '' -f "$T/id" # stock's server asks for no key, ssh has to have one
login() {
	timeout 240 ip netns exec "tp$ID-a" ssh -F none -i "$T/id" -o IdentitiesOnly=yes -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no \
		-o ConnectTimeout=120 -o ProxyCommand="$PEERS/tailscale --socket=$T/a.sock nc %h %p" "$1@b" echo in
}
try() { [ "$(login root 2> /dev/null < /dev/null)" = in ]; }
until_ok 20 try
say "accepted"
if login nobody > /dev/null 2>&1 < /dev/null; then die "a user that no rule names is let in"; fi

# a session in the background that waits; the name of its check in $check
wait_for_check() {
	rm -f "$T/out" "$T/said"
	login root > "$T/out" 2> "$T/said" < /dev/null & SESSION=$!
	until_ok 30 grep -q 'login approve' "$T/said"
	check=$(sed -n 's/.*login approve \([A-Za-z0-9_-]*\).*/\1/p' "$T/said" | head -n 1)
	[ -n "$check" ] || die "no check is named"
}
asks() { login root 2>&1 < /dev/null | grep -q 'login approve'; }
rules '"action": "check", "checkPeriod": "1h"'
wait_for_check
sleep 2
if grep -qx in "$T/out"; then die "let in before anybody approved"; fi
kill -0 $SESSION || die "the session does not wait"
co_cli login approve "$check"
wait $SESSION || { cat "$T/said"; die "not let in after approval"; }
[ "$(cat "$T/out")" = in ] || die "no shell after approval"
say "approved"
if co_cli login approve "$check" 2> /dev/null; then die "a check is approved twice"; fi
try || die "asked again within the checkPeriod"
say "holds for the checkPeriod"

rules '"action": "check", "checkPeriod": "always"'
wait_for_check
co_cli login reject "$check"
if wait $SESSION; then die "let in although it was rejected"; fi
if grep -qx in "$T/out"; then die "a shell although it was rejected"; fi
say "rejected"
wait_for_check
co_cli login approve "$check" > /dev/null
wait $SESSION
wait_for_check
co_cli login reject "$check" > /dev/null
wait $SESSION || true
say "always asked"
[ "$(grep -c 'audit: .*ssh check .* approved: node 1 to node 2' "$T/coordinator.log")" = 2 ] || die "approvals are not in the audit log"
