#!/bin/bash
# The chart: lint, every rendering accepted by a real API server; the operator at work with just the chart's rights; its
# pods and its proxies' pods admitted under Pod Security "restricted".
. "$(dirname "$0")/lib.sh"
. e2e/kube.sh
need_peer helm
C=charts/tailpod-operator
HELM="$PEERS/helm"
export HOME=$T
"$HELM" lint --strict $C --set credentials.apiKey=x > "$T/lint.log"
# values that cannot be right are refused with words
never "$HELM" lint --strict $C --set credentials.apiKey=x --set loginServer=headscale
never "$HELM" lint --strict $C --set credentials.apiKey=x --set proxyConfig.defaultTags=web
never "$HELM" lint --strict $C --set credentials.apiKey=x --set operatorConfig.replica=3
never "$HELM" lint --strict $C --set credentials.apiKey=x,apiServerProxyConfig.mode=true
# nor can values that are each in order and do not go together: in words that name one
for v in loginServer=https://x,coordinator.enabled=true coordinator.enabled=true,apiServer=https://x coordinator.enabled=true,caSecret=ca coordinator.enabled=true,oauth.clientId=a \
	coordinator.service.nodePort=30443,coordinator.enabled=true coordinator.service.nodePort=0,coordinator.service.type=NodePort,coordinator.enabled=true,coordinator.host=h,coordinator.service.stunPort=30478 \
	coordinator.service.stunPort=3478,coordinator.service.type=NodePort,coordinator.enabled=true,coordinator.host=h,coordinator.service.nodePort=30443 \
	credentials.existingSecret=s,credentials.apiKey=x cni.existingSecret=s,cni.authKey=k,cni.enabled=true,cni.namespaces={a},credentials.apiKey=x \
	operatorConfig.image.repository=ghcr.io/tailscale/k8s-operator,credentials.apiKey=x proxyConfig.image.tag=,proxyConfig.image.repository=tailscale/tailscale,credentials.apiKey=x \
	cni.namespaces={},cni.enabled=true,cni.authKey=k,credentials.apiKey=x cni.settings.table=7,credentials.apiKey=x; do
	name=${v%%=*} name=${name%.table}
	"$HELM" template $C --kube-version 1.35.0 --set "$v" > "$T/lint.log" 2>&1 && die "$v is accepted"
	grep -q "$name\|at '/${name//.//}" "$T/lint.log" || die "$v: $(cat "$T/lint.log")"
done
# the URL of a coordinator has the port by which it is reached
url_of() { "$HELM" template op $C -n tailpod --kube-version 1.35.0 --set coordinator.enabled=true,"$1" | sed -n 's/.*server_url: *//p'; }
[ "$(url_of coordinator.service.type=NodePort,coordinator.host=h.example,coordinator.service.nodePort=30443,coordinator.service.stunPort=30478)" = https://h.example:30443 ]
[ "$(url_of coordinator.service.type=LoadBalancer,coordinator.host=h.example,coordinator.service.nodePort=30443)" = https://h.example ]
[ "$(url_of coordinator.service.port=8443)" = https://op-tailpod-operator-coordinator.tailpod.svc.cluster.local:8443 ]
# each in one line that names the value
for v in operatorConfig.replicas=0 loginServer=headscale credentials.kind=password operatorConfig.image.digest=abc operatorConfig.loging=debug cni.subnets={0.0.0.0/0} \
	cni.settings.optIn=some cni.settings.failopen=true podDisruptionBudget.maxUnavailable=many serviceMonitor.interval=often coordinator.persistence.size=big networkPolicy=false; do
	name=${v%%=*} name=${name%.loging} name=${name%.failopen}
	"$HELM" lint --strict $C --set credentials.apiKey=x --set "$v" > "$T/lint.log" 2>&1 && die "$v is accepted"
	grep -q "at '/${name//.//}" "$T/lint.log" || die "$v: $(cat "$T/lint.log")"
done
# a stock chart's values, but for the images
cat > "$T/stock.yaml" <<'END'
oauth: {clientId: id, clientSecret: secret}
oauthSecretVolume: {}
installCRDs: true
operatorConfig: {defaultTags: ["tag:k8s-operator"], sharedACMEAccountKey: false, logging: info, hostname: tailscale-operator, nodeSelector: {kubernetes.io/os: linux}, resources: {}, podAnnotations: {},
  podLabels: {}, serviceAccountAnnotations: {}, tolerations: [], affinity: {}, podSecurityContext: {}, securityContext: {}, extraEnv: []}
ingressClass: {name: tailscale, enabled: true}
proxyConfig: {defaultTags: "tag:k8s", firewallMode: auto, defaultProxyClass: ""}
apiServerProxyConfig: {allowImpersonation: "false", mode: "false"}
END
"$HELM" lint --strict $C -f "$T/stock.yaml" > "$T/lint.log" || die "stock values: $(cat "$T/lint.log")"
# what the pages for users say is right as it stands: options, values and all
sed -n 's/^    \(helm \)/\1/; t x; b; :x; /\\$/{N; s/\\\n */ /; b x}; p' docs/operations/*.md > "$T/commands"
[ "$(grep -c '^helm \(install\|upgrade\)' "$T/commands")" -ge 3 ] || die "the pages have lost their commands: $(cat "$T/commands")"
while read -r line; do
	[[ $line =~ ^helm\ (install|upgrade)\  ]] || continue
	line=${line%%   *#*} line=${line/--reuse-values/--set credentials.apiKey=x}
	eval "\"$HELM\" template --kube-version 1.35.0 ${line#helm * }" > "$T/lint.log" 2>&1 || die "$line: $(cat "$T/lint.log")"
done < "$T/commands"
say "linted"

kube_api
fake_headscale
# a values file for the stock chart, whole
cat > "$T/stock.yaml" <<'END'
oauth: {clientId: a, clientSecret: b, audience: ""}
loginServer: ""
oauthSecretVolume: {}
installCRDs: true
operatorConfig:
  defaultTags: ["tag:k8s-operator"]
  image: {tag: "", digest: "", pullPolicy: Always, repository: registry.example/operator}
  logging: dev
  hostname: tailscale-operator
  nodeSelector: {kubernetes.io/os: linux}
  resources: {}
  annotations: {a: b}
  podAnnotations: {a: b}
  podLabels: {a: b}
  serviceAccountAnnotations: {a: b}
  tolerations: []
  affinity: {}
  priorityClassName: ""
  extraEnv: [{name: A, value: b}]
ingressClass: {name: tailscale, enabled: true}
proxyConfig: {image: {repository: registry.example/proxy, tag: "", digest: ""}, defaultTags: "tag:k8s", firewallMode: auto, defaultProxyClass: ""}
apiServerProxyConfig: {allowImpersonation: "false", mode: "false"}
imagePullSecrets: []
END
render() { "$HELM" template op $C -n tailpod --kube-version 1.35.0 "$@"; }
kc apply -f $C/crds > /dev/null
kc create ns tailpod > /dev/null
kc -n tailpod create sa default > /dev/null # by a controller in a whole cluster
kc apply -f - > /dev/null <<-'END' # of the Prometheus operator, as far as a ServiceMonitor of ours goes
	apiVersion: apiextensions.k8s.io/v1
	kind: CustomResourceDefinition
	metadata: {name: servicemonitors.monitoring.coreos.com}
	spec:
	  group: monitoring.coreos.com
	  scope: Namespaced
	  names: {kind: ServiceMonitor, listKind: ServiceMonitorList, plural: servicemonitors, singular: servicemonitor}
	  versions:
	    - name: v1
	      served: true
	      storage: true
	      schema:
	        openAPIV3Schema:
	          type: object
	          required: [spec]
	          properties:
	            spec:
	              type: object
	              required: [endpoints, selector]
	              properties:
	                selector: {type: object, properties: {matchLabels: {type: object, additionalProperties: {type: string}}}}
	                endpoints:
	                  type: array
	                  items: {type: object, properties: {port: {type: string}, interval: {type: string, pattern: '^[0-9]+(ms|s|m|h)$'}}}
END
until_ok 40 kc get servicemonitors
kc label ns tailpod pod-security.kubernetes.io/enforce=restricted > /dev/null
n=0
for values in "--set credentials.apiKey=x" "--set oauth.clientId=a,oauth.clientSecret=b" "--set credentials.kind=authKey,credentials.authKey=k" \
	"--set credentials.existingSecret=mine,caSecret=ca,loginServer=https://hs.example.com,operatorConfig.replicas=1" \
	"-f $T/stock.yaml" "--set coordinator.enabled=true" \
	"--set coordinator.enabled=true,coordinator.host=hs.example.com,coordinator.service.type=NodePort,coordinator.service.nodePort=30443,coordinator.service.stunPort=30478,coordinator.persistence.enabled=false,coordinator.policy=x" \
	"--set-json oauthSecretVolume={\"secret\":{\"secretName\":\"x\"}}" \
	"--set credentials.apiKey=x,networkPolicy.metricsFrom={monitoring},ingressClass.name=tailpod,ingressClass.tlsSecrets=true,proxyConfig.derpHTTP=true" \
	"--set credentials.apiKey=x,serviceMonitor.enabled=true,serviceMonitor.labels.team=a,imagePullSecrets[0].name=s --set-string headscaleUser=7" \
	"--set credentials.apiKey=x,operatorConfig.image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000,operatorConfig.priorityClassName=p,operatorConfig.defaultLoadBalancer=true,fullnameOverride=f,clusterDomain=c.example" \
	"--set credentials.apiKey=x,ingressClass.enabled=false,podDisruptionBudget.enabled=false,networkPolicy.enabled=false"; do
	# shellcheck disable=SC2086
	render $values > "$T/chart-$n.yaml"
	kc -n tailpod apply --dry-run=server -f "$T/chart-$n.yaml" >> "$T/dry.log" 2>&1 || die "$values: $(tail -n 3 "$T/dry.log")"
	n=$((n + 1))
done
never grep -i warning "$T"/dry.log
# the plugin's agents need the machine: not under "restricted"
kc create ns machine > /dev/null
kc -n machine create sa default > /dev/null
for values in "--set cni.authKey=k" "--set caSecret=ca,cni.existingSecret=s,cni.remove=true,cni.subnets={10.50.0.0/16},proxyConfig.derpHTTP=true" "--set cni.authKey=k,coordinator.enabled=true,cni.settings.failOpen=true"; do
	# shellcheck disable=SC2086
	render --set credentials.apiKey=x,cni.enabled=true,cni.namespaces={apps} $values > "$T/chart-$n.yaml"
	kc -n machine apply --dry-run=server -f "$T/chart-$n.yaml" > "$T/dry-machine.log" 2>&1 || die "$values: $(tail -n 3 "$T/dry-machine.log")"
	n=$((n + 1))
done
say "$n renderings accepted"
# each value with odd contents is refused by its name, or what comes of it is taken. What goes through to Kubernetes as it is (security
# contexts, a limit below its request) is judged there.
mkdir "$T/odd"
python3 e2e/chart_values.py "$HELM" $C "$T/odd" > "$T/odd.log" || die "$(cat "$T/odd.log")"
kc -n machine create --dry-run=server --validate=strict -f "$T/odd" > "$T/dry-odd.log" 2>&1 || true
[ "$(grep -c created "$T/dry-odd.log")" -ge 100 ] || die "$(tail -n 3 "$T/dry-odd.log")"
never grep -v 'created\|/operatorConfig.podSecurityContext\|/operatorConfig.securityContext\|/[a-zA-Z]*.resources.limits.memory' "$T/dry-odd.log"
say "odd values: $(head -n 1 "$T/odd.log")"

# what the chart installs is enough for the operator, and all it gets
chart_rights
SA=system:serviceaccount:tailpod:op-tailpod-operator
# rights SUBJECT NAMESPACE FILE: what it may do there is what e2e/golden/FILE says, no less and no more
rights() {
	local same='/^selfsubject/d; /^Resources/d'
	kc auth can-i --list --as "$1" -n "$2" | sed -E "$same; s/${1##*:}(-0)?\\b/SELF\\1/g; s/ +/ /g; s/ \$//" | grep -v '^ \[/' | LC_ALL=C sort > "$T/rights"
	[ -z "${GOLDEN:-}" ] || cp "$T/rights" "e2e/golden/$3"
	diff "e2e/golden/$3" "$T/rights" || die "$1 has other rights in $2 than e2e/golden/$3 says"
}
rights $SA tailpod operator-own
rights $SA default operator-elsewhere
# the plugin's agents tell Events, wherever the pod is, and watch their own DaemonSet
"$HELM" template agents $C -n machine --kube-version 1.35.0 --set credentials.apiKey=x,ingressClass.enabled=false,cni.enabled=true,cni.namespaces={apps},cni.authKey=k > "$T/agents.yaml"
kc -n machine apply -f "$T/agents.yaml" > /dev/null
rights system:serviceaccount:machine:agents-tailpod-operator-cni machine cni-agent-own
rights system:serviceaccount:machine:agents-tailpod-operator-cni default cni-agent
kc -n machine delete -f "$T/agents.yaml" --wait=false > /dev/null
for what in "get secrets -n kube-system" "create pods -n tailpod" "delete services -n default" "create clusterroles" "impersonate users" "get nodes"; do
	# shellcheck disable=SC2086
	! kc auth can-i --as "$SA" $what > /dev/null 2>&1 || die "the operator may $what"
done
OPERATOR_KUBECONFIG=$T/kubeconfig-op kept op OPERATOR_LEASE=op-tailpod-operator
KEPT=$PID
cat > "$T/all.yaml" <<-'END'
	apiVersion: v1
	kind: Service
	metadata: {name: web, annotations: {tailscale.com/expose: "true"}}
	spec: {ports: [{port: 80}]}
	---
	apiVersion: v1
	kind: Service
	metadata: {name: out, annotations: {tailscale.com/tailnet-ip: 100.64.0.3}}
	spec: {type: ExternalName, externalName: placeholder, ports: [{port: 5432}]}
	---
	apiVersion: networking.k8s.io/v1
	kind: Ingress
	metadata: {name: ing}
	spec: {ingressClassName: tailscale, rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
	---
	apiVersion: tailscale.com/v1alpha1
	kind: Connector
	metadata: {name: cn}
	spec: {subnetRouter: {advertiseRoutes: [10.40.0.0/14]}}
	---
	apiVersion: tailscale.com/v1alpha1
	kind: ProxyGroup
	metadata: {name: pg}
	spec: {type: egress}
END
sed -i 's/^\t//' "$T/all.yaml"
kc apply -f "$T/all.yaml" > /dev/null
until_ok 40 is_reason ProxyPending svc web
until_ok 40 is_reason ProxyPending svc out
until_ok 40 is_reason ConnectorCreating connector cn
until_ok 40 is_reason NotSupported proxygroup pg
has() { [ -n "$(proxy_of "$@")" ]; }
until_ok 40 has ingress default ing
joins "$(proxy_of ingress default ing)" 31 ing.tail.test 100.64.0.31
ing_told() { [ "$(kc get ingress ing -o jsonpath='{.status.loadBalancer.ingress[0].hostname}')" = ing.tail.test ]; }
until_ok 30 ing_told
never grep -E 'status 40[13]' "$T/op.log"
# a proxy has its own Secret and no other
for kind in "svc default web" "ingress default ing" "connector  cn"; do
	P=$(proxy_of ${kind%% *} "$(cut -d' ' -f2 <<< "$kind")" "${kind##* }")
	rights "system:serviceaccount:tailpod:$P" tailpod proxy-own
	rights "system:serviceaccount:tailpod:$P" default proxy-elsewhere
done
# the pods would be admitted: their templates as bare pods
for d in $(kc -n tailpod get sts -o name) deploy/op-tailpod-operator; do
	kc -n tailpod get "$d" -o json | jq '{apiVersion: "v1", kind: "Pod", metadata: {name: "trial", labels: .spec.template.metadata.labels}, spec: .spec.template.spec}' |
		kc -n tailpod create --dry-run=server -f - > /dev/null
done
kc delete -f "$T/all.yaml" --timeout=100s > /dev/null
until_ok 40 nothing_left
never grep -E 'status 40[13]' "$T/op.log"
say "at work with the chart's rights"

# objects of an operator that is gone: the command of the page takes its finalizer off each kind, and no other's
stop "$KEPT"
kc apply -f "$T/all.yaml" > /dev/null
for o in svc/web ingress/ing connector/cn; do kc patch $o --type merge -p '{"metadata":{"finalizers":["tailscale.com/finalizer","example.com/other"]}}' > /dev/null; done
sed -n '/hang in$/,/^CRDs stay/s/^    //p' docs/operations/operator.md > "$T/take-off"
(kubectl() { kc "$@"; }; . "$T/take-off") > "$T/took-off"
[ "$(grep -c replaced "$T/took-off")" = 3 ] || die "$(cat "$T/took-off")"
for o in svc/web ingress/ing connector/cn; do [ "$(kc get $o -o jsonpath='{.metadata.finalizers}')" = '["example.com/other"]' ] || die "$o: $(kc get $o -o yaml)"; done
for o in svc/web ingress/ing connector/cn; do kc patch $o --type merge -p '{"metadata":{"finalizers":null}}' > /dev/null; done
kc delete -f "$T/all.yaml" --timeout=100s > /dev/null
say "finalizers are taken off as the page says"

# the image trusts authorities by hash alone, without a bundle
certificate "$T/web" IP:127.0.0.1
tools/image-root cluster "$BIN" "$T/image"
cp "$CA" "$T/image/etc/ssl/certs/$(openssl x509 -in "$CA" -noout -subject_hash).0"
start kube web python3 -c 'import http.server, ssl, sys
s = http.server.HTTPServer(("127.0.0.1", 18443), http.server.SimpleHTTPRequestHandler)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain(sys.argv[1] + ".crt", sys.argv[1] + ".key")
s.socket = c.wrap_socket(s.socket, server_side=True); s.serve_forever()' "$T/web"
until_ok 30 in_ns kube curl -sk -o /dev/null https://127.0.0.1:18443/
in_ns kube chroot "$T/image" /usr/local/bin/operator check https://127.0.0.1:18443/
rm "$T/image/etc/ssl/certs/$(openssl x509 -in "$CA" -noout -subject_hash).0"
start kube check chroot "$T/image" /usr/local/bin/operator check https://127.0.0.1:18443/
rc=0; wait "$PID" || rc=$?
[ $rc = 1 ] && grep -q "certificate" "$T/check.log" || die "refused for another reason: $rc, $(cat "$T/check.log")"
say "certificates by hash"
