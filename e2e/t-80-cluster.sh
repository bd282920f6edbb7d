#!/bin/bash
# The chart on a real cluster of two nodes, with Headscale and a stock tailscaled outside: Services by annotation and by class, egress,
# tags under a policy, a drained node, upgrade and rollback, uninstall without remains.
. "$(dirname "$0")/lib.sh"
. e2e/kube.sh
. e2e/cluster.sh
need_peer helm headscale tailscaled
cluster
say "two nodes are ready"
cat > "$T/policy" <<'END'
{"tagOwners": {"tag:k8s": ["test@"], "tag:open": ["test@"], "tag:shut": ["test@"]},
 "acls": [{"action": "accept", "src": ["test@"], "dst": ["tag:k8s:*", "tag:open:*"]},
	  {"action": "accept", "src": ["tag:k8s"], "dst": ["test@:8000"]}]}
END
headscale --policy "$T/policy"
host out
tailscaled out; ts_up out "$(authkey)"; web out 8000
load localhost/tailpod:e2e localhost/tailpod-cluster:e2e localhost/busybox:e2e
app web; app lb; app open; app shut
client default/pod
kc create ns tailpod > /dev/null
kc label ns tailpod pod-security.kubernetes.io/enforce=restricted > /dev/null
kc -n tailpod create secret generic authority --from-file=ca.crt="$CA" > /dev/null
cat > "$T/values.yaml" <<END
loginServer: $URL
credentials: {apiKey: "$(hs_cli apikeys create | tail -n 1)"}
caSecret: authority
operatorConfig: {image: {repository: localhost/tailpod-cluster, tag: e2e}}
proxyConfig: {image: {repository: localhost/tailpod, tag: e2e}}
END
helm install tailpod $CHART -n tailpod -f "$T/values.yaml" --wait --timeout 90s > "$T/helm.log"
say "installed"

# --- into the cluster
kc annotate svc web tailscale.com/expose=true > /dev/null
kc annotate svc open tailscale.com/expose=true tailscale.com/tags=tag:open tailscale.com/hostname=open > /dev/null
kc annotate svc shut tailscale.com/expose=true tailscale.com/tags=tag:shut tailscale.com/hostname=shut > /dev/null
kc patch svc lb --type merge -p '{"spec":{"type":"LoadBalancer","loadBalancerClass":"tailscale"}}' > /dev/null
for s in web lb open shut; do until_ok 60 is_reason ProxyCreated svc $s; done
say "proxies have joined"
page() { via out "http://$1/" --max-time 5 | grep -q "hello from $2"; }
until_ok 30 page default-web web
until_ok 30 page default-web.tail.test web
lb=$(kc get svc lb -o jsonpath='{.status.loadBalancer.ingress[?(@.ip)].ip}')
lb=${lb%% *}
[ "$lb" = "$(addr default-lb)" ] || die "the Service's status says $lb"
until_ok 30 page "$lb" lb
until_ok 30 page open open
never page shut shut
[ -n "$(addr shut)" ] || die "shut has not joined"
say "pages from outside; the policy opens one tag and not the other"

# --- out of the cluster
kc apply -f - > /dev/null <<END
apiVersion: v1
kind: Service
metadata: {name: db, annotations: {tailscale.com/tailnet-ip: "$(addr out)"}}
spec: {type: ExternalName, externalName: placeholder, ports: [{port: 8000}]}
END
until_ok 60 is_reason ProxyCreated svc db
from_pod() { in_pod default/pod curl -sS --max-time 5 "http://$1/" | grep -q "hello from $2"; }
until_ok 30 from_pod db.default.svc.cluster.local:8000 out
say "a pod reaches a server on the tailnet"

# --- a node is drained: the proxy goes on elsewhere, as the same node of the tailnet
devices() { hs_cli nodes list -o json | jq -r '.[] | "\(.id) \(.given_name) \(.ip_addresses[0])"' | sort; }
devices > "$T/devices"
P=$(proxy_of svc default web)-0
where() { kc -n tailpod get pod "$1" -o jsonpath='{.spec.nodeName}'; }
was=$(where "$P")
kc drain "$was" --ignore-daemonsets --delete-emptydir-data --force --timeout=60s > "$T/drain.log" 2>&1 || die "drain: $(cat "$T/drain.log")"
elsewhere() { [ -n "$(where "$P")" ] && [ "$(where "$P")" != "$was" ] && kc -n tailpod wait pod "$P" --for=condition=Ready --timeout=1s; }
until_ok 90 elsewhere
until_ok 30 page default-web web
devices | diff "$T/devices" - || die "other devices than before"
kc uncordon "$was" > /dev/null
say "$was is drained: the same address elsewhere"

# --- upgrade and rollback
for n in $NODES; do for i in tailpod tailpod-cluster; do node "$n" ctr -n k8s.io images tag localhost/$i:e2e localhost/$i:next > /dev/null; done; done
runs() { [ "$(kc -n tailpod get pods -l tailscale.com/managed=true -o jsonpath='{range .items[*]}{.spec.containers[0].image}{"\n"}{end}' | sort | uniq -c | awk '{print $1, $2}')" = "5 localhost/tailpod:$1" ] &&
	kc -n tailpod wait pod -l tailscale.com/managed=true --for=condition=Ready --timeout=1s; }
helm upgrade tailpod $CHART -n tailpod -f "$T/values.yaml" --set operatorConfig.image.tag=next,proxyConfig.image.tag=next --wait --timeout 90s > "$T/helm.log"
until_ok 90 runs next
until_ok 30 page default-web web
say "upgraded, proxies too"
[ "$(kc -n tailpod get lease tailpod-tailpod-operator -o jsonpath='{.metadata.labels.app\.kubernetes\.io/instance}')" = tailpod ] || die "the lease has lost its labels"
helm rollback tailpod 1 -n tailpod --wait --timeout 90s > "$T/helm.log"
until_ok 90 runs e2e
until_ok 30 page default-web web
until_ok 30 from_pod db.default.svc.cluster.local:8000 out
devices | diff "$T/devices" - || die "other devices than before"
say "rolled back"

# --- uninstall: what asked for proxies first, then the release
for s in web open shut; do kc annotate svc $s tailscale.com/expose- > /dev/null; done
kc delete svc lb db --timeout=60s > /dev/null
until_ok 60 nothing_left
[ "$(devices | cut -d' ' -f2)" = out ] || die "devices are left: $(devices)"
[ -z "$(kc get svc -A -o json | jq -r '.items[].metadata.finalizers // [] | .[]')" ] || die "finalizers are left"
helm uninstall tailpod -n tailpod --wait --timeout 60s > "$T/helm.log"
until_ok 60 gone tailpod authority
[ -z "$(kc get clusterrole,clusterrolebinding,ingressclass -o name | grep -i tailpod)" ] || die "objects of the cluster are left"
say "nothing is left"
