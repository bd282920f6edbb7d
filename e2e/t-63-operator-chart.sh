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
say "linted"

kube_api
fake_headscale
render() { "$HELM" template op $C -n tailpod --kube-version 1.35.0 "$@"; }
kc apply -f $C/crds > /dev/null
kc create ns tailpod > /dev/null
kc label ns tailpod pod-security.kubernetes.io/enforce=restricted > /dev/null
n=0
for values in "--set credentials.apiKey=x" "--set oauth.clientId=a,oauth.clientSecret=b" "--set credentials.kind=authKey,credentials.authKey=k" \
	"--set credentials.existingSecret=mine,caSecret=ca,loginServer=https://hs.example.com,operatorConfig.replicas=1" \
	"--set credentials.apiKey=x,networkPolicy.metricsFrom={monitoring},ingressClass.name=tailpod,proxyConfig.derpHTTP=true" \
	"--set credentials.apiKey=x,ingressClass.enabled=false,podDisruptionBudget.enabled=false,networkPolicy.enabled=false"; do
	# shellcheck disable=SC2086
	render $values > "$T/chart-$n.yaml"
	kc -n tailpod apply --dry-run=server -f "$T/chart-$n.yaml" > "$T/dry.log"
	n=$((n + 1))
done
never grep -i warning "$T"/dry.log
say "$n renderings accepted"

# what the chart installs is enough for the operator, and all it gets
render --set credentials.apiKey=x > "$T/chart.yaml"
kc -n tailpod apply -f "$T/chart.yaml" > /dev/null
kubeconfig_of "$T/kubeconfig-op" "$(kc -n tailpod create token op-tailpod-operator --duration=1h)"
SA=system:serviceaccount:tailpod:op-tailpod-operator
for what in "get secrets -n kube-system" "create pods -n tailpod" "delete services -n default" "create clusterroles" "impersonate users" "get nodes"; do
	# shellcheck disable=SC2086
	! kc auth can-i --as "$SA" $what > /dev/null 2>&1 || die "the operator may $what"
done
OPERATOR_KUBECONFIG=$T/kubeconfig-op operator op OPERATOR_LEASE=op-tailpod-operator
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
until_ok 20 is_reason ProxyPending svc web
until_ok 20 is_reason ProxyPending svc out
until_ok 20 is_reason ConnectorCreating connector cn
until_ok 20 is_reason NotSupported proxygroup pg
has() { [ -n "$(proxy_of "$@")" ]; }
until_ok 20 has ingress default ing
joins "$(proxy_of ingress default ing)" 31 ing.tail.test 100.64.0.31
ing_told() { [ "$(kc get ingress ing -o jsonpath='{.status.loadBalancer.ingress[0].hostname}')" = ing.tail.test ]; }
until_ok 10 ing_told
never grep -E 'status 40[13]' "$T/op.log"
# the pods would be admitted: their templates as bare pods
for d in $(kc -n tailpod get sts -o name) deploy/op-tailpod-operator; do
	kc -n tailpod get "$d" -o json | jq '{apiVersion: "v1", kind: "Pod", metadata: {name: "trial", labels: .spec.template.metadata.labels}, spec: .spec.template.spec}' |
		kc -n tailpod create --dry-run=server -f - > /dev/null
done
kc delete -f "$T/all.yaml" --timeout=30s > /dev/null
until_ok 20 nothing_left
never grep -E 'status 40[13]' "$T/op.log"
say "at work with the chart's rights"
