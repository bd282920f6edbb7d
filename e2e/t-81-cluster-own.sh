#!/bin/bash
# The chart on a real cluster of two nodes with its own coordinator, and the CNI plugin: a stock tailscaled outside joins through a
# node port and fetches Services, pods fetch from it, policy, drained node as in t-80; an opted-in pod reaches it by address and name, another pod is refused at once; a stream
# outlives the agent's restart; Events; coordinator and nodes keep their state; updates remove nothing, one uninstall
# leaves nothing on the machines, also where the agent does not run.
. "$(dirname "$0")/lib.sh"
. e2e/kube.sh
FAMILIES=${FAMILIES:-46} # nodes, pods and Services of both families; t-80 has IPv4 alone
. e2e/cluster.sh
. e2e/cluster_steps.sh
need_peer helm tailscaled
[ -c /dev/net/tun ] || { echo "needs /dev/net/tun"; exit 77; }
APPS=default
CO=tailpod-tailpod-operator-coordinator
CO_DIR=$T # authkey and addr ask our coordinator
co_cli() { kc -n tailpod exec $CO-0 -- coordinator "$@"; }
devices() { co_cli nodes list -o json | jq -r '.nodes[] | "\(.id) \(.givenName) \(.ipAddresses[0])"' | sort; }

cluster
say "two nodes are ready, families $FAMILIES"
host out
load localhost/tailpod:e2e localhost/tailpod-cluster:e2e localhost/busybox:e2e
kc create ns tailpod > /dev/null
kc create ns apps > /dev/null
node 1 mkdir -p -m 0777 /var/lib/volume
kc apply -f - > /dev/null <<END
apiVersion: v1
kind: PersistentVolume
metadata: {name: volume}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  hostPath: {path: /var/lib/volume}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [node1]}]}]}}
END
cat > "$T/values.yaml" <<END
operatorConfig: {image: {repository: localhost/tailpod-cluster, tag: e2e}}
proxyConfig: {image: {repository: localhost/tailpod, tag: e2e}}
ingressClass: {tlsSecrets: true}
coordinator:
  enabled: true
  host: $IP_node1
  service: {type: NodePort, nodePort: 30443, stunPort: 30478}
  baseDomain: tail.test
  policy: |
    {"tagOwners": {"tag:k8s": ["test@"], "tag:open": ["test@"], "tag:shut": ["test@"], "tag:pods": ["test@"]},
     "acls": [{"action": "accept", "src": ["test@"], "dst": ["tag:k8s:*", "tag:open:*", "10.0.0.0/8:*"]},
              {"action": "accept", "src": ["tag:k8s", "tag:pods"], "dst": ["test@:8000"]}]}
  persistence: {retain: false}
END
helm install tailpod $CHART -n tailpod -f "$T/values.yaml" --wait --timeout 300s > "$T/helm.log"
helm test tailpod -n tailpod --timeout 240s > "$T/helm-test.log" || die "$(cat "$T/helm-test.log")"
say "installed and tested"
URL=https://$IP_node1:30443 CA=$T/ca.pem
kc -n tailpod get secret $CO-ca -o jsonpath='{.data.ca\.crt}' | base64 -d > "$CA"
co_cli users create test > /dev/null
tailscaled out; ts_up out "$(authkey)"; web out 8000
say "a stock node joins from outside"
steps_apps
kc cordon node1 > /dev/null # the coordinator's volume is there: the proxies' node is drained
approve() { co_cli nodes approve-routes "$1" --routes "$2" > /dev/null; }
steps_in
steps_web
steps_router
steps_out
steps_sidecar
kc uncordon node1 > /dev/null
steps_drain

# --- the plugin comes: its agents join, opted-in pods have the tailnet
for n in $NODES; do node "$n" find /etc/cni /opt/cni/bin -type f | sort > "$T/files-$n"; done
cat >> "$T/values.yaml" <<END
cni: {enabled: true, namespaces: [apps], authKey: "$(authkey --reusable --tags tag:pods --ephemeral)"}
END
helm upgrade tailpod $CHART -n tailpod -f "$T/values.yaml" --wait --timeout 300s > "$T/helm.log"
for n in $NODES; do until_ok 40 node "$n" test -e /etc/cni/net.d/00-00-tailpod.conflist; done
say "agents have joined"
ask='tailscale.com/cni: "true"'
client apps/named "$ask" 'nodeName: node2, dnsPolicy: None, dnsConfig: {nameservers: [100.100.100.100], searches: [tail.test]}'
client apps/asks "$ask" 'nodeName: node1'
client apps/silent "" 'nodeName: node2'
client default/elsewhere "$ask" 'nodeName: node2'
ip_out=$(addr out)
fetch() { in_pod "$1" curl -sS --max-time 5 "http://$2:8000/" | grep -q "hello from out"; }
# refused POD HOST: twenty times curl ends with 7, and each time before a SYN would go out again (1 s); a leak or a loss would end by
# time-out (28)
refused() {
	in_pod "$1" sh -c 'for i in $(seq 20); do t=$(curl -s -o /tmp/page --max-time 60 -w "%{time_total}" "$0"); echo "$? $t"; done' "http://$2:8000/" > "$T/refused"
	awk '$1 != 7 || $2 >= 0.5 { bad = 1 } END { exit NR != 20 || bad }' "$T/refused" || die "$1: $2: curl ends with, after: $(paste -sd, "$T/refused")"
	echo "figure: t-81-cluster-own: $1 is refused by $2 twenty times, after $(cut -d' ' -f2 "$T/refused" | sort -n | tail -n 1) s at most"
}
until_ok 30 fetch apps/asks "$ip_out"
until_ok 30 fetch apps/named "$ip_out"
until_ok 30 fetch apps/named out
until_ok 30 fetch apps/named out.tail.test
if [ "$FAMILIES" = 46 ]; then
	[ "$(kc get pod -n apps asks -o json | jq '[.status.podIPs[].ip | contains(":")] | sort == [false, true]')" = true ] || die "a pod without one of the families"
	for p in apps/asks apps/named; do until_ok 30 fetch $p "[$(addr6 out)]"; done
	for p in apps/silent default/elsewhere; do refused $p "[$(addr6 out)]"; done
	# pods reach each other over IPv6 as ever: it is a cluster of both families, and the guards are in nobody's way
	web6=$(kc get svc web -o json | jq -r '.spec.clusterIPs[] | select(contains(":"))')
	[ -n "$web6" ] || die "the Service has no IPv6 address"
	until_ok 30 eval 'in_pod apps/silent curl -sS --max-time 5 "http://[$web6]/" | grep -q "hello from web"'
	until_ok 30 eval 'in_pod apps/asks curl -sS --max-time 5 "http://[$web6]/" | grep -q "hello from web"'
	# from outside by the proxy's IPv6 address; the class' Service tells both
	until_ok 30 page "[$(addr6 default-web)]" web
	[ "$(kc get svc lb -o json | jq -r '[.status.loadBalancer.ingress[] | select(.ip) | .ip] | sort | join(" ")')" = "$(printf '%s\n' "$(addr default-lb)" "$(addr6 default-lb)" | sort | paste -sd' ')" ] || die "lb: $(kc get svc lb -o jsonpath='{.status}')"
	say "both families: into the tailnet, out of it, and beside it"
fi
for p in apps/silent default/elsewhere; do refused $p "$ip_out"; done
say "opted-in pods reach the tailnet by address and name, others are refused"

# --- a stream outlives the agent
head -c $((${STREAM_MIB:-1024} << 20)) /dev/zero | openssl enc -aes-128-ctr -K "$(printf '%032x' 7)" -iv "$(printf '%032x' 1)" > "$T/out.www/big" 2> /dev/null
sum=$(sha256sum < "$T/out.www/big")
base=$(node 2 cat /sys/class/net/tailpod0/statistics/rx_bytes)
agent_on() { kc -n tailpod get pod -l app.kubernetes.io/name=tailpod-operator-cni --field-selector spec.nodeName=node2 -o jsonpath='{.items[*].metadata.name}'; }
(kc exec --request-timeout=0 -n apps named -- sh -c "curl -sS --limit-rate 60M --max-time 900 http://$ip_out:8000/big | sha256sum" > "$T/stream.sum" 2> "$T/stream.err") & STREAM=$!
# on its way: what came through the device
came() { [ "$(node 2 cat /sys/class/net/tailpod0/statistics/rx_bytes)" -gt $((base + (32 << 20))) ]; }
until_ok 30 came
was=$(agent_on)
S=$(date +%s)
kc -n tailpod delete pod "$was" --wait=false > /dev/null
is_new() { local p; p=$(agent_on); [ -n "$p" ] && [ "$p" != "$was" ] && kc -n tailpod wait pod "$p" --for=condition=Ready --timeout=1s; }
until_ok 60 is_new
kill -0 $STREAM || die "the stream ended before the agent was back"
say "another agent after $(($(date +%s) - S)) s"
rc=0; wait $STREAM || rc=$?
[ $rc = 0 ] && [ "$(cat "$T/stream.sum")" = "$sum" ] || die "the stream broke: $rc, $(cat "$T/stream.err" "$T/stream.sum")"
echo "figure: t-81-cluster-own: ${STREAM_MIB:-1024} MiB under an agent's restart, checksum agrees"
until_ok 30 fetch apps/named out

# --- the coordinator restarts with its volume
kc -n tailpod delete pod $CO-0 --timeout=240s > /dev/null
until_ok 60 kc -n tailpod wait pod $CO-0 --for=condition=Ready --timeout=1s
[ "$(addr out)" = "$ip_out" ] || die "the coordinator has forgotten a node"
until_ok 30 page default-web.tail.test web
say "the coordinator came back with its state"

# --- what the agents tell of, as Events: a node that lost the tailnet, pods that wait for it or may not have it
DS=tailpod-tailpod-operator-cni
told() { [ -n "$(kc get events -n "$1" --field-selector "involvedObject.name=$2,reason=$3" -o name)" ]; }
on_agent() { kc -n tailpod exec "$(agent_on)" -c agent -- "$@"; }
on_agent tailscale down > /dev/null
until_ok 30 told default node2 TailnetLost
kc apply -f - > /dev/null <<END
apiVersion: v1
kind: Pod
metadata: {name: waits, namespace: apps, annotations: {$ask}}
spec: {terminationGracePeriodSeconds: 0, nodeName: node2, containers: [{name: sh, image: "localhost/busybox:e2e", command: [sleep, "100000"]}]}
END
until_ok 30 told apps waits TailnetNotReady
on_agent tailscale up > /dev/null
until_ok 30 told default node2 TailnetReady
until_ok 60 kc wait -n apps pod waits --for=condition=Ready --timeout=1s
until_ok 30 fetch apps/waits "$ip_out"
say "Events: lost, not ready, ready again"

# --- updates are no uninstall: plugin, list, device and nodes of the tailnet stay as they are
state_of() { # N: what would change when the plugin was removed and came back
	node "$1" sh -c 'cd /; stat -c "%n %i" opt/cni/bin/tailpod-cni etc/cni/net.d/00-00-tailpod.conflist; cat /sys/class/net/tailpod0/ifindex'
}
names() { devices | cut -d' ' -f2 | sort | paste -sd' '; }
for n in $NODES; do state_of "$n" > "$T/state-$n"; done
devices > "$T/devices"
kc -n tailpod set env ds/$DS -c agent TS_CNI_NAMESPACES=others > /dev/null
kc -n tailpod rollout status daemonset $DS --timeout=240s > /dev/null
client apps/barred "$ask" 'nodeName: node2'
until_ok 30 told apps barred TailnetRefused
refused apps/barred "$ip_out"
helm upgrade tailpod $CHART -n tailpod -f "$T/values.yaml" --set cni.port=9103 --wait --timeout 300s > "$T/helm.log"
kc -n tailpod rollout status daemonset $DS --timeout=240s > /dev/null
for n in $NODES; do state_of "$n" | diff "$T/state-$n" - || die "an update has removed something of node$n"; done
devices | diff "$T/devices" - || die "other nodes of the tailnet after an update"
until_ok 30 fetch apps/named "$ip_out"
say "updates keep plugin, device and nodes"

# --- everything goes again: the plugin by itself, then with all the rest
machines_are_clean() {
	for n in $NODES; do
		node "$n" find /etc/cni /opt/cni/bin -type f | sort | diff "$T/files-$n" - || return 1
		[ -z "$(node "$n" find /run/tailpod /var/lib/tailpod -type f -o -type s)" ] || return 1
		[ -z "$({ node "$n" ip rule; node "$n" ip -6 rule; } | grep 'proto 116')" ] || return 1
		[ -z "$(node "$n" ip route show table 5252; node "$n" ip -6 route show table 5252)" ] || return 1
		[ -z "$(node "$n" ip link show tailpod0 2> /dev/null)" ] || return 1
		[ -z "$(node "$n" nft list tables | grep tailpod)" ] || return 1
	done
}
what_is_left() { for n in $NODES; do node "$n" sh -c 'find /etc/cni /run/tailpod /var/lib/tailpod; ls /opt/cni/bin; ip rule; ip -6 rule; ip link; nft list tables'; done; }
steps_end
kc delete pod -n apps named asks silent waits barred --wait=false > /dev/null
[ "$(names)" = "out tailpod-node1 tailpod-node2" ] || die "devices: $(devices)"
helm upgrade tailpod $CHART -n tailpod -f "$T/values.yaml" --set cni.enabled=false --wait --timeout 300s > "$T/helm.log"
no_agents() { [ -z "$(agent_on)" ] && [ "$(names)" = out ]; }
until_ok 60 no_agents
until_ok 30 machines_are_clean || die "left: $(what_is_left)"
say "switched off: the plugin is gone from the machines, its nodes from the tailnet"
helm upgrade tailpod $CHART -n tailpod -f "$T/values.yaml" --wait --timeout 300s > "$T/helm.log"
for n in $NODES; do until_ok 40 node "$n" test -e /etc/cni/net.d/00-00-tailpod.conflist; done
[ "$(names)" = "out tailpod-node1 tailpod-node2" ] || die "devices: $(devices)"
client apps/asks "$ask" 'nodeName: node1'
until_ok 30 fetch apps/asks "$ip_out"
# on one machine the agent does not run when all goes: it starts and ends again and again, and the other machine's waits to be updated
kc -n tailpod set env ds/$DS -c agent TS_LOCAL_ADDR_PORT=nonsense > /dev/null
agent_fails() { kc -n tailpod get pod -l app.kubernetes.io/name=tailpod-operator-cni -o json | jq -e '[.items[].status.containerStatuses[]? | select(.name == "agent" and .state.running == null and .restartCount > 0)] | length == 1'; }
until_ok 90 agent_fails
for n in $NODES; do node "$n" ip link show tailpod0 > /dev/null || die "node$n has no device to remove"; done
helm uninstall tailpod -n tailpod --wait --timeout 240s > "$T/helm.log"
until_ok 60 machines_are_clean || die "left: $(what_is_left)"
until_ok 60 gone tailpod
# what was started with the plugin ends without it
kc delete pod -n apps asks --timeout=240s > /dev/null
client apps/later '' 'nodeName: node1'
machines_are_clean || die "left: $(what_is_left)"
[ -z "$(kc get clusterrole,clusterrolebinding,ingressclass,pv -o name | grep -i tailpod)" ] || die "objects of the cluster are left"
say "one uninstall, one agent away: nothing is left"
