#!/bin/bash
# ssh through the tailnet with a real sshd: ProxyCommand by `tailpod nc`, by the stock `tailscale nc` on our socket, through our SOCKS5
# proxy; logins by key both ways, bytes both ways, half-close; a session that is silent for ten minutes lives (MINUTES).
# waits: 640
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
SSHD=$(command -v sshd || echo /usr/sbin/sshd)
[ -x "$SSHD" ] || { echo "openssh-server is not there: make deps"; exit 77; }
headscale
host a; host b
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"
containerboot a "$key" TS_USERSPACE=true
ready a
ip_a=$(addr a) ip_b=$(addr b)
mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f "$T/id"
cp "$T/id.pub" "$T/authorized"
for h in a b; do
	ssh-keygen -q -t ed25519 -N '' -f "$T/host-$h"
	cat > "$T/sshd-$h.conf" <<-END
		Port 22
		ListenAddress 127.0.0.1
		HostKey $T/host-$h
		AuthorizedKeysFile $T/authorized
		StrictModes no
		PidFile none
		UsePAM no
		PasswordAuthentication no
		PermitRootLogin prohibit-password
	END
	start $h sshd-$h "$SSHD" -D -e -f "$T/sshd-$h.conf"
	echo "$h $(cut -d ' ' -f 1,2 "$T/host-$h.pub")" >> "$T/known"
done
# login FROM TO PROXYCOMMAND COMMAND...: the host key of TO is checked under that name
login() {
	local from=$1 to=$2 proxy=$3; shift 3
	timeout "${SSH_SECONDS:-60}" ip netns exec "tp$ID-$from" ssh -F none -i "$T/id" -o IdentitiesOnly=yes -o UserKnownHostsFile="$T/known" -o StrictHostKeyChecking=yes \
		-o HostKeyAlias="${ALIAS:-$to}" -o ConnectTimeout=20 -o BatchMode=yes -o ProxyCommand="$proxy" "root@$to" "$@"
}
ln -s "$BIN/containerboot" "$T/tailpod"
ours="$T/tailpod --socket=$T/a.sock nc %h %p"
stock="$PEERS/tailscale --socket=$T/a.sock nc %h %p"
until_ok 40 login a b "$ours" true
head -c 20000000 /dev/urandom > "$T/random"
sum=$(sha256sum < "$T/random")
for way in "$ours" "$stock" "python3 $ROOT/e2e/socks_nc.py 1055 %h %p"; do
	[ "$(login a b "$way" cat /proc/sys/kernel/ostype)" = Linux ] || die "no login by $way"
	[ "$(login a b "$way" sha256sum < "$T/random")" = "$sum" ] || die "what was sent by $way is damaged"
	[ "$(login a b "$way" cat "$T/random" | sha256sum)" = "$sum" ] || die "what came by $way is damaged"
	say "ssh by ${way%% *}"
done
# by address, and to us from the stock node
[ "$(ALIAS=b login a "$ip_b" "$ours" echo hi)" = hi ] || die "no login by address"
[ "$(ALIAS=a login b "$ip_a" "$PEERS/tailscale --socket=$T/b.sock nc %h %p" echo hi)" = hi ] || die "no login to us"
# nc itself, between two of ours, as stock forwards no half-close: an end on one side leaves the other open
host c
containerboot c "$key"
ready c
start a half socat -t 20 TCP-LISTEN:7001,bind=127.0.0.1,fork,reuseaddr SYSTEM:"cat > $T/half.got; sleep 1; echo late"
listens() { in_ns "$1" ss -ltn | grep -q ":$2 "; }
until_ok 30 listens a 7001
until_ok 40 ts c ping -c 1 --timeout 3s "$ip_a"
[ "$(echo early | in_ns c "$T/tailpod" --socket="$T/c.sock" nc a 7001)" = late ] || die "nc loses what comes after its own end"
[ "$(cat "$T/half.got")" = early ] || die "nc lost what it sent"
# what cannot be is said
for bad in "b 7999" "nobody-there 22" "192.0.2.9 22"; do
	rc=0; in_ns a timeout 120 "$T/tailpod" --socket="$T/a.sock" nc $bad < /dev/null > "$T/nc.out" 2> "$T/nc.err" || rc=$?
	[ $rc = 1 ] && [ -s "$T/nc.err" ] && [ ! -s "$T/nc.out" ] || die "nc $bad: $rc $(cat "$T/nc.err")"
	echo "nc $bad: $(cat "$T/nc.err")"
done
# what is no node is dialed by the stock CLI itself
start a plain socat TCP-LISTEN:7002,bind="$IP_a",reuseaddr SYSTEM:"echo plain"
until_ok 30 listens a 7002
[ "$(in_ns a timeout 60 "$PEERS/tailscale" --socket="$T/a.sock" nc "$IP_a" 7002 < <(sleep 2))" = plain ] || die "the stock CLI does not dial itself"
say "half-close and refusals of nc"

# a session that says nothing for ten minutes, either way
idle() { SSH_SECONDS=$((${MINUTES:-10} * 60 + 120)) login "$1" "$2" "$3" "echo begun; read -r x; echo \"still \$x\"" < <(sleep $((${MINUTES:-10} * 60 + 2)); echo here); }
idle a b "$ours" > "$T/idle.ours" & P1=$!
idle a b "$stock" > "$T/idle.stock" & P2=$!
idle b a "$PEERS/tailscale --socket=$T/b.sock nc %h %p" > "$T/idle.in" & P3=$!
for p in "$P1" "$P2" "$P3"; do wait "$p" || die "a silent session broke: $(tail -n 2 "$T"/idle.*)"; done
for f in ours stock in; do [ "$(tr '\n' ' ' < "$T/idle.$f")" = "begun still here " ] || die "$f: $(cat "$T/idle.$f")"; done
say "three sessions are alive after ${MINUTES:-10} silent minutes"
