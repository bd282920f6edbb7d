# headscale.sh - a real Headscale on loopback for one test; sourced. Needs $work (a directory of the test's own).
# headscale_start; then $HS_URL; hs ARGS... is its CLI; headscale_key [--ephemeral ...] prints a pre-auth key; headscale_stop, headscale_run (again).

PEERS_DIR=${PEERS_DIR:-$HOME/.cache/peers}
HS_BIN=$PEERS_DIR/bin/headscale
[ -x "$HS_BIN" ] || HS_BIN=$(command -v headscale || true)

free_port() {
	local p
	for _ in $(seq 20); do
		p=$((20000 + RANDOM % 30000))
		(exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || { echo "$p"; return 0; }
	done
	return 1
}

hs() { "$HS_BIN" -c "$work/hs/config.yaml" "$@"; }

headscale_run() { # with the configuration that is there
	local i
	timeout -k 5 "${HS_SECONDS:-1500}" "$HS_BIN" -c "$work/hs/config.yaml" serve >> "$work/hs/log" 2>&1 &
	HS_PID=$!
	for i in $(seq 600); do
		kill -0 $HS_PID 2>/dev/null || break
		[ -S "$work/hs/s" ] && hs users list > /dev/null 2>&1 && return 0
		sleep 0.1
	done
	headscale_stop
	return 1
}

headscale_start() {
	local port stun grpc
	[ -n "$HS_BIN" ] || { echo "no headscale in $PEERS_DIR/bin nor in PATH"; exit 77; }
	mkdir -p "$work/hs"
	for _ in 1 2 3; do
		port=$(free_port) stun=$(free_port) grpc=$(free_port)
		cat > "$work/hs/derp.yaml" <<-END
		regions:
		  999:
		    regionid: 999
		    regioncode: loop
		    regionname: Loopback
		    nodes:
		      - {name: 999a, regionid: 999, hostname: 127.0.0.1, ipv4: 127.0.0.1, ipv6: none, derpport: $port, stunport: $stun, insecurefortests: true}
		END
		cat > "$work/hs/config.yaml" <<-END
		server_url: http://127.0.0.1:$port
		listen_addr: 127.0.0.1:$port
		metrics_listen_addr: ""
		grpc_listen_addr: 127.0.0.1:$grpc
		noise: {private_key_path: $work/hs/noise.key}
		prefixes: {v4: 100.64.0.0/10, v6: "fd7a:115c:a1e0::/48", allocation: sequential}
		derp:
		  server:
		    enabled: true
		    region_id: 999
		    region_code: loop
		    region_name: Loopback
		    verify_clients: true
		    stun_listen_addr: 127.0.0.1:$stun
		    private_key_path: $work/hs/derp.key
		    automatically_add_embedded_derp_region: false
		  urls: []
		  paths: [$work/hs/derp.yaml]
		  auto_update_enabled: false
		disable_check_updates: true
		node: {expiry: 0, ephemeral: {inactivity_timeout: 66s}}
		database: {type: sqlite, sqlite: {path: $work/hs/db.sqlite}}
		log: {level: info, format: text}
		policy: {mode: ${HS_POLICY_MODE:-file}, path: "${HS_POLICY:-}"}
		dns: {magic_dns: true, base_domain: tail.test, override_local_dns: false, nameservers: {global: []}}
		unix_socket: $work/hs/s
		unix_socket_permission: "0700"
		logtail: {enabled: false}
		${HS_EXTRA:-}
		END
		HS_URL=http://127.0.0.1:$port
		headscale_run && { hs users create test > /dev/null 2>&1; return 0; }
	done
	tail -n 20 "$work/hs/log"
	echo "headscale does not start"
	return 1
}

headscale_key() { hs preauthkeys create --user 1 --expiration 24h "$@" 2>/dev/null | grep -E '^[A-Za-z0-9_-]{20,}$' | head -n 1; }

headscale_stop() { # by the pid it was started with
	[ -z "${HS_PID:-}" ] || { kill "$HS_PID" 2>/dev/null; wait "$HS_PID" 2>/dev/null; }
	HS_PID=
}
