#!/bin/bash
# The operator against a real API server: objects for each kind, status, clean-up, crashes, conflicts, two replicas.
# waits: 110
. "$(dirname "$0")/lib.sh"
. e2e/kube.sh
[ -x "$BIN/operator" ] || die "no operator: make"
kube_api
say "API server is up"
fake_headscale
crds

# what the ledger may hold when an operator starts: a device that nothing leads to any more, one whose id is another's by now,
# one of another control server
noted() { echo "{\"ip\":\"$1\",\"proxy\":\"ts-gone-aaaaaaaa\",\"parent\":\"svc/default/gone\",\"server\":\"$2\"}"; }
for id in 907 908 909; do
	case $id in 907) V=$(noted 100.64.9.7 http://127.0.0.1:18080) ;; 908) V=$(noted 100.64.1.1 http://127.0.0.1:18080) ;; 909) V=$(noted 100.64.9.9 https://other.example.com) ;; esac
	jq -n --arg id $id --arg v "$V" '{apiVersion: "v1", kind: "ConfigMap", metadata: {name: "hand-\($id)", labels: {"tailpod/ledger": "devices"}}, data: {($id): $v}}' | kc -n tailpod apply -f - > /dev/null
done

# --- a Service, from annotation to nothing left
kept op-a OPERATOR_LOGGING=trace
A=$PID
kc create service clusterip web --tcp=80:80 > /dev/null
kc annotate svc web tailscale.com/expose=true tailscale.com/hostname=shop tailscale.com/tags=tag:web,tag:prod > /dev/null
until_ok 40 is_reason ProxyPending svc web
P=$(proxy_of svc default web)
[ -n "$P" ] || die "no proxy"
kc -n tailpod get sts "$P" -o json > "$T/sts.json"
IP=$(kc get svc web -o jsonpath='{.spec.clusterIP}')
jq -e --arg ip "$IP" '.spec.template.spec as $s | $s.containers[0].env | map({(.name): .value}) | add
	| .TS_DEST_IP == $ip and .TS_HOSTNAME == "shop" and .TS_USERSPACE == "true" and .TS_LOGIN_SERVER == "http://127.0.0.1:18080"' "$T/sts.json" > /dev/null
jq -e '.spec.template.spec.containers[0] | (.securityContext | .readOnlyRootFilesystem and (.allowPrivilegeEscalation | not) and .runAsNonRoot
	and .capabilities.drop == ["ALL"]) and (.env | all(.value != null or .valueFrom != null)) and (tostring | contains("hskey-auth") | not)' "$T/sts.json" > /dev/null
grep -q '"aclTags":\["tag:web","tag:prod"\]' "$T/keys"
[ "$(kc -n tailpod get secret "$P-0" -o jsonpath='{.data.authkey}' | base64 -d)" = hskey-auth-1 ]
say "objects are as wanted"

# what the proxy may do: its own Secret and Events, nothing else
SA=system:serviceaccount:tailpod:$P
kc auth can-i --as "$SA" -n tailpod get "secret/$P-0" > /dev/null
for what in "list secrets" "get secret/other-0" "create secrets" "get configmaps" "delete secret/$P-0" "list pods"; do
	# shellcheck disable=SC2086
	! kc auth can-i --as "$SA" -n tailpod $what > /dev/null 2>&1 || die "a proxy may $what"
done

joins "$P" 7 shop.tail.test 100.64.0.7
until_ok 30 is_reason ProxyCreated svc web
until_ok 30 eval 'ledger | grep -qx 7'
key_is_gone() { [ -z "$(kc -n tailpod get secret "$P-0" -o jsonpath='{.data.authkey}')" ]; }
until_ok 30 key_is_gone
kc patch svc web --type merge -p '{"spec":{"type":"LoadBalancer","loadBalancerClass":"tailscale"}}' > /dev/null
lb_is_told() { [ "$(kc get svc web -o jsonpath='{.status.loadBalancer.ingress[*].hostname} {.status.loadBalancer.ingress[*].ip}')" = "shop.tail.test 100.64.0.7" ]; }
until_ok 30 lb_is_told
say "status is told"

# a child that somebody changed or deleted comes back
kc -n tailpod delete sts "$P" --wait=false > /dev/null
until_ok 30 kc -n tailpod get sts "$P"
kc -n tailpod scale sts "$P" --replicas=3 > /dev/null
repaired() { [ "$(kc -n tailpod get sts "$P" -o jsonpath='{.spec.replicas}')" = 1 ]; }
until_ok 30 repaired
kc -n tailpod delete role "$P" > /dev/null
until_ok 30 kc -n tailpod get role "$P"
say "what was changed is put right"

# a proxy that asks for another key: its device goes, and it gets one
key_of() { kc -n tailpod get secret "$1-0" -o jsonpath='{.data.authkey}' | base64 -d; }
kc -n tailpod patch secret "$P-0" --type merge -p "{\"data\":{\"reissue_authkey\":\"$(b64 hskey-auth-1)\"}}" > /dev/null
reissued() { case $(key_of "$P") in "" | hskey-auth-1) return 1 ;; hskey-auth-*) ;; esac; }
until_ok 60 reissued
grep -q '^DELETE /api/v1/node/7' "$T/keys" || die "the device that asked for another key stays"
kc -n tailpod patch secret "$P-0" --type merge -p '{"data":{"reissue_authkey":null}}' > /dev/null
joins "$P" 8 shop.tail.test 100.64.0.8
until_ok 30 key_is_gone
say "a key is issued anew on demand"

kc delete svc web --timeout=120s > /dev/null
until_ok 30 nothing_left
grep -q '^DELETE /api/v1/node/8' "$T/keys"
say "nothing is left of it"

# --- each kind, and what cannot be done is said
cat > "$T/all.yaml" <<-END
	apiVersion: tailscale.com/v1alpha1
	kind: ProxyClass
	metadata: {name: good}
	spec: {statefulSet: {pod: {nodeSelector: {disk: ssd}, tailscaleContainer: {env: [{name: TS_LOG_VERBOSITY, value: "1"}, {name: TS_ENABLE_METRICS, value: "false"}]}}}}
	---
	apiVersion: tailscale.com/v1alpha1
	kind: ProxyClass
	metadata: {name: bad}
	spec: {staticEndpoints: {nodePort: {}}}
	---
	apiVersion: tailscale.com/v1alpha1
	kind: ProxyClass
	metadata: {name: refused}
	spec: {statefulSet: {pod: {nodeSelector: {"a b": "!"}, tailscaleContainer: {resources: {limits: {cpu: lots}}}}}}
	---
	apiVersion: v1
	kind: Service
	metadata: {name: refused, labels: {tailscale.com/proxy-class: refused}, annotations: {tailscale.com/expose: "true"}}
	spec: {ports: [{port: 80}]}
	---
	apiVersion: tailscale.com/v1alpha1
	kind: Connector
	metadata: {name: cn}
	spec: {proxyClass: good, subnetRouter: {advertiseRoutes: [10.40.0.0/14]}}
	---
	apiVersion: tailscale.com/v1alpha1
	kind: Recorder
	metadata: {name: rec}
	spec: {}
	---
	apiVersion: v1
	kind: Service
	metadata: {name: out, annotations: {tailscale.com/tailnet-fqdn: db.tail.test, tailscale.com/funnel: "true"}}
	spec: {type: ExternalName, externalName: placeholder, ports: [{port: 5432}]}
	---
	apiVersion: v1
	kind: Service
	metadata: {name: wrong, annotations: {tailscale.com/expose: "true", tailscale.com/tags: "web"}}
	spec: {ports: [{port: 80}]}
	---
	apiVersion: v1
	kind: Service
	metadata: {name: badclass, labels: {tailscale.com/proxy-class: bad}, annotations: {tailscale.com/expose: "true"}}
	spec: {ports: [{port: 80}]}
	---
	apiVersion: networking.k8s.io/v1
	kind: Ingress
	metadata: {name: ing}
	spec: {ingressClassName: tailscale, rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 8080}}}}]}}]}
END
sed -i 's/^\t//' "$T/all.yaml"
kc apply -f "$T/all.yaml" > /dev/null
until_ok 40 is_reason ProxyClassValid proxyclass good
until_ok 40 is_reason ProxyClassInvalid proxyclass bad
until_ok 40 is_reason ConnectorCreating connector cn
until_ok 40 is_reason NotSupported recorder rec
until_ok 40 is_reason ProxyPending svc out
until_ok 40 is_reason ProxyInvalid svc wrong
until_ok 40 is_reason ProxyPending svc badclass
until_ok 40 is_reason ProxyFailed svc refused
# the API server's own words, however long, are in the condition
kc get svc refused -o jsonpath='{.status.conditions[0].message}' | grep -q "apply StatefulSet: API server: status [0-9]*: ." || die "why is not said: $(kc get svc refused -o jsonpath='{.status.conditions[0].message}')"
has_ingress() { [ -n "$(proxy_of ingress default ing)" ] && kc -n tailpod get cm "$(proxy_of ingress default ing)-serve"; }
until_ok 40 has_ingress
kc -n tailpod get sts "$(proxy_of connector "" cn)" -o json | jq -e '.spec.template.spec.nodeSelector.disk == "ssd" and
	([.spec.template.spec.containers[0].env[] | select(.name == "TS_ENABLE_METRICS") | .value] == ["false"]) and
	(.spec.template.spec.containers[0].env | any(.name == "TS_ROUTES" and .value == "10.40.0.0/14"))' > /dev/null
[ "$(kc get svc out -o jsonpath='{.spec.externalName}')" = "$(proxy_of svc default out).tailpod.svc.cluster.local" ]
told() { kc get events -o json | jq -e --arg n "$1" --arg r "$2" 'any(.items[]; .involvedObject.name == $n and .reason == $r)' > /dev/null; }
until_ok 30 told out NotSupported
until_ok 30 told wrong ProxyInvalid
until_ok 30 told rec NotSupported
[ -z "$(proxy_of svc default wrong)$(proxy_of svc default badclass)" ]
joins "$(proxy_of connector "" cn)" 21 cn.tail.test 100.64.0.21
until_ok 30 is_reason RoutesNotApproved connector cn
kc get connector cn -o jsonpath='{.status.conditions[0].message}' | grep -qx "headscale nodes approve-routes -i 21 -r 10.40.0.0/14"
in_ns kube curl -s -X POST -d '["10.40.0.0/14"]' http://127.0.0.1:18080/approve > /dev/null
until_ok 40 is_reason ConnectorCreated connector cn
# each answer says which generation of the object it is about
observed() { kc get "$@" -o json | jq -e '.metadata.generation == .status.conditions[0].observedGeneration'; }
for o in "connector cn" "proxyclass good" "proxyclass bad" "recorder rec"; do
	# shellcheck disable=SC2086
	until_ok 30 observed $o
done
kc patch connector cn --type merge -p '{"spec":{"subnetRouter":{"advertiseRoutes":["10.41.0.0/16"]}}}' > /dev/null
until_ok 40 is_reason RoutesNotApproved connector cn
[ "$(kc get connector cn -o jsonpath='{.metadata.generation}')" = 2 ] && observed connector cn > /dev/null || die "observedGeneration"
kc delete -f "$T/all.yaml" --timeout=120s > /dev/null
until_ok 40 nothing_left
say "every kind is answered, and goes again"

# --- a control server that fails: the condition says so, then it mends
in_ns kube curl -s -X POST http://127.0.0.1:18080/fail/3 > /dev/null
kc create service clusterip sick --tcp=80:80 > /dev/null
kc annotate svc sick tailscale.com/expose=true > /dev/null
until_ok 30 is_reason ProxyFailed svc sick
until_ok 30 is_reason ProxyPending svc sick
kc delete svc sick --timeout=120s > /dev/null
until_ok 40 nothing_left
say "a failing control server is told and outlived"

# --- the API key is revoked: a new Service is told so, one that goes is not forgotten; with another key in the file both go on,
# without a restart
has() { [ -n "$(proxy_of "$@")" ]; }
kc create service clusterip staying --tcp=80:80 > /dev/null
kc annotate svc staying tailscale.com/expose=true > /dev/null
until_ok 30 has svc default staying
joins "$(proxy_of svc default staying)" 77 staying.tail.test 100.64.0.77
until_ok 40 is_reason ProxyCreated svc staying
echo hskey-api-revoked > "$T/api-key"
kc delete svc staying --wait=false > /dev/null
kc create service clusterip late --tcp=80:80 > /dev/null
kc annotate svc late tailscale.com/expose=true > /dev/null
refused() { kc get svc "$1" -o json | jq -e '.status.conditions[0] | .reason == "ProxyFailed" and (.message | contains("401"))'; }
told_of() { kc get events -o json | jq -e --arg n "$1" --arg r "$2" 'any(.items[]; .involvedObject.name == $n and .reason == $r)'; }
until_ok 30 refused late
until_ok 30 told_of late KeyFailed
until_ok 30 told_of staying CleanupFailed
kc get svc staying > /dev/null || die "a Service went while its device could not be deleted"
echo hskey-api-test > "$T/api-key"
until_ok 60 is_reason ProxyPending svc late
until_ok 60 grep -q '^DELETE /api/v1/node/77' "$T/keys"
kc wait --for=delete svc/staying --timeout=60s > /dev/null
kc delete svc late --timeout=120s > /dev/null
until_ok 40 nothing_left
say "a revoked key is told, and another one taken up"

# --- devices that nothing leads to: deleted if they are who they were, and only then
orphan_told() { kc -n tailpod get events -o json | jq -e 'any(.items[]; .reason == "OrphanDeleted" and (.message | contains("907")))' > /dev/null; }
until_ok 150 orphan_told
grep -q '^DELETE /api/v1/node/907' "$T/keys" || die "an orphan stays"
grep -q "audit: orphaned device 907" "$T/op-a.log"
until_ok 60 grep -q "device 908 of svc/default/gone has another address" "$T/op-a.log"
never grep -E 'DELETE /api/v1/node/90[89]' "$T/keys"
until_ok 60 eval '! ledger | grep -qx -e 7 -e 21' # deleted with their proxies
kc -n tailpod delete cm hand-907 hand-908 hand-909 > /dev/null
say "orphans are swept"

# keys were in Secrets and nowhere else: no object, no log at its finest, no argument, no variable
kc get cm,svc,sts,role,ingress,connector,event -A -o json > "$T/objects.json"
O=$(pgrep -P "$A" operator)
tr '\0' '\n' < "/proc/$O/cmdline" > "$T/args"; tr '\0' '\n' < "/proc/$O/environ" >> "$T/args"
[ "$(grep -c "audit: auth key" "$T/op-a.log")" -ge 5 ] && grep -q OPERATOR_LOGGING=trace "$T/args" || die "these are not the log and the variables to look at"
never grep -e hskey-auth -e hskey-api "$T/op-a.log" "$T/objects.json" "$T/args"
stop "$A"

# --- killed at random moments, while others change the same objects: it converges, and mints no more keys than proxies and deaths
N=20
: > "$T/keys"
(for r in $(seq 1 40); do kc annotate svc -l storm=yes --overwrite "storm=$r" > /dev/null 2>&1 || true; done) &
STORM=$!
for i in $(seq 1 $N); do
	printf 'apiVersion: v1\nkind: Service\nmetadata: {name: s%d, labels: {storm: "yes"}, annotations: {tailscale.com/expose: "true"}}\nspec: {ports: [{port: 80}]}\n---\n' "$i"
done | kc apply -f - > /dev/null
KILLS=0
RANDOM=${SEED:-7}
for _ in $(seq 1 12); do
	operator "kill-$KILLS" OPERATOR_LEASE="storm-$KILLS"
	sleep "0.$((RANDOM % 5))$((RANDOM % 10))"
	kill -9 "$PID" 2> /dev/null || true
	wait "$PID" 2> /dev/null || true
	KILLS=$((KILLS + 1))
done
kept op-b OPERATOR_LEASE=storm-end
B=$PID
all_proxies() { [ "$(kc -n tailpod get sts -l tailscale.com/managed=true -o name | wc -l)" = "$N" ] && [ "$(kc get svc -l storm=yes -o json | jq '[.items[] | select(.status.conditions[0].reason == "ProxyPending")] | length')" = "$N" ]; }
until_ok 60 all_proxies
wait $STORM || true
MINTED=$(grep -c 'POST /api/v1/preauthkey' "$T/keys")
echo "figure: $N Services, operator killed $KILLS times: $MINTED keys minted"
[ "$MINTED" -le $((N + KILLS * 16)) ]
[ "$(kc -n tailpod get secret -l tailscale.com/managed=true -o json | jq '[.items[] | select(.data.authkey)] | length')" = $N ]
i=0
for s in $(kc -n tailpod get sts -l tailscale.com/managed=true -o jsonpath='{.items[*].metadata.name}'); do i=$((i + 1)); joins "$s" $((100 + i)) "s$i.tail.test" "100.64.1.$i"; done
kc delete svc -l storm=yes --wait=false > /dev/null
stop "$B"
for _ in $(seq 1 8); do
	operator "killd-$KILLS" OPERATOR_LEASE="storm-$KILLS"
	sleep "0.$((RANDOM % 5))$((RANDOM % 10))"
	kill -9 "$PID" 2> /dev/null || true
	wait "$PID" 2> /dev/null || true
	KILLS=$((KILLS + 1))
done
kept op-c OPERATOR_LEASE=storm-end
C=$PID
until_ok 60 nothing_left
gone() { [ -z "$(kc get svc -l storm=yes -o name)" ]; }
until_ok 40 gone
[ "$(grep -o 'DELETE /api/v1/node/[0-9]*' "$T/keys" | sort -u | wc -l)" = $N ]
stop "$C"
say "killed $KILLS times: converged, every device deleted"

# --- two replicas: one leads; when it is killed the other takes over
operator one; ONE=$PID
until_ok 40 grep -q "one leads" "$T/one.log"
operator two; TWO=$PID
until_ok 40 grep -q "in sync" "$T/two.log"
never grep -q "leads" "$T/two.log"
kill -9 "$ONE"
S=$(date +%s)
kc create service clusterip after --tcp=80:80 > /dev/null
kc annotate svc after tailscale.com/expose=true > /dev/null
until_ok 40 is_reason ProxyPending svc after
echo "figure: leader killed: $(($(date +%s) - S)) s until the other acted"
# a leader that is asked to stop hands over at once
operator three; THREE=$PID
until_ok 40 grep -q "in sync" "$T/three.log"
S=$(date +%s%N)
stop "$TWO"
until_ok 30 grep -q "three leads" "$T/three.log"
echo "figure: leader stopped: $((($(date +%s%N) - S) / 1000000)) ms until the other led"

# --- another API server takes the first one's place underneath, with the same etcd: its watches begin anew, and nobody ends.
# The second is up before the first goes, so that no lease runs out however slow the machine is
stop "$THREE"
echo 6443 > "$T/api-port"
start kube relay-tcp python3 e2e/relay_tcp.py 6500 "$T/api-port"
sed 's/:6443/:6500/' "$T/kubeconfig" > "$T/kubeconfig-relay"
OPERATOR_KUBECONFIG=$T/kubeconfig-relay operator four OPERATOR_LOGGING=debug; FOUR=$PID
until_ok 60 grep -q "four leads" "$T/four.log"
first=$PID_apiserver
kube_apiserver_start --secure-port 6444
until_ok 60 in_ns kube "$PEERS/kubectl" --kubeconfig "$T/kubeconfig" -s https://127.0.0.1:6444 get --raw /readyz
echo 6444 > "$T/api-port"
stop "$first"
kc() { in_ns kube "$PEERS/kubectl" --kubeconfig "$T/kubeconfig-relay" --request-timeout=120s "$@"; }
until_ok 60 kc create service clusterip later --tcp=80:80
kc annotate svc later tailscale.com/expose=true > /dev/null
until_ok 60 is_reason ProxyPending svc later
kill -0 "$FOUR" 2> /dev/null || die "the operator ended"
say "another API server in the first one's place: nobody ended"

# --- away for longer than a lease lasts: the leader ends and says why, the next one goes on
: > "$T/api-port"
stop "$PID_apiserver"
rc=0; wait "$FOUR" || rc=$?
[ "$rc" != 0 ] || die "a leader without its lease ends with 0: nobody would start it anew"
grep -q "the lease tailpod-operator is lost; ends" "$T/four.log" || die "the operator ended without a word about its lease"
echo 6443 > "$T/api-port"
kube_apiserver_start
OPERATOR_KUBECONFIG=$T/kubeconfig-relay operator five; FIVE=$PID
until_ok 60 kc delete svc after later --timeout=120s
until_ok 60 nothing_left
kill -0 "$FIVE"
say "a leader that lost its lease ends, the next one goes on"
