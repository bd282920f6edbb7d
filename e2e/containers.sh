# e2e/containers.sh - a container engine inside a host of lib.sh, and images out of build/bin; sourced after lib.sh
#
# Podman runs in the network name space of the host, with storage of its own under $T; Docker Compose talks to its socket.
# No registry is asked: images are made from scratch, by the instructions that the Dockerfile ends in.

engine_stop() {
	[ -n "${ENGINE:-}" ] || return 0
	[ -z "${DOCKERD:-}" ] || docker_stop
	pod_man rm -f -a -t 0 > /dev/null 2>&1
	pod_man volume rm -f -a > /dev/null 2>&1
	umount -l "$T/storage/overlay" 2> /dev/null
	return 0
}
# containers end before their network does
trap 'RC=$?; set +e; trap - ERR; engine_stop; (exit $RC); cleanup' EXIT

# engine HOST: on that host from now on
engine() {
	command -v podman > /dev/null || { echo "needs podman: run e2e/setup"; exit 77; }
	need_peer docker-compose # not the distribution's, which may be version 1
	ENGINE=$1
	COMPOSE=$PEERS/docker-compose
	in_ns "$ENGINE" sysctl -qw net.ipv4.ip_forward=1
	# without systemd nobody runs health checks: health() does
	export DISABLE_HC_SYSTEMD=true
	[ ! -r "${PEERS%/bin}/etc/containers.conf" ] || export CONTAINERS_CONF=${PEERS%/bin}/etc/containers.conf
	# not by in_engine: the pid is to be that of podman
	nsenter --net="/run/netns/tp$ID-$ENGINE" podman --root "$T/storage" --runroot "$T/run" system service --time 0 \
		"unix://$T/podman.sock" > "$T/podman.log" 2>&1 < /dev/null &
	until_ok 40 test -S "$T/podman.sock"
}
# not `ip netns exec`, whose /sys has no cgroups
in_engine() { nsenter --net="/run/netns/tp$ID-$ENGINE" "$@"; }
pod_man() { in_engine podman --root "$T/storage" --runroot "$T/run" "$@"; }
# eng: the engine that Compose works with, by its command line
eng() { if [ -n "${DOCKERD:-}" ]; then in_engine env DOCKER_HOST="unix://$T/docker.sock" "$DOCKER" "$@"; else pod_man "$@"; fi; }
compose() { in_engine env DOCKER_HOST="unix://$T/$([ -n "${DOCKERD:-}" ] && echo docker || echo podman).sock" "$@"; }

# docker_engine HOST: dockerd on the host where podman is, from now on; its files under $T, its mounts in a name space of their own, so
# that nothing of it is left
docker_engine() {
	local p
	for p in dockerd containerd runc iptables; do command -v $p > /dev/null || { echo "needs $p: run e2e/setup"; exit 77; }; done
	DOCKER=/usr/bin/docker
	mkdir -p "$T/docker"
	printf '{"hosts":["unix://%s/docker.sock"],"data-root":"%s/docker/data","exec-root":"/run/docker","pidfile":"/run/docker.pid","cgroup-parent":"/tp%s","exec-opts":["native.cgroupdriver=cgroupfs"],"live-restore":false,"dns":["127.0.0.1"]}\n' \
		"$T" "$T" "$ID" > "$T/docker/daemon.json"
	nsenter --net="/run/netns/tp$ID-$1" unshare --mount --propagation private bash -c 'mount -t tmpfs none /run && exec dockerd --config-file "$0"' "$T/docker/daemon.json" \
		> "$T/dockerd.log" 2>&1 < /dev/null &
	DOCKERD=$!
	until_ok 60 eng info
}
docker_stop() {
	local d _
	eng ps -aq | xargs -r env DOCKER_HOST="unix://$T/docker.sock" "$DOCKER" rm -f > /dev/null 2>&1
	kill "$DOCKERD" 2> /dev/null
	for _ in $(seq 100); do kill -0 "$DOCKERD" 2> /dev/null || break; sleep 0.1; done
	kill -9 "$DOCKERD" 2> /dev/null
	wait "$DOCKERD" 2> /dev/null
	for d in /sys/fs/cgroup/tp$ID /sys/fs/cgroup/*/tp$ID; do [ ! -d "$d" ] || find "$d" -depth -type d -exec rmdir {} + 2> /dev/null; done
}
# image containerboot|cluster TAG: the Dockerfile's last stage of that name, over programs that are built already
image() {
	local dir=$T/image-$1
	tools/image-root "$1" "$BIN" "$dir"
	sed -n "/^FROM scratch AS $1\$/,/^ENTRYPOINT/p" Dockerfile | sed "s|^COPY --from=[^ ]* /image/ |COPY . |" > "$T/Dockerfile.$1"
	grep -q '^COPY . /' "$T/Dockerfile.$1" || die "the Dockerfile has changed its form"
	pod_man build -q --timestamp 0 -f "$T/Dockerfile.$1" -t "localhost/$2" "$dir" > /dev/null
}
# web_image TAG: a web server on port 80, one static program
web_image() {
	mkdir -p "$T/web"
	cat > "$T/web/web.c" <<-'END'
	#include <arpa/inet.h>
	#include <signal.h>
	#include <stdio.h>
	#include <stdlib.h>
	#include <string.h>
	#include <unistd.h>
	int main(void)
	{
		static const char page[] = "HTTP/1.0 200 OK\r\nContent-Length: 20\r\n\r\nhello from compose\r\n";
		struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(80) };
		int s = socket(AF_INET, SOCK_STREAM, 0), on = 1, c;
		char in[4096];

		signal(SIGTERM, exit);
		setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
		if (bind(s, (struct sockaddr *)&at, sizeof at) < 0 || listen(s, 16) < 0)
			return perror("web"), 1;
		while ((c = accept(s, NULL, NULL)) >= 0) {
			if (read(c, in, sizeof in) > 0 && write(c, page, strlen(page)) < 0)
				perror("write");
			close(c);
		}
		return 1;
	}
	END
	gcc -O1 -static -o "$T/web/web" "$T/web/web.c"
	printf 'FROM scratch\nCOPY web /web\nENTRYPOINT ["/web"]\n' > "$T/web/Dockerfile"
	pod_man build -q -t "localhost/$1" "$T/web" > /dev/null
}
# health CONTAINER...: runs their checks until the test ends
health() {
	local c
	[ -z "${DOCKERD:-}" ] || return 0 # dockerd does
	(
		while :; do
			for c in "$@"; do pod_man healthcheck run "$c" > "$T/health.out" 2>&1 || true; done
			sleep 1
		done
	) &
}
