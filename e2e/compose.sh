# e2e/compose.sh - examples/compose as they stand, with local images, under the engine of containers.sh; sourced after it
#
# A sidecar shares its network with a web app and a stock tailscaled on another host fetches the page; read-only root, no capability, the
# engine's seccomp; the same node after `restart`; any uid; then the same with a coordinator of its own.

up() { compose timeout -k 5 300 env TAILPOD_IMAGE=localhost/tailpod CLUSTER_IMAGE=localhost/tailpod-cluster WEB_IMAGE=localhost/web TS_LOGIN_SERVER="$URL" "$COMPOSE" --project-directory "$1" "${@:2}"; }

# the sidecar example on Headscale; a stock node on host b, the engine on host p
sidecar_example() {
	local dir ip_web pid
	dir=$T/sidecar; cp -r examples/compose/sidecar "$dir"
	authkey > "$dir/authkey"; chmod 644 "$dir/authkey"; chmod 755 "$T"
	cp "$CA" "$dir/ca.crt"; chmod 644 "$dir/ca.crt"
	# what the example leaves to the user: trust in the CA of this laboratory
	cat > "$dir/compose.override.yaml" <<-END
	services:
	  ts:
	    environment: {SSL_CERT_FILE: /etc/lab/ca.crt}
	    volumes: ["./ca.crt:/etc/lab/ca.crt:ro"]
	END
	health sidecar-ts-1
	up "$dir" up -d --wait --pull never > "$T/up.log" 2>&1 || { cat "$T/up.log"; eng ps -a; eng inspect sidecar-ts-1 | jq -c ".[0].State"; eng logs sidecar-ts-1; die "compose up"; }
	say "compose is up"
	tailscaled b; ts_up b "$(authkey)"
	ip_web=$(addr web)
	fetched() { via b "http://$1/" | grep -q "hello from compose"; }
	until_ok 40 fetched "$ip_web"
	until_ok 30 fetched web.tail.test
	say "a stock tailscaled fetches the page, by address and name"
	pid=$(eng inspect -f '{{.State.Pid}}' sidecar-ts-1)
	st() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$pid/status"; }
	[ "$(st CapEff)" = 0000000000000000 ] && [ "$(st NoNewPrivs)" = 1 ] && [ "$(st Seccomp)" = 2 ] || die "CapEff $(st CapEff) NoNewPrivs $(st NoNewPrivs) Seccomp $(st Seccomp)"
	[ "$(st Uid | cut -f1)" = 65532 ] || die "runs as $(st Uid)"
	eng exec sidecar-ts-1 tailscale status | grep -q "^$ip_web" || die "tailscale status in the container"
	eng exec sidecar-ts-1 tailpod ip -4 | grep -qx "$ip_web" || die "tailpod ip in the container"
	up "$dir" restart ts > "$T/up.log" 2>&1 || { cat "$T/up.log"; die "compose restart"; }
	until_ok 40 eval "eng exec sidecar-ts-1 tailpod healthcheck"
	[ "$(addr web)" = "$ip_web" ] && [ "$(hs_cli nodes list -o json | jq length)" = 2 ] || die "another node after the restart"
	up "$dir" restart web > "$T/up.log" 2>&1
	until_ok 40 fetched "$ip_web"
	say "the same node after a restart"
	up "$dir" down -v -t 5 > "$T/up.log" 2>&1 || { cat "$T/up.log"; die "compose down"; }
}

any_uid() {
	local dir=$T/sidecar
	# any uid, as platforms that choose one do
	eng run -d --name any --user 1000660000:0 --read-only --tmpfs /tmp --cap-drop all --security-opt no-new-privileges \
		-v "$dir/ca.crt:/ca.crt:ro" -e SSL_CERT_FILE=/ca.crt -e TS_AUTHKEY="$(authkey --ephemeral)" -e TS_LOGIN_SERVER="$URL" -e TS_HOSTNAME=any \
		-e TS_LOGOUT_ON_EXIT=true -e TS_ENABLE_HEALTH_CHECK=true localhost/tailpod > /dev/null
	until_ok 30 eng exec any tailpod healthcheck
	eng stop -t 60 any > /dev/null
	[ "$(eng inspect -f '{{.State.ExitCode}}' any)" = 0 ] || die "exit code of a stopped container"
	until_ok 30 eval '[ -z "$(addr any)" ]'
	eng rm any > /dev/null
	say "any uid; logged out at the end"
}

# the same with a coordinator of its own; the stock node is on host c
coordinator_example() {
	local dir ip_web
	# its URL is that of the host, as users give it to nodes elsewhere
	host c
	dir=$T/coordinator; cp -r examples/compose/coordinator "$dir"
	sed -i "s|^server_url:.*|server_url: http://$IP_p:8080|" "$dir/coordinator.yaml"
	chmod 644 "$dir/coordinator.yaml"
	export COORDINATOR_URL=http://$IP_p:8080
	touch "$dir/authkey"
	up "$dir" up -d --pull never coordinator > "$T/up.log" 2>&1 || { cat "$T/up.log"; die "compose up coordinator"; }
	co() { eng exec coordinator-coordinator-1 coordinator "$@"; }
	until_ok 40 co users create me
	co preauthkeys create --user me | tail -n 1 > "$dir/authkey"; chmod 644 "$dir/authkey"
	health coordinator-ts-1
	up "$dir" up -d --wait --pull never > "$T/up.log" 2>&1 || { cat "$T/up.log"; eng logs coordinator-ts-1; eng logs coordinator-coordinator-1; die "compose up"; }
	say "compose with a coordinator is up"
	mkdir -p "$T/c.state"
	start c stock env TS_NO_LOGS_NO_SUPPORT=true TS_DEBUG_USE_DERP_HTTP=1 HOME="$T" "$PEERS/tailscaled" --statedir="$T/c.state" \
		--state="$T/c.state/s" --socket="$T/c.sock" --tun=userspace-networking --socks5-server=127.0.0.1:1055
	until_ok 40 test -S "$T/c.sock"
	timeout 180 ip netns exec "tp$ID-c" "$PEERS/tailscale" --socket="$T/c.sock" up --login-server="$COORDINATOR_URL" \
		--authkey="$(co preauthkeys create --user me | tail -n 1)" --hostname=stock --accept-dns=false
	ip_web=$(co nodes list -o json | jq -r '.nodes[] | select(.givenName == "web" or .name == "web") | .ipAddresses[0]')
	[ -n "$ip_web" ] || { co nodes list -o json; die "the coordinator does not list the sidecar"; }
	page() { via c "http://$1/" | grep -q "hello from compose"; }
	until_ok 30 page "$ip_web"
	say "a stock tailscaled on the coordinator of the project fetches the page"
	up "$dir" down -v -t 5 > "$T/up.log" 2>&1 || { cat "$T/up.log"; die "compose down"; }
}
