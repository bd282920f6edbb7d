#!/bin/bash
# Control servers that are none: a name that does not exist, nobody there, a certificate that is not trusted or of another host, a
# web server, 404 on /key, another control key than the pinned one, a packet sink. One clear line within ten seconds each, then
# tries go on until TS_BOOT_TIMEOUT, and the exit code is 1. One that becomes right in time is joined.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
headscale
host a; host w
key=$(authkey --reusable)
web w 8000                                                       # a web server: 404 on /key
certificate "$T/other" "DNS:other.example"
start w sink socat TCP-LISTEN:8001,fork,reuseaddr SYSTEM:"sleep 60" # takes connections and says nothing
start w junk socat TCP-LISTEN:8002,fork,reuseaddr SYSTEM:"printf 'SSH-2.0-x\\\\r\\\\n'; sleep 1"
start w html socat TCP-LISTEN:8003,fork,reuseaddr SYSTEM:"printf 'HTTP/1.1 200 OK\\\\r\\\\nContent-Length: 5\\\\r\\\\n\\\\r\\\\nhello'; sleep 1"
start w web0 socat TCP-LISTEN:8000,fork,reuseaddr,bind="$IP_w" TCP:127.0.0.1:8000
start w tls socat OPENSSL-LISTEN:8443,fork,reuseaddr,cert="$T/other.crt",key="$T/other.key",verify=0 TCP:127.0.0.1:8000
cases=(
	"name|https://no-such-host.invalid:8443|resolve|look"
	"refused|http://$IP_w:9|refused"
	"away|http://10.77.0.250:80|unreachable|No route|timed out|no answer|within"
	"certname|https://$IP_w:8443|certificate"
	"notfound|http://$IP_w:8000|404"
	"sink|http://$IP_w:8001|within|no answer|timed out"
	"junk|http://$IP_w:8002|not|answer"
	"html|http://$IP_w:8003|not a control|key"
	"untrusted|$URL|certificate"
	"pinned|$URL|pinned"
	"http|http://$IP_hs:8443|status 400 to /key by plain HTTP: write https://"
)
i=0
for c in "${cases[@]}"; do
	IFS='|' read -r name url pattern <<< "$c"
	env=()
	case $name in
	untrusted) env=(SSL_CERT_FILE="$T/other.crt") ;;
	pinned) env=(TS_CONTROL_KEY="mkey:$(printf '12%.0s' $(seq 32))") ;;
	esac
	containerboot a "$key" TS_LOGIN_SERVER="$url" TS_STATE_DIR="$T/$name.state" TS_SOCKET="$T/$name.sock" \
		TS_SOCKS5_SERVER=127.0.0.1:$((2000 + i)) TS_OUTBOUND_HTTP_PROXY_LISTEN= TS_LOCAL_ADDR_PORT=127.0.0.1:$((3000 + i)) TS_BOOT_TIMEOUT=14s "${env[@]}"
	mv "$T/a.log" "$T/bad-$name.log"
	eval "P_$name=$PID_a"
	i=$((i + 1))
done
for c in "${cases[@]}"; do
	name=${c%%|*} rc=0
	eval "wait \$P_$name" || rc=$?
	[ "$rc" = 1 ] || die "$name left with $rc"
done
# by the times in their own logs: a busy machine looks late
ms() { date -d "${1%% *}" +%s%3N; }
for c in "${cases[@]}"; do
	IFS='|' read -r name url pattern <<< "$c"
	log=$T/bad-$name.log
	began=$(ms "$(head -n 1 "$log")") n=0
	: > "$T/early"
	while read -r line; do [ $(($(ms "$line") - began)) -gt 10000 ] || { n=$((n + 1)); echo "$line" >> "$T/early"; }; done < <(grep -E ' (warn|error) ' "$log")
	echo "$name: $(head -n 3 "$T/early" | cut -c1-240)"
	grep -Eiq "$pattern" "$T/early" || die "$name does not say what is wrong within 10 s: $(cat "$log")"
	[ "$n" -le 2 ] || die "$name says $n lines: $(cat "$log")"
	grep -qF "$key" "$log" && die "$name shows the key"
	line=$(grep 'not running after 14 s' "$log") || die "$name does not say why it left"
	[ $(($(ms "$line") - began)) -ge 13500 ] || die "$name gave up before TS_BOOT_TIMEOUT"
done
say "one line each within ten seconds, and all left with 1 at the boot timeout"

# control comes late: it is joined
kill "$HS_PID"; wait "$HS_PID" 2> /dev/null || true
containerboot a "$key" TS_BOOT_TIMEOUT=60s
sleep 6
headscale_start
ready a 40
say "a control server that came late"
