# e2e/cluster.sh - a real Kubernetes of two nodes without a registry; sourced after e2e/lib.sh and e2e/kube.sh
#
#   host kube    etcd, kube-apiserver, kube-controller-manager, kube-scheduler, CoreDNS
#   host node1   containerd, kubelet, kube-proxy (nftables), routed pods of 10.244.1.0/24 behind a masquerade
#   host node2   the same with 10.244.2.0/24
#
# A node is a set of namespaces (mount, pid, uts, ipc, net) under one process: what it does to routes, rules, mounts and cgroups
# goes away with that. /etc, /opt and /var/lib are the machine's with a layer of the node's own on top; /run is its own.
#
#   cluster                  starts all of it, waits until both nodes are Ready; with FAMILIES=46 nodes, pods and Services have
#                            addresses of both families (fd00:244:0:N::/64, fd00:96::/112 beside those of IPv4)
#   node N COMMAND...        runs a command inside node N
#   load NAME:TAG...         images of ours, tailpod or tailpod-cluster, or busybox with curl, out of files, into both nodes' containerd;
#                            in a cluster of somebody else's by the command $LOAD, which gets an archive
#   app NAME                 a web server in the cluster as a Deployment and a Service on port 80; it answers "hello from NAME"
#   client NS/NAME [ANNOTATIONS [SPEC]]   a pod with curl in it; its annotations and more of its spec as YAML
#   helm ARGS...             with the cluster's credentials
#   in_pod NAMESPACE/POD COMMAND...

CG=/sys/fs/cgroup
NODES="1 2"
FAMILIES=${FAMILIES:-4}
[ -z "${HERE:-}" ] || NODES= # a cluster of somebody else's
trap 'RC=$?; set +e; trap - ERR; [ $RC = 0 ] || [ $RC = 77 ] || cluster_words; cluster_stop; (exit $RC); cleanup' EXIT

cluster_words() { # what a failed test wants to know
	kc get pods -A -o wide
	kc get events -A --sort-by=.lastTimestamp | tail -n 15
	local n p
	for n in $NODES; do
		[ -d "$T/node$n/log" ] || continue
		for p in "$T/node$n"/log/pods/*/*/*.log; do [ -f "$p" ] && { echo "--- node$n ${p#"$T/node$n/log/pods/"}"; tail -n 6 "$p" | cut -c1-300; }; done
		tail -n 5 "$T/node$n/log/init.log"
	done
} 2>&1

# --- cgroups: one directory for each node, in every v1 hierarchy or in the one v2 tree ---

cgroup_make() {
	local d
	if [ -e $CG/cgroup.controllers ]; then mkdir -p "$CG/$1"; return; fi
	for d in "$CG"/*/; do
		[ -e "${d}cgroup.procs" ] || continue
		mkdir -p "$d$1"
		[ ! -e "${d}cpuset.cpus" ] || { cat "${d}cpuset.cpus" > "$d$1/cpuset.cpus"; cat "${d}cpuset.mems" > "$d$1/cpuset.mems"; }
	done
}
cgroup_drop() { # ended processes leave their directories empty
	local d i
	for i in 1 2 3 4 5 6 7 8 9 10; do
		for d in "$CG" "$CG"/*/; do [ ! -d "$d/$1" ] || find "$d/$1" -depth -type d -exec rmdir {} + 2> /dev/null; done
		[ -n "$(find $CG -maxdepth 2 -name "$1")" ] || return 0
		sleep 0.3
	done
}

# --- a node ---

node_files() { # N
	local d=$T/node$1 ip node_ip pods6= route6= cidr=10.244.0.0/16
	eval "ip=\$IP_node$1 node_ip=\$IP_node$1"
	if [ "$FAMILIES" = 46 ]; then
		eval "node_ip=$ip,\$IP6_node$1"
		pods6=", [{\"subnet\": \"fd00:244:0:$1::/64\"}]" route6=', {"dst": "::/0"}' cidr=$cidr,fd00:244::/56
	fi
	mkdir -p "$d"/{etc,opt,lib}/{up,work} "$d"/{kubelet,containerd,log,conf}
	cat > "$d/conf/containerd.toml" <<-END
	version = 2
	root = "/var/lib/containerd"
	state = "/run/containerd"
	[grpc]
	  address = "/run/containerd/containerd.sock"
	[plugins."io.containerd.grpc.v1.cri"]
	  sandbox_image = "localhost/pause:e2e"
	  # without CAP_SYS_RESOURCE nobody may lower an oom_score_adj
	  restrict_oom_score_adj = true
	  [plugins."io.containerd.grpc.v1.cri".cni]
	    bin_dir = "/opt/cni/bin"
	    conf_dir = "/etc/cni/net.d"
	  [plugins."io.containerd.grpc.v1.cri".containerd]
	    default_runtime_name = "runc"
	    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
	      runtime_type = "io.containerd.runc.v2"
	      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
	        SystemdCgroup = false
	END
	cat > "$d/conf/10-pods.conflist" <<-END
	{"cniVersion": "1.0.0", "name": "pods", "plugins": [
	  {"type": "ptp", "ipMasq": true, "ipMasqBackend": "nftables",
	   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.$1.0/24"}]$pods6], "routes": [{"dst": "0.0.0.0/0"}$route6]}},
	  {"type": "portmap", "capabilities": {"portMappings": true}, "backend": "nftables"}]}
	END
	cat > "$d/conf/kubelet.yaml" <<-END
	apiVersion: kubelet.config.k8s.io/v1beta1
	kind: KubeletConfiguration
	address: $ip
	authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $T/pki/ca.crt}}
	authorization: {mode: Webhook}
	cgroupDriver: cgroupfs
	cgroupRoot: /tp$ID-node$1
	containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
	failCgroupV1: false
	failSwapOn: false
	oomScoreAdj: 0
	healthzPort: 0
	clusterDomain: cluster.local
	clusterDNS: [10.96.0.10]
	resolvConf: /run/node/resolv.conf
	rotateCertificates: false
	syncFrequency: 10s
	nodeStatusUpdateFrequency: 5s
	imageGCHighThresholdPercent: 100
	evictionHard: {memory.available: 50Mi, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%, imagefs.inodesFree: 0%}
	END
	cat > "$d/conf/kube-proxy.yaml" <<-END
	apiVersion: kubeproxy.config.k8s.io/v1alpha1
	kind: KubeProxyConfiguration
	mode: nftables
	clusterCIDR: $cidr
	hostnameOverride: node$1
	clientConnection: {kubeconfig: $T/kubeconfig-kube-proxy}
	conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
	oomScoreAdj: 0
	metricsBindAddress: ""
	healthzBindAddress: ""
	END
	echo "options ndots:5" > "$d/conf/resolv.conf"
	cat > "$d/conf/init" <<-END
	set -u
	hostname node$1
	cd "$d" || exit 1
	mount --make-rprivate /
	# sysfs shows the network namespace in which it was mounted; the cgroup tree lies on it and comes along
	mount -t tmpfs tmpfs /mnt && mkdir /mnt/cg && mount --rbind $CG /mnt/cg && mount -t sysfs sysfs /sys && mount --rbind /mnt/cg $CG && umount -l /mnt
	for m in etc:/etc opt:/opt lib:/var/lib; do
		mount -t overlay -o "lowerdir=\${m#*:},upperdir=\${m%%:*}/up,workdir=\${m%%:*}/work" overlay "\${m#*:}" || exit 1
	done
	# our copies of other network namespaces' mounts would keep those alive
	umount -R -l /run/netns 2> /dev/null
	mount -t tmpfs tmpfs /run
	mkdir -p /run/node /run/netns /run/lock /run/xtables /etc/cni/net.d /opt/cni/bin /var/lib/kubelet /var/lib/containerd
	cp conf/resolv.conf /run/node/
	# settings of the whole machine that kubelet wants changed: it finds them so, and nothing changes
	for s in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
		f=/run/node/\$(basename "\${s%=*}"); echo "\${s#*=}" > "\$f" && mount --bind "\$f" "/proc/sys/\${s%=*}"
	done
	mount --bind kubelet /var/lib/kubelet
	mount --bind containerd /var/lib/containerd
	mount --bind log /var/log
	mount --make-rshared /
	mkdir -p /var/log/pods
	rm -f /etc/cni/net.d/*
	cp conf/10-pods.conflist /etc/cni/net.d/
	cp $PEERS/cni/* /opt/cni/bin/
	sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	keep() { # runs a daemon, and again when it ends
		local l=\$1; shift
		while :; do "\$@" >> "log/\$l.log" 2>&1 < /dev/null; echo "\$l ended: \$?" >> log/init.log; sleep 1; done
	}
	keep containerd containerd --config "$d/conf/containerd.toml" &
	for i in \$(seq 100); do ctr version > /dev/null 2>&1 && break; sleep 0.1; done
	ctr -n k8s.io images import "$T/pause.tar" >> log/init.log 2>&1
	keep kubelet $PEERS/kubelet --kubeconfig "$T/kubeconfig-node$1" --config "$d/conf/kubelet.yaml" --hostname-override node$1 --node-ip $node_ip --cert-dir /var/lib/kubelet/pki &
	keep kube-proxy $PEERS/kube-proxy --config "$d/conf/kube-proxy.yaml" &
	wait
	END
}
node_start() { # N
	node_files "$1"
	cgroup_make "tp$ID-node$1"
	# not by `ip netns exec`, whose /sys has no cgroups
	nsenter --net="/run/netns/tp$ID-node$1" unshare --mount --uts --ipc --pid --fork --kill-child --mount-proc \
		bash "$T/node$1/conf/init" > "$T/node$1.log" 2>&1 < /dev/null &
	eval "NODE_$1=$!"
}
node_init() { # N: its first process, seen from here; unshare runs it
	local pid
	eval "pid=\${NODE_$1:-}"
	[ -n "$pid" ] && cut -d' ' -f1 "/proc/$pid/task/$pid/children" 2> /dev/null
}
node() { local n=$1; shift; nsenter -t "$(node_init "$n")" -m -p -n -u -i -- "$@"; }

# --- images ---

load() { # NAME:TAG...
	local image file n
	for image in "$@"; do
		file=$T/${image##*/}.tar
		[ -e "$file" ] || image_of "$image" "$file"
		for n in $NODES; do node "$n" ctr -n k8s.io images import - < "$file" > /dev/null; done
		[ -z "${LOAD:-}" ] || $LOAD "$file"
	done
}
image_of() { # NAME:TAG FILE: its archive
	local root=$T/image file=Dockerfile p kind=${1##*/}
	kind=${kind%%:*}
	case $kind in
	tailpod) kind=containerboot ;;
	tailpod-cluster) kind=cluster ;;
	esac
	case $kind in
	containerboot | cluster) tools/image-root "$kind" "$BIN" "$root" ;;
	busybox)
		mkdir -p "$root/bin" "$root/tmp" "$root/www" "$root/etc"
		chmod 1777 "$root/tmp"
		cp "$(command -v busybox)" "$root/bin/busybox"
		for p in $(command -v curl) $(ldd "$(command -v curl)" | grep -o '/[^ ]*'); do mkdir -p "$root$(dirname "$p")"; cp -L "$p" "$root$p"; done
		"$root/bin/busybox" --list | while read -r a; do [ -e "$root/bin/$a" ] || ln -s busybox "$root/bin/$a"; done
		printf 'FROM scratch AS busybox\nUSER 65532:65532\nENTRYPOINT ["/bin/sh"]\n' > "$T/Dockerfile"
		file=$T/Dockerfile
		;;
	pause)
		mkdir -p "$root"
		cat > "$T/pause.c" <<-'END'
		#include <signal.h>
		#include <sys/wait.h>
		#include <unistd.h>
		static void end(int s) { (void)s; _exit(0); }
		static void reap(int s) { (void)s; while (waitpid(-1, 0, WNOHANG) > 0) {} }
		int main(void)
		{
			signal(SIGTERM, end);
			signal(SIGINT, end);
			signal(SIGCHLD, reap);
			for (;;)
				pause();
		}
		END
		gcc -O1 -static -s -o "$root/pause" "$T/pause.c"
		printf 'FROM scratch AS pause\nUSER 65535:65535\nENTRYPOINT ["/pause"]\n' > "$T/Dockerfile"
		file=$T/Dockerfile
		;;
	esac
	tools/image-archive "$1" "$root" "$file" "$kind" "$2"
	rm -rf "$root"
}

# --- the cluster ---

dns_start() { # CoreDNS beside the control plane, behind the usual Service; more names in $T/hosts
	: > "$T/hosts"
	cat > "$T/Corefile" <<-END
	.:1053 {
	    bind $IP_kube
	    errors
	    hosts $T/hosts {
	        ttl 2
	        reload 2s
	        fallthrough
	    }
	    kubernetes cluster.local in-addr.arpa ip6.arpa {
	        kubeconfig $T/kubeconfig test
	        ttl 2
	        fallthrough in-addr.arpa ip6.arpa
	    }
	}
	END
	start kube coredns "$PEERS/coredns" -conf "$T/Corefile"
	kc apply -f - > /dev/null <<-END
	apiVersion: v1
	kind: Service
	metadata: {name: kube-dns, namespace: kube-system}
	spec:
	  clusterIP: 10.96.0.10
	  ports: [{name: dns, protocol: UDP, port: 53, targetPort: 1053}, {name: dns-tcp, protocol: TCP, port: 53, targetPort: 1053}]
	---
	apiVersion: discovery.k8s.io/v1
	kind: EndpointSlice
	metadata: {name: kube-dns-1, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
	addressType: IPv4
	endpoints: [{addresses: [$IP_kube], conditions: {ready: true}}]
	ports: [{name: dns, protocol: UDP, port: 1053}, {name: dns-tcp, protocol: TCP, port: 1053}]
	END
}
cluster() {
	local c n p services=10.96.0.0/16
	[ "$FAMILIES" = 4 ] || services=$services,fd00:96::/112
	for p in kube-controller-manager kube-scheduler kubelet kube-proxy coredns cni/ptp; do need_peer "$p"; done
	for p in containerd ctr runc nft busybox; do command -v $p > /dev/null || { echo "needs $p: run e2e/setup"; exit 77; }; done
	for n in $NODES; do host "node$n"; done
	for c in kube-controller-manager kube-scheduler kube-proxy; do KUBE_TOKENS+=("$c-token,system:$c,$c"); done
	for n in $NODES; do KUBE_TOKENS+=("node$n-token,system:node:node$n,node$n,system:nodes"); done
	image_of localhost/pause:e2e "$T/pause.tar"
	mkdir -p "$T/pki"
	kube_api --authorization-mode Node --allow-privileged=true --endpoint-reconciler-type lease \
		--kubelet-client-certificate "$T/pki/kubelet-client.crt" --kubelet-client-key "$T/pki/kubelet-client.key" \
		--kubelet-preferred-address-types InternalIP --service-cluster-ip-range "$services"
	for c in kube-controller-manager kube-scheduler kube-proxy; do kubeconfig_of "$T/kubeconfig-$c" "$c-token" "$IP_kube"; done
	for n in $NODES; do kubeconfig_of "$T/kubeconfig-node$n" "node$n-token" "$IP_kube"; done
	start kube kube-controller-manager "$PEERS/kube-controller-manager" --kubeconfig "$T/kubeconfig-kube-controller-manager" \
		--root-ca-file "$T/pki/ca.crt" --service-account-private-key-file "$T/pki/sa.key" --use-service-account-credentials=true \
		--leader-elect=false --allocate-node-cidrs=false --secure-port=0 --node-monitor-grace-period 20s
	start kube kube-scheduler "$PEERS/kube-scheduler" --kubeconfig "$T/kubeconfig-kube-scheduler" --leader-elect=false --secure-port=0
	for n in $NODES; do node_start "$n"; done
	for n in $NODES; do
		# a Service's address needs a route before kube-proxy turns it round; and what is not guarded leaks this way
		in_ns "node$n" ip route add default via "$IP_kube"
		for p in $NODES; do
			[ "$n" = "$p" ] || eval "in_ns node$n ip route add 10.244.$p.0/24 via \$IP_node$p"
			[ "$n" = "$p" ] || [ "$FAMILIES" = 4 ] || eval "in_ns node$n ip -6 route add fd00:244:0:$p::/64 via \$IP6_node$p"
		done
		[ "$FAMILIES" = 4 ] || in_ns "node$n" ip -6 route add default via "$IP6_kube"
	done
	dns_start
	until_ok 120 nodes_ready
}
nodes_ready() { [ "$(kc get nodes --no-headers | awk '$2 == "Ready"' | wc -l)" = "$(wc -w <<< "$NODES")" ] && kc get sa default; }
cluster_stop() {
	local n p
	# the first process of a pid namespace takes all others with it
	for n in $NODES; do p=$(node_init "$n") && [ -n "$p" ] && kill -9 "$p" 2> /dev/null; done
	for n in $NODES; do eval "p=\${NODE_$n:-}"; [ -z "$p" ] || wait "$p" 2> /dev/null; cgroup_drop "tp$ID-node$n"; done
}
in_pod() { local p=$1; shift; kc exec -n "${p%/*}" "${p#*/}" -- "$@"; }
app() {
	kc apply -f - > /dev/null <<-END
	apiVersion: apps/v1
	kind: Deployment
	metadata: {name: $1}
	spec:
	  selector: {matchLabels: {app: $1}}
	  template:
	    metadata: {labels: {app: $1}}
	    spec:
	      terminationGracePeriodSeconds: 1
	      containers:
	        - name: web
	          image: localhost/busybox:e2e
	          command: [sh, -c, "mkdir /tmp/www && echo hello from $1 > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www"]
	          readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
	---
	apiVersion: v1
	kind: Service
	metadata: {name: $1}
	spec: {selector: {app: $1}, ipFamilyPolicy: PreferDualStack, ports: [{port: 80, targetPort: 8080}]}
	END
}
client() {
	kc apply -f - > /dev/null <<-END
	apiVersion: v1
	kind: Pod
	metadata: {name: ${1#*/}, namespace: ${1%/*}, annotations: {${2:-}}}
	spec: {terminationGracePeriodSeconds: 0${3:+, $3}, containers: [{name: sh, image: "localhost/busybox:e2e", command: [sleep, "100000"]}]}
	END
	until_ok 60 kc wait -n "${1%/*}" pod "${1#*/}" --for=condition=Ready --timeout=1s
}
CHART=charts/tailpod-operator
helm() { in_ns kube env KUBECONFIG="$T/kubeconfig" HOME="$T" "$PEERS/helm" "$@"; }
# gone NAMESPACE [SECRET]: nothing lives there but what Kubernetes makes itself (and that Secret of the test's)
gone() {
	local v
	v=$(kc -n "$1" get "$(kc api-resources --verbs=list --namespaced -o name | grep -v -e '^events' -e '^endpoints$' | paste -sd,)" -o name |
		grep -v -e '^configmap/kube-root-ca.crt$' -e '^serviceaccount/default$' -e "^secret/${2:-none}\$" || true)
	[ -z "$v" ] || { echo "$v"; return 1; }
}
