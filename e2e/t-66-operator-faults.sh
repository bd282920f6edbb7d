#!/bin/bash
# The operator killed at each write in turn, before it is sent and once it is answered, to the API server and to the control
# server: a Service, an egress Service, an Ingress and a Connector come to stand and go again, with one proxy each, few keys
# more than proxies, every device deleted, nothing left.
. "$(dirname "$0")/lib.sh"
. e2e/kube.sh
kube_api
fake_headscale
crds
cat > "$T/all.yaml" <<'END'
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {tailscale.com/expose: "true"}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: out, annotations: {tailscale.com/tailnet-fqdn: db.tail.test}}
spec: {type: ExternalName, externalName: before.example.com, ports: [{port: 5432}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ing}
spec: {ingressClassName: tailscale, tls: [{secretName: cert}], rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
---
apiVersion: tailscale.com/v1alpha1
kind: Connector
metadata: {name: cn}
spec: {subnetRouter: {advertiseRoutes: [10.40.0.0/14]}}
END
certificate "$T/cert" DNS:a
kc create secret tls cert --cert="$T/cert.crt" --key="$T/cert.key" > /dev/null
in_ns kube curl -s -X POST -d '["10.40.0.0/14"]' http://127.0.0.1:18080/approve > /dev/null

stand() { # each has its proxy with a key, and says so
	[ "$(kc -n tailpod get sts -l tailscale.com/managed=true -o name | wc -l)" = 4 ] &&
		[ "$(kc -n tailpod get secret -o json | jq '[.items[] | select(.data.authkey)] | length')" = 4 ] &&
		[ "$(reason svc web)$(reason svc out)$(reason connector cn)" = ProxyPendingProxyPendingConnectorCreating ] &&
		[ "$(kc get svc out -o jsonpath='{.spec.externalName}')" = "$(proxy_of svc default out).tailpod.svc.cluster.local" ] &&
		kc -n tailpod get secret "$(proxy_of ingress default ing)-tls"
}
kc apply -f "$T/all.yaml" > /dev/null
lives stand 2> "$T/deaths.log"
up=$deaths
keys=$(grep -c 'POST /api/v1/preauthkey' "$T/keys")
echo "figure: four objects up through $up deaths, $keys keys for 4 proxies"
[ "$up" -ge 10 ] || die "only $up deaths: writes are not counted"
[ "$keys" -le $((4 + up)) ] || die "more keys than proxies and deaths"

i=0
for x in $(kc -n tailpod get sts -l tailscale.com/managed=true -o jsonpath='{.items[*].metadata.name}'); do i=$((i + 1)); joins "$x" $((10 + i)) "n$i.tail.test" "100.64.2.$i"; done
ready() { [ "$(reason svc web)$(reason svc out)$(reason connector cn)" = ProxyCreatedProxyCreatedConnectorCreated ] &&
	[ "$(kc -n tailpod get secret -o json | jq '[.items[] | select(.data.authkey)] | length')" = 0 ] && [ -n "$(kc get ingress ing -o jsonpath='{.status.loadBalancer.ingress[0].hostname}')" ]; }
lives ready 2> "$T/deaths.log"
say "ready through $((deaths - up)) deaths more; used keys are gone"

# one is taken back by its annotation, the others by deletion
kc annotate svc out tailscale.com/tailnet-fqdn- > /dev/null
kc delete svc web --wait=false > /dev/null
kc delete ingress ing --wait=false > /dev/null
kc delete connector cn --wait=false > /dev/null
gone() { nothing_left && ! kc get svc web && ! kc get ingress ing && ! kc get connector cn && [ "$(kc get svc out -o json | jq -c '[.metadata.finalizers // [] | .[]]')" = '[]' ]; }
down=$deaths
lives gone 2> "$T/deaths.log"
echo "figure: four objects gone through $((deaths - down)) deaths"
[ $((deaths - down)) -ge 8 ] || die "only $((deaths - down)) deaths"
[ "$(grep -o 'DELETE /api/v1/node/[0-9]*' "$T/keys" | sort -u | wc -l)" = 4 ] || die "devices stay"
[ "$(kc get svc out -o json | jq -c "[.spec.externalName, (.metadata.annotations // {} | has(\"tailpod/external-name\"))]")" = '["before.example.com",false]' ] || die "the egress Service is not what it was"
say "killed $deaths times: nothing is left, and the egress Service is what it was"
