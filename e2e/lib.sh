# e2e/lib.sh - hosts in network namespaces, real peers in them, ours beside; sourced by e2e/t-*.sh and tests/netns/t-*.sh
#
#   hub (bridge) --+-- hs       Headscale with relay and STUN      10.77.0.1  fd77::1
#                  +-- a, b ..  one host each                      10.77.0.N  fd77::N
#
# Everything lives in $T (a temporary directory) and in namespaces named after it; a trap ends this shell's children and what else is in
# the namespaces, and removes them. Needs root: without it a test says so and exits 77.
# With HERE=ADDRESS there are no namespaces: every host is this machine, at that address, and no root is needed (e2e/kind/run).
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
unset SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE # the laboratory's authority is the only one
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY # and no host of it is behind a proxy
umask 022 # other uids read some of the files
BIN=${BIN_DIR:-$ROOT/build/bin}
. "$ROOT/e2e/peers.sh"
[ -n "${HERE:-}" ] || [ "$(id -u)" = 0 ] || { echo "needs root (network namespaces)"; exit 77; }
[ -n "${HERE:-}" ] || ip netns list > /dev/null 2>&1 || { echo "needs ip netns"; exit 77; }
T=$(mktemp -d /tmp/tp-XXXXXX)
ID=${T##*-}
NS=()
STARTED=$(date +%s%N)
PATIENCE=${PATIENCE:-4}

# running: sets $running to what this test still runs. Never to what it once started: the numbers of processes that ended belong to others
# by now (there are 32,768 of them, and a suite uses them up in minutes).
running() { local n; running=$(jobs -rp); for n in "${NS[@]}"; do running+=" $(ip netns pids "$n" 2> /dev/null)"; done; running=$(echo $running); }
cleanup() {
	local rc=$? n i
	trap - EXIT ERR
	trap '' INT TERM
	set +e
	running; kill $running 2> /dev/null
	for ((i = 0; i < 10; i++)); do running; [ -n "$running" ] || break; sleep 0.2; done
	kill -9 $running 2> /dev/null
	wait 2> /dev/null
	if [ $rc != 0 ] && [ $rc != 77 ]; then
		for n in "$T"/*.log; do [ -s "$n" ] && { echo "--- $(basename "$n")"; tail -n 12 "$n" | cut -c1-400; }; done
		# the reason has the last word, however long the logs are
		echo "--- why, after $((($(date +%s%N) - STARTED) / 1000000000)) s:"
		tail -n 12 "$T/why" 2> /dev/null | cut -c1-400 | grep . || echo "exit $rc without a word"
	fi
	for n in "${NS[@]}"; do ip netns del "$n" 2> /dev/null; rm -rf "/etc/netns/$n"; done
	[ -n "${KEEP:-}" ] || rm -rf "$T"
	exit $rc
}
trap cleanup EXIT
# why LINE...: a reason to fail; cleanup repeats the last of them at the end of the log
why() { printf '%s\n' "$@" | tee -a "$T/why"; }
# called_from: the lines that called the function it is used in
called_from() { local i; for ((i = 1; i < ${#BASH_SOURCE[@]} - 1; i++)); do printf ' < %s:%s' "${BASH_SOURCE[i + 1]##*/}" "${BASH_LINENO[i]}"; done; }
trap 'why "FAILED: ended by a signal at ${BASH_SOURCE[0]##*/}:$LINENO$(called_from): $BASH_COMMAND"; exit 1' INT TERM
# where a test failed is said before the trap cleans up
trap 'why "failed at ${BASH_SOURCE[0]##*/}:$LINENO$(called_from): $BASH_COMMAND"' ERR
set -E

say() { echo "[$((($(date +%s%N) - STARTED) / 1000000)) ms] $*"; }
die() { why "FAILED: $*$(called_from)"; exit 1; }
# uptime_s: seconds of a clock that nobody sets, in $UP
uptime_s() { read -r UP _ < /proc/uptime; UP=${UP%.*}; }
# within SECONDS COMMAND...: polls ten times a second
within() {
	local UP end
	uptime_s; end=$((UP + $1)); shift
	until "$@" > "$T/until.out" 2>&1; do
		uptime_s
		[ "$UP" -lt "$end" ] || { why "gave up waiting for: $*$(called_from)" "$(tail -n 5 "$T/until.out")"; return 1; }
		sleep 0.1
	done
}
# until_ok SECONDS COMMAND...: SECONDS of a machine that does nothing else, a busy one has $PATIENCE times as many
until_ok() { within $(($1 * PATIENCE)) "${@:2}"; }

# --- hosts ---

n_hosts=0
hub() {
	[ -z "${HUB:-}" ] || return 0
	HUB=tp$ID-hub
	ip netns add "$HUB"; NS+=("$HUB")
	ip -n "$HUB" link set lo up
	ip -n "$HUB" link add br0 type bridge
	ip -n "$HUB" link set br0 up
}
# host NAME [4|6|46]: a namespace with an address on the hub; address in $IP_NAME and $IP6_NAME (_ for -)
host() {
	local name=$1 ns=tp$ID-$1 family=${2:-46}
	[ -z "${HERE:-}" ] || { eval "IP_$name=$HERE IP6_$name="; return; }
	hub
	n_hosts=$((n_hosts + 1))
	ip netns add "$ns"; NS+=("$ns")
	ip -n "$ns" link set lo up
	ip -n "$ns" link add eth0 type veth peer name "v$n_hosts" netns "$HUB"
	ip -n "$HUB" link set "v$n_hosts" master br0 up
	ip netns exec "$ns" sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth0.accept_ra=0 \
		net.ipv4.conf.eth0.promote_secondaries=1 || true # a second address outlives the first
	ip -n "$ns" link set eth0 up
	case $family in *4*) ip -n "$ns" addr add "10.77.0.$n_hosts/24" dev eth0 ;; esac
	case $family in *6*) ip -n "$ns" addr add "fd77::$n_hosts/64" dev eth0 nodad ;; *) in_ns "$name" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 ;; esac
	eval "IP_${name//-/_}=10.77.0.$n_hosts IP6_${name//-/_}=fd77::$n_hosts"
}
in_ns() { local ns=tp$ID-$1; shift; [ -z "${HERE:-}" ] || { "$@"; return; }; ip netns exec "$ns" "$@"; }
# start HOST LOGNAME COMMAND...: in the background; its pid in $PID
start() {
	local ns=tp$ID-$1 log=$T/$2.log fd; shift 2
	: > "$log"
	exec {fd}>> "$log" # open before it starts: the file may be moved at once
	if [ -n "${HERE:-}" ]; then "$@" >&"$fd" 2>&1 < /dev/null {fd}>&- & else ip netns exec "$ns" "$@" >&"$fd" 2>&1 < /dev/null {fd}>&- & fi
	PID=$!
	exec {fd}>&-
}
# stop PID: a child ends, if need be after half a minute by force
stop() { kill "$1" 2> /dev/null || true; for _ in $(seq 1 600); do kill -0 "$1" 2> /dev/null || return 0; sleep 0.05; done; kill -9 "$1" 2> /dev/null || true; wait "$1" || true; }

# --- streams under trouble ---

# stream NAME HOST ADDRESS: a download of /big from port 8000 of ADDRESS through the node of HOST at an even $RATE (3 MB/s), until arrived()
# asks for the rest: what is to happen under it may take as long as it likes
stream() {
	rm -f "$T/$1.record.rest"
	start "$2" "$1-stream" python3 e2e/stream.py 1055 "$3" 8000 /big "${RATE:-3000000}" "$T/$1.record"
	eval "STREAM_$1=$PID"
}
# gap NAME SINCE: the longest time in milliseconds without a byte from SINCE (date +%s%N) until now
gap() { awk -v since="$2" -v now="$(date +%s%N)" 'BEGIN {last = since} $1 >= since {if ($1 - last > max) max = $1 - last; last = $1} END {if (now - last > max) max = now - last; printf "%d\n", max / 1e6}' "$T/$1.record"; }
# moves NAME: bytes arrive
moves() { local s; s=$(wc -l < "$T/$1.record"); sleep 0.5; [ "$(wc -l < "$T/$1.record")" -gt "$s" ]; }
# back NAME SINCE LIMIT WHAT: waits until bytes arrive again, prints the longest gap since SINCE, which is at most LIMIT seconds of a
# machine that does nothing else
back() {
	local g
	sleep 1
	until_ok "$3" moves "$1" || die "$1 does not come back after $4"
	sleep 1
	g=$(gap "$1" "$2")
	echo "figure: $(basename "$0" .sh): $1, $4: longest silence $g ms"
	[ "$g" -le $(($3 * PATIENCE * 1000 + 1500)) ] || die "$1 is silent for $g ms after $4"
}
# arrived NAME: it ended well and the checksum is right
arrived() {
	local rc=0 pid
	: > "$T/$1.record.rest"
	eval "pid=\$STREAM_$1"
	wait "$pid" || rc=$?
	[ "$rc" = 0 ] || die "$1 broke: $(cat "$T/$1-stream.log")"
	[ "$(cat "$T/$1-stream.log")" = "$sum" ] || die "$1 is damaged"
}

# --- certificates: one authority for the laboratory in $CA ---

authority() {
	CA=$T/ca.crt
	[ -e "$CA" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=laboratory" \
		-addext "basicConstraints=critical,CA:TRUE" -keyout "$T/ca.key" -out "$CA" > /dev/null 2>&1
}
# certificate FILE NAMES: FILE.crt and FILE.key for names such as IP:10.0.0.1,DNS:x
certificate() {
	authority
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=${2#*:}" -keyout "$1.key" -out "$1.csr" > /dev/null 2>&1
	openssl x509 -req -in "$1.csr" -CA "$CA" -CAkey "$T/ca.key" -CAcreateserial -days 30 -out "$1.crt" \
		-extfile <(printf 'subjectAltName=%s\n' "$2") > /dev/null 2>&1
}

# --- relays ---

RELAYS=()
# relay NAME [REGION]: a derper with STUN on a host of its own, used by a headscale that starts later; $PID_NAME
relay() {
	local h=$1 ip
	need_peer derper
	host "$h"
	eval "ip=\$IP_$h REGION_$h=${2:-$((901 + ${#RELAYS[@]}))}"
	mkdir -p "$T/$h.certs"
	certificate "$T/$h.certs/$h.test" "IP:$ip,DNS:$h.test"
	RELAYS+=("$h")
	relay_start "$h"
}
relay_start() {
	start "$1" "$1" "$PEERS/derper" -a :8443 -http-port -1 -stun-port 3478 -hostname "$1.test" -certmode manual -certdir "$T/$1.certs" -c "$T/$1.json"
	eval "PID_$1=$PID"
	until_ok 60 in_ns "$1" curl -sk -o /dev/null --resolve "$1.test:8443:127.0.0.1" "https://$1.test:8443/"
}
# derp_region HOST REGION DERPPORT CERTNAME: an entry of a DERP map
derp_region() {
	local ip ip6
	eval "ip=\$IP_$1 ip6=\$IP6_$1"
	cat <<-END
	  $2:
	    regionid: $2
	    regioncode: $1
	    regionname: "Region $1"
	    nodes:
	      - {name: ${2}a, regionid: $2, hostname: "${4:-$ip}", ipv4: "$ip", ipv6: "${ip6:-none}", stunport: 3478, derpport: $3}
	END
}

# --- Headscale ---

# headscale [--policy FILE] [--fast]: on host hs, TLS; its own relay and STUN (region 999), or the relays that relay() made;
# sets URL, CA, HS_PID. With CONTROL=coordinator in the environment it is our coordinator that stands there, and hs_cli asks that.
headscale() {
	local policy= fast= map= own=true hsbin=${HEADSCALE:-headscale} r region
	while [ $# -gt 0 ]; do case $1 in --policy) policy=$2; shift 2 ;; --fast) fast=1; shift ;; *) die "headscale: $1" ;; esac; done
	[ "${CONTROL:-headscale}" = coordinator ] || need_peer "$hsbin"
	host hs
	HS_DIR=$T/hs; mkdir -p "$HS_DIR"
	URL=https://$IP_hs:8443
	certificate "$HS_DIR/tls" "IP:$IP_hs,${IP6_hs:+IP:$IP6_hs,}DNS:localhost"
	echo regions: > "$HS_DIR/derp.yaml"
	if [ ${#RELAYS[@]} = 0 ]; then
		derp_region hs 999 8443 >> "$HS_DIR/derp.yaml"
	else
		own=false
		for r in "${RELAYS[@]}"; do eval "region=\$REGION_$r"; derp_region "$r" "$region" 8443 "$r.test" >> "$HS_DIR/derp.yaml"; done
	fi
	if [ "${CONTROL:-headscale}" = coordinator ]; then
		[ $own = true ] || map="map: $HS_DIR/derp.yaml,"
		cat > "$HS_DIR/config.yaml" <<-END
		state_directory: $HS_DIR/state
		listen: "[::]:8443"
		server_url: $URL
		tls: {mode: files, certificate: $HS_DIR/tls.crt, key: $HS_DIR/tls.key}
		base_domain: tail.test
		ephemeral_timeout: 70s
		key_expiry: 0
		derp: {enabled: $own, $map region_id: 999, region_code: hs, region_name: Region hs}
		policy: {path: "$policy"}
		END
		CO_DIR=$HS_DIR
		headscale_start
		hs_cli users create test > /dev/null
		return
	fi
	cat > "$HS_DIR/config.yaml" <<-END
	server_url: $URL
	listen_addr: "[::]:8443"
	metrics_listen_addr: ""
	grpc_listen_addr: 127.0.0.1:50443
	tls_cert_path: $HS_DIR/tls.crt
	tls_key_path: $HS_DIR/tls.key
	noise: {private_key_path: $HS_DIR/noise.key}
	prefixes: {v4: 100.64.0.0/10, v6: "fd7a:115c:a1e0::/48", allocation: sequential}
	derp:
	  server:
	    enabled: $own
	    region_id: 999
	    region_code: hs
	    region_name: Region hs
	    stun_listen_addr: "[::]:3478"
	    private_key_path: $HS_DIR/derp.key
	    automatically_add_embedded_derp_region: false
	    verify_clients: true
	  urls: []
	  paths: [$HS_DIR/derp.yaml]
	  auto_update_enabled: false
	disable_check_updates: true
	ephemeral_node_inactivity_timeout: 70s
	node: {expiry: 0, ephemeral: {inactivity_timeout: 70s}}
	database: {type: sqlite, sqlite: {path: $HS_DIR/db.sqlite, write_ahead_log: true}}
	log: {level: info, format: text}
	policy: {mode: file, path: "$policy"}
	dns: {magic_dns: true, base_domain: tail.test, override_local_dns: false, nameservers: {global: []}}
	unix_socket: $HS_DIR/hs.sock
	unix_socket_permission: "0700"
	logtail: {enabled: false}
	END
	[ -z "$fast" ] || echo 'tuning: {node_store_batch_timeout: 2ms, batch_change_delay: 5ms}' >> "$HS_DIR/config.yaml"
	headscale_start
	hs_cli users create test > /dev/null
}
headscale_start() {
	if [ "${CONTROL:-headscale}" = coordinator ]; then
		start hs headscale "$BIN/coordinator" serve --config "$HS_DIR/config.yaml"
	else
		start hs headscale "$PEERS/${HEADSCALE:-headscale}" -c "$HS_DIR/config.yaml" serve
	fi
	HS_PID=$PID
	until_ok 60 hs_cli users list
}
hs_cli() {
	[ "${CONTROL:-headscale}" != coordinator ] || { co_as_hs "$@"; return; }
	in_ns hs "$PEERS/${HEADSCALE:-headscale}" -c "$HS_DIR/config.yaml" "$@" 2>> "$T/hs-cli.log"
}
# co_as_hs WORDS...: what the tests ask of Headscale's CLI, asked of ours, and its JSON in Headscale's words
co_as_hs() {
	local id= routes= verb="$1 $2"; shift 2
	if [ "$verb" = "users create" ]; then co_cli users create "$@"; return; fi
	while [ $# -gt 0 ]; do case $1 in -i | --identifier) id=$2; shift 2 ;; -r | --routes) routes=$2; shift 2 ;; -o) shift 2 ;; --force) shift ;; *) die "hs_cli: $verb $1" ;; esac; done
	case $verb in
	"users list") co_cli users list ;;
	"nodes list" | "nodes list-routes")
		co_cli nodes list -o json | jq 'def snake: gsub("(?<c>[A-Z])"; "_" + (.c | ascii_downcase));
			def when: if . == null or startswith("0001") then null else {seconds: (sub("\\.[0-9]+Z$"; "Z") | fromdate)} end;
			[.nodes[] | with_entries(.key |= snake) | .id |= tonumber | .expiry |= when]' ;;
	"nodes expire") co_cli nodes expire "$id" ;;
	"nodes delete") co_cli nodes delete "$id" ;;
	"nodes approve-routes") co_cli nodes approve-routes "$id" --routes "$routes" ;;
	*) die "hs_cli: $verb" ;;
	esac
}
# authkey [--reusable] [--ephemeral] [--tags ...]: a pre-auth key on standard output
authkey() {
	if [ -n "${CO_DIR:-}" ]; then
		case "$*" in *--tags*) co_cli preauthkeys create "$@" ;; *) co_cli preauthkeys create --user test "$@" ;; esac
		return
	fi
	local user="--user 1" expiry="--expiration 1h"
	case "$*" in *--tags*) [ "${HEADSCALE:-headscale}" != headscale ] || user= ;; esac
	case "$*" in *--expiration*) expiry= ;; esac
	hs_cli preauthkeys create $user $expiry "$@" | tail -n 1
}

# --- our coordinator ---

# coordinator [YAML LINES]: on host co, TLS with a certificate of its own, relay and STUN; sets URL, CA, CO_PID. From then on
# authkey, addr and addr6 ask it.
coordinator() {
	[ -x "$BIN/coordinator" ] || die "build/bin/coordinator is not there: make"
	host co
	CO_DIR=$T/co; mkdir -p "$CO_DIR"
	URL=https://$IP_co:8443 CA=$CO_DIR/state/tls.crt
	cat > "$CO_DIR/config.yaml" <<-END
	state_directory: $CO_DIR/state
	listen: "$IP_co:8443"
	server_url: $URL
	tls: {mode: self}
	base_domain: tail.test
	ephemeral_timeout: 5s
	derp: {region_id: 999, region_code: lab, region_name: Laboratory}
	log_level: debug
	END
	printf '%s\n' "$@" >> "$CO_DIR/config.yaml"
	coordinator_start
	co_cli users create test > /dev/null
}
coordinator_start() {
	start co coordinator "$BIN/coordinator" serve --config "$CO_DIR/config.yaml"
	CO_PID=$PID
	until_ok 60 co_cli users list
}
# coordinator_alone [YAML LINES]: on loopback of this host, without TLS and STUN, for clients that only ask it; sets CO_URL, SERVER
coordinator_alone() {
	CO_DIR=$T/co$RANDOM; mkdir -p "$CO_DIR"
	local i
	for i in 1 2 3; do coordinator_at_random "$@" && return; done
	die "the coordinator does not start: $(tail -n 3 "$CO_DIR.log")"
}
coordinator_at_random() {
	local port=$((10000 + RANDOM % 20000)) # below those that the kernel gives to clients
	CO_URL=http://127.0.0.1:$port
	cat > "$CO_DIR/config.yaml" <<-END
	state_directory: $CO_DIR/state
	listen: "127.0.0.1:$port"
	server_url: $CO_URL
	base_domain: tail.test
	derp: {region_id: 999, region_code: lab, region_name: Lab, stun_listen: "off"}
	END
	printf '%s\n' "$@" >> "$CO_DIR/config.yaml"
	"$BIN/coordinator" serve --config "$CO_DIR/config.yaml" > "$CO_DIR.log" 2>&1 & SERVER=$!
	answers() { co_cli users list || ! kill -0 "$SERVER"; }
	until_ok 60 answers
	kill -0 "$SERVER" 2> /dev/null # another port if not: that one was somebody's
}
co_cli() { "$BIN/coordinator" --config "$CO_DIR/config.yaml" "$@"; }

# --- nodes ---

# tailscaled HOST [ARGS...]: the stock client; its socket is $T/HOST.sock
tailscaled() {
	local h=$1; shift
	need_peer "${TAILSCALED:-tailscaled}" tailscale
	mkdir -p "$T/$h.state"
	start "$h" "$h" env SSL_CERT_FILE="$CA" TS_NO_LOGS_NO_SUPPORT=true HOME="$T" "$PEERS/${TAILSCALED:-tailscaled}" \
		--statedir="$T/$h.state" --state="$T/$h.state/tailscaled.state" --socket="$T/$h.sock" \
		--tun="${TUN:-userspace-networking}" --port=41641 --socks5-server=127.0.0.1:1055 "$@"
	eval "PID_$h=$PID"
	until_ok 60 test -S "$T/$h.sock"
}
ts() { local h=$1; shift; in_ns "$h" env SSL_CERT_FILE="$CA" "$PEERS/tailscale" --socket="$T/$h.sock" "$@"; }
ts_up() { local h=$1 key=$2; shift 2; in_ns "$h" timeout 180 env SSL_CERT_FILE="$CA" "$PEERS/tailscale" --socket="$T/$h.sock" up --login-server="$URL" --authkey="$key" --hostname="$h" --accept-dns=false "$@"; }
# containerboot HOST KEY [VAR=VALUE...]: ours
containerboot() {
	local h=$1 key=$2; shift 2
	mkdir -p "$T/$h.state"
	start "$h" "$h" env SSL_CERT_FILE="${CA:-}" TS_AUTHKEY="$key" TS_LOGIN_SERVER="$URL" TS_HOSTNAME="$h" \
		TS_STATE_DIR="$T/$h.state" TS_SOCKET="$T/$h.sock" TS_SOCKS5_SERVER=127.0.0.1:1055 \
		TS_OUTBOUND_HTTP_PROXY_LISTEN=127.0.0.1:1055 TS_ENABLE_HEALTH_CHECK=true TS_ENABLE_METRICS=true "$@" "$BIN/containerboot"
	eval "PID_$h=$PID"
}
ready() { until_ok "${2:-60}" in_ns "$1" curl -sf --max-time 2 http://127.0.0.1:9002/healthz; }
# via HOST URL [CURL ARGS...]: through the SOCKS5 proxy of the node on that host, ours or stock
via() { local h=$1 url=$2; shift 2; in_ns "$h" curl -sS --max-time 120 --proxy socks5h://127.0.0.1:1055 "$@" "$url"; }
# addr HOST: the tailnet IPv4 address that Headscale gave a node
co_addr() { co_cli nodes list -o json | jq -r --arg n "$1" --argjson i "$2" '.nodes[] | select(.givenName == $n) | .ipAddresses[$i]'; }
addr() { [ -z "${CO_DIR:-}" ] || { co_addr "$1" 0; return; }; hs_cli nodes list -o json | jq -r --arg n "$1" '.[] | select(.given_name == $n or .name == $n) | .ip_addresses[0]'; }
addr6() { [ -z "${CO_DIR:-}" ] || { co_addr "$1" 1; return; }; hs_cli nodes list -o json | jq -r --arg n "$1" '.[] | select(.given_name == $n or .name == $n) | .ip_addresses[1]'; }
# web HOST PORT [ADDRESS]: a web server on loopback of a host that answers with the host's name; files under $T/HOST.www
web() {
	mkdir -p "$T/$1.www"
	echo "hello from $1" > "$T/$1.www/index.html"
	start "$1" "web-$1" python3 -m http.server --bind "${3:-127.0.0.1}" --directory "$T/$1.www" "$2"
	until_ok 60 in_ns "$1" curl -sf "http://127.0.0.1:$2/"
}
