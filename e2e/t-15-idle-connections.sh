#!/bin/bash
# 10,000 idle connections (CONNECTIONS) through the SOCKS5 proxy of one of ours, the tailnet and another of ours to a program on its
# host: all open, all alive after SECONDS of silence (30); memory for each at both ends is printed, and all goes back after.
# waits: 130
. "$(dirname "$0")/lib.sh"
N=${CONNECTIONS:-10000}
hard=$(ulimit -Hn)
[ "$hard" = unlimited ] || [ "$hard" -gt $((N + 1000)) ] || ulimit -Hn $((N + 2000)) 2> /dev/null || N=$((hard - 300)) # as many as may be
[ "$N" -ge 500 ] || { echo "needs more open files than $hard"; exit 77; }
headscale --fast
host a; host b
key=$(authkey --reusable)
containerboot b "$key"; containerboot a "$key"
ready a; ready b
ip_b=$(addr b)
start b serve python3 e2e/many.py serve 7007
listens() { in_ns b ss -ltn | grep -q ":7007 "; }
until_ok 30 listens
# anonymous memory and all that is resident, in KiB
memory() { awk '/^Anonymous:/ {a = $2} /^Rss:/ {r = $2} END {print a, r}' "/proc/$1/smaps_rollup"; }
until_ok 40 ts a ping -c 1 --timeout 3s "$ip_b"
sleep 8 # what starting needed goes back first
read -r a0 ra0 <<< "$(memory "$PID_a")"; read -r b0 rb0 <<< "$(memory "$PID_b")"
mkfifo "$T/tell"
ip netns exec "tp$ID-a" python3 e2e/many.py open 1055 "$ip_b" 7007 "$N" < "$T/tell" > "$T/told" 2> "$T/open.log" &
OPENER=$!
exec 7> "$T/tell"
until_ok 240 grep -qx "open $N" "$T/told"
say "$N connections are open and have spoken"
sleep "${SECONDS_IDLE:-30}"
read -r a1 ra1 <<< "$(memory "$PID_a")"; read -r b1 rb1 <<< "$(memory "$PID_b")"
figure() { echo "figure: $(basename "$0" .sh): $1: $(($3 - $2)) KiB more anonymous memory ($4 to $5 KiB resident), $(((($3 - $2) * 1024) / N)) bytes for each of $N idle connections"; }
figure "the node that proxies" "$a0" "$a1" "$ra0" "$ra1"
figure "the node that forwards inbound" "$b0" "$b1" "$rb0" "$rb1"
[ $((a1 - a0)) -lt $((N * 16)) ] && [ $((b1 - b0)) -lt $((N * 16)) ] || die "more than 16 KiB for an idle connection"
echo >&7
until_ok 120 grep -qx "alive $N" "$T/told"
say "all are alive after ${SECONDS_IDLE:-30} silent seconds"
kill -0 "$PID_a" && kill -0 "$PID_b" || die "a node ended"
in_ns a curl -sf http://127.0.0.1:9002/healthz > /dev/null || die "the proxying node is unwell"
exec 7>&-
wait "$OPENER"
# everything goes back, once TIME-WAIT is over
back() { read -r a2 _ <<< "$(memory "$PID_a")"; read -r b2 _ <<< "$(memory "$PID_b")"; [ $((a2 - a0)) -lt 4096 ] && [ $((b2 - b0)) -lt 4096 ]; }
until_ok 150 back || die "memory stays: $((a2 - a0)) and $((b2 - b0)) KiB"
echo "figure: $(basename "$0" .sh): after all have closed: $((a2 - a0)) and $((b2 - b0)) KiB above the start"
