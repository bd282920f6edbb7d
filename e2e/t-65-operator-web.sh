#!/bin/bash
# Service, Ingress and Connector end to end: the operator on a real API server mints keys at a real Headscale; the proxies' containers
# are started by hand from what their pod templates say, and reached from a stock tailscaled: a Service by its proxy's address, an
# Ingress page by MagicDNS name over HTTP and HTTPS, a network behind a Connector once its routes are approved by the command in its
# condition. CREDENTIALS=oauth with CONTROL=coordinator (t-67): the same through /api/v2, as an OAuth client.
# waits: 100
. "$(dirname "$0")/lib.sh"
. e2e/kube.sh
need_peer tailscaled helm
cat > "$T/policy.json" <<'END'
{"tagOwners": {"tag:k8s": ["test@"]}, "acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}
END
headscale --fast --policy "$T/policy.json"
kube_api
host b; host web; host r
crds
credentials=()
if [ "${CREDENTIALS:-}" = oauth ]; then
	# an OAuth client is an API key here: its prefix the id, the whole the secret, which the operator gets wrong at first
	co_cli apikeys create --expiration 1h | tail -n 1 > "$T/right-secret"
	co_cli apikeys list -o json | jq -r '.apiKeys[0].prefix' > "$T/client-id"
	echo hskey-api-wrong > "$T/client-secret"
	credentials=(-u API_KEY_FILE CLIENT_ID_FILE="$T/client-id" CLIENT_SECRET_FILE="$T/client-secret")
else
	hs_cli apikeys create --expiration 1h | tail -n 1 > "$T/api-key"
fi
chart_rights --set ingressClass.tlsSecrets=true # read any TLS Secret by name, and nothing beyond the chart's rights
work() { OPERATOR_KUBECONFIG=$T/kubeconfig-op kept "$1" env "${credentials[@]}" OPERATOR_LEASE=op-tailpod-operator OPERATOR_LOGIN_SERVER="$URL" OPERATOR_CA_FILE="$CA"; }
# approve COMMAND ID ROUTE: the routes of a device, where the condition says
approve() {
	if [ "${CREDENTIALS:-}" = oauth ]; then
		local token
		token=$(in_ns hs curl -sf --cacert "$CA" -d grant_type=client_credentials -d "client_secret=$(cat "$T/right-secret")" "$URL/api/v2/oauth/token" | jq -r .access_token)
		in_ns hs curl -sf --cacert "$CA" -H "Authorization: Bearer $token" -d "{\"routes\":[\"$3\"]}" "$URL/api/v2/device/$2/routes" > /dev/null
		case $1 in "approve the routes of "*) ;; *) die "the condition says: $1" ;; esac
		return
	fi
	[ "$1" = "headscale nodes approve-routes -i $2 -r $3" ] || die "the condition says: $1"
	# shellcheck disable=SC2086
	hs_cli ${1#headscale } > /dev/null
}
nodes() { hs_cli nodes list -o json | jq -r '[.[].name] | sort | join(" ")'; }
work operator-a
OPERATOR=$PID

# --- a kubelet by hand: the container of a StatefulSet's pod template, with its variables, ConfigMaps, Secrets and token
mounts_of() { kc -n tailpod get sts "$1" -o json | jq -r '.spec.template.spec as $s | $s.containers[0].volumeMounts[] as $m | $s.volumes[] | select(.name == $m.name)
	| if .configMap then "cm \(.configMap.name) \($m.mountPath)" elif .secret then "secret \(.secret.secretName) \($m.mountPath)" else empty end'; }
# as the kubelet does: a new directory, and one link moved to it
sync_volumes() {
	local kind name path dir
	mounts_of "$1" | while read -r kind name path; do
		dir=$T/pods/$1$path
		mkdir -p "$dir/..$(date +%s%N)"
		dir=$(ls -d "$dir"/..[0-9]* | tail -n 1)
		if [ "$kind" = cm ]; then
			kc -n tailpod get cm "$name" -o json | jq -r '.data | keys[]' | while read -r k; do kc -n tailpod get cm "$name" -o json | jq -j --arg k "$k" '.data[$k]' > "$dir/$k"; done
		else
			kc -n tailpod get secret "$name" -o json | jq -r '.data | keys[]' | while read -r k; do kc -n tailpod get secret "$name" -o json | jq -j --arg k "$k" '.data[$k] | @base64d' > "$dir/$k"; done
		fi
		for k in "$dir"/*; do ln -sfn "..data/${k##*/}" "$T/pods/$1$path/${k##*/}"; done
		ln -sfn "${dir##*/}" "$T/pods/$1$path/..data.new"; mv -T "$T/pods/$1$path/..data.new" "$T/pods/$1$path/..data"
	done
}
# pod PROXY HOST: runs it there; its pid in $PID
pod() {
	local x=$1 h=$2 d=$T/pods/$1 sa ip env
	mkdir -p "$d/tmp"
	sync_volumes "$x"
	sa=$(kc -n tailpod get sts "$x" -o jsonpath='{.spec.template.spec.serviceAccountName}')
	account "$sa" "$d/account"
	eval "ip=\$IP_$h"
	kc -n tailpod get sts "$x" -o json | jq -r --arg pod "$x-0" --arg ip "$ip" --arg key "$(kc -n tailpod get secret "$x-0" -o json | jq -r '.data.authkey // "" | @base64d')" '
		.spec.template.spec.containers[0].env[] | if .valueFrom.fieldRef.fieldPath == "metadata.name" then "\(.name)=\($pod)" elif .valueFrom.fieldRef.fieldPath == "metadata.uid" then "\(.name)=uid-1"
		elif .valueFrom.fieldRef then "\(.name)=\($ip)" elif .valueFrom.secretKeyRef then (if $key == "" then empty else "\(.name)=\($key)" end)
		else "\(.name)=\(.value // "" | gsub("\\$\\(POD_NAME\\)"; $pod))" end' > "$d/env"
	printf '%s\n' "KUBERNETES_SERVICE_HOST=$IP_kube" KUBERNETES_SERVICE_PORT=6443 "TS_SOCKET=$d/tmp/s" "SSL_CERT_FILE=$CA" >> "$d/env"
	sed -i "s,=/etc/tailpod,=$d/etc/tailpod," "$d/env" # where the volumes are here
	printf '%s\n' "127.0.0.1 localhost" "$IP_web web.default.svc.cluster.local api.default.svc.cluster.local" > "$d/hosts"
	readarray -t env < "$d/env"
	start "$h" "pod-$x" e2e/in_pod "$d/account" sh -c 'mount --bind "$0" /etc/hosts && exec "$@"' "$d/hosts" env -i "${env[@]}" "$BIN/containerboot"
}

echo 'import http.server, json, sys
class H(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def do_GET(self):
        b = json.dumps({"who": sys.argv[2], "path": self.path, "head": {k.lower(): v for k, v in self.headers.items()}}).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(b))); self.end_headers(); self.wfile.write(b)
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), H).serve_forever()' > "$T/back.py"
start web back-web python3 "$T/back.py" 8080 web
start web back-api python3 "$T/back.py" 9090 api
event() { kc get events -o json | jq -e --arg n "$1" --arg r "$2" 'any(.items[]; .involvedObject.name == $n and .reason == $r)' > /dev/null; }
page() { via b "$1" --max-time 30 --cacert "$CA" | jq -r "$2"; }
tailscaled b; ts_up b "$(authkey --reusable)"

# --- a Service: its address is on the proxy's host here, as the cluster's network would lead there
host pod0
kc create service clusterip plain --tcp=8080 > /dev/null
kc annotate svc plain tailscale.com/expose=true > /dev/null
if [ "${CREDENTIALS:-}" = oauth ]; then
	until_ok 40 event plain CredentialsFailed
	cp "$T/right-secret" "$T/client-secret"
fi
S=
has_key() { S=$(proxy_of svc default plain); [ -n "$S" ] && [ -n "$(kc -n tailpod get secret "$S-0" -o jsonpath='{.data.authkey}')" ] && kc -n tailpod get sts "$S"; }
until_ok 90 has_key
in_ns pod0 ip addr add "$(kc get svc plain -o jsonpath='{.spec.clusterIP}')/32" dev lo
start pod0 back-plain python3 "$T/back.py" 8080 plain
pod "$S" pod0
PLAIN=$PID
until_ok 40 is_reason ProxyCreated svc plain
[ "$(nodes)" = "b default-plain" ] || die "nodes: $(nodes)"
until_ok 40 eval '[ "$(page "http://$(addr default-plain):8080/x" .who)" = plain ]'
key_is_gone() { [ -z "$(kc -n tailpod get secret "$S-0" -o jsonpath='{.data.authkey}')" ]; }
until_ok 30 key_is_gone
if [ "${CREDENTIALS:-}" = oauth ]; then
	grep -q "audit: auth key [0-9]* for $S of svc/default/plain: OAuth client, tags tag:k8s" "$T/operator-a.log" || die "not by the OAuth client"
	grep -q "access token made by API key" "$T/headscale.log" || die "no token was asked for"
fi
# it becomes a name elsewhere: the same node, another destination
kc patch svc plain --type merge -p '{"spec":{"type":"ExternalName","externalName":"api.default.svc.cluster.local","clusterIP":null,"clusterIPs":null}}' > /dev/null
by_name() { kc -n tailpod get sts "$S" -o json | jq -e '.spec.template.spec.containers[0].env | any(.name == "TS_EXPERIMENTAL_DEST_DNS_NAME" and .value == "api.default.svc.cluster.local")'; }
until_ok 40 by_name
kill "$PLAIN" 2> /dev/null || true; wait "$PLAIN" 2> /dev/null || true
pod "$S" pod0
PLAIN=$PID
until_ok 40 eval '[ "$(page "http://$(addr default-plain):9090/x" .who)" = api ]'
[ "$(nodes)" = "b default-plain" ] || die "nodes: $(nodes)"
id=$(hs_cli nodes list -o json | jq -r '.[] | select(.name == "default-plain") | .id')
kc delete svc plain --timeout=100s > /dev/null
until_ok 40 nothing_left
[ "$(nodes)" = b ] || die "the device stays: $(nodes)"
grep -q "audit: device $id of svc/default/plain is deleted" "$T/operator-a.log" || die "no line of the audit"
kill -9 "$PLAIN" 2> /dev/null || true; wait "$PLAIN" 2> /dev/null || true
say "a Service by its proxy's address, then a name elsewhere; its device goes with it"

# --- an Ingress: two Services, one port by name
certificate "$T/shop" "DNS:shop.tail.test"
cat > "$T/objects.yaml" <<'END'
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {ports: [{name: http, port: 9090}, {name: calls, port: 9091, appProtocol: kubernetes.io/h2c}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  ingressClassName: tailscale
  tls: [{hosts: [shop], secretName: shop-cert}]
  rules:
    - http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 8080}}}}
          - {path: /api, pathType: Prefix, backend: {service: {name: api, port: {name: http}}}}
          - {path: /none, pathType: Prefix, backend: {service: {name: api, port: {name: nobody}}}}
          - {path: /just, pathType: Exact, backend: {service: {name: api, port: {number: 9090}}}}
          - {path: /calls, pathType: Prefix, backend: {service: {name: api, port: {number: 9091}}}}
          - {path: /ghost, pathType: Prefix, backend: {service: {name: ghost, port: {number: 80}}}}
END
kc apply -f "$T/objects.yaml" > /dev/null
until_ok 40 event shop TLSSecretMissing
until_ok 30 event shop InvalidIngressBackend
says() { kc get events -o json | jq -e --arg n "$1" --arg m "$2" 'any(.items[]; .involvedObject.name == $n and (.message | contains($m)))' > /dev/null; }
until_ok 30 says shop "port 9091 of Service api is for kubernetes.io/h2c"
until_ok 30 says shop "there is no Service ghost"
kc create secret tls shop-cert --cert="$T/shop.crt" --key="$T/shop.key" > /dev/null
kc annotate ingress shop touched=1 > /dev/null # looked at again at once, not in a minute
W=$(proxy_of ingress default shop)
until_ok 40 kc -n tailpod get secret "$W-tls"
has_tls() { kc -n tailpod get sts "$W" -o json | grep -q TS_SERVE_TLS_DIR; }
until_ok 30 has_tls
has_key() { [ -n "$(kc -n tailpod get secret "$W-0" -o jsonpath='{.data.authkey}')" ]; }
until_ok 40 has_key
host pod1; host pod2
pod "$W" pod1
is_up() { kc get ingress shop -o jsonpath='{.status.loadBalancer.ingress[0].hostname}' | grep -qx shop.tail.test; }
until_ok 30 is_up
until_ok 40 eval '[ "$(page http://shop.tail.test/x .who)" = web ]'
[ "$(page http://shop.tail.test/x .path)" = /x ] && [ "$(page "http://shop/api/v1?q" '.who + .path')" = "api/api/v1?q" ] || die "paths"
[ "$(page http://shop/just '.who + .path')$(page http://shop/just/x '.who + .path')" = "api/justweb/just/x" ] || die "pathType Exact"
[ "$(page https://shop.tail.test/api '.who + .head["x-forwarded-proto"]')" = apihttps ] || die "HTTPS"
[ "$(page https://shop.tail.test/ '.head["x-forwarded-for"]')" = "$(addr b)" ] || die "who asks"
page http://shop.tail.test/ '.head["tailscale-user-login"]' | grep -q '^test' || die "the peer's identity"
say "an Ingress by MagicDNS name, HTTP and HTTPS"

# --- renewed, and another rule: without a restart
certificate "$T/new" "DNS:shop.tail.test,DNS:renewed.test"
kc create secret tls shop-cert --cert="$T/new.crt" --key="$T/new.key" --dry-run=client -o yaml | kc apply -f - > /dev/null 2>&1
kc patch ingress shop --type json -p '[{"op":"remove","path":"/spec/rules/0/http/paths/2"},{"op":"remove","path":"/spec/rules/0/http/paths/1"}]' > /dev/null
renewed() { [ "$(kc -n tailpod get secret "$W-tls" -o jsonpath='{.data.tls\.crt}')" = "$(kc get secret shop-cert -o jsonpath='{.data.tls\.crt}')" ]; }
until_ok 40 renewed
sync_volumes "$W"
until_ok 40 eval '[ "$(page http://shop.tail.test/api .who)" = web ]'
until_ok 30 eval 'via b https://shop.tail.test/ --cacert "$CA" -v 2>&1 | grep -q renewed.test'
say "renewed certificate and changed rules act without a restart"

# --- a Connector
in_ns pod2 ip addr add 10.50.0.1/24 dev eth0; in_ns r ip addr add 10.50.0.2/24 dev eth0
start r back-r python3 "$T/back.py" 8000 r
kc apply -f - > /dev/null <<'END'
apiVersion: tailscale.com/v1alpha1
kind: Connector
metadata: {name: net}
spec: {subnetRouter: {advertiseRoutes: [10.50.0.0/24]}}
END
C=
made() { C=$(proxy_of connector "" net); [ -n "$C" ] && [ -n "$(kc -n tailpod get secret "$C-0" -o jsonpath='{.data.authkey}')" ] && kc -n tailpod get sts "$C" > /dev/null; }
until_ok 40 made
pod "$C" pod2
ROUTER=$PID
until_ok 30 is_reason RoutesNotApproved connector net
ts b set --accept-routes
command=$(kc get connector net -o jsonpath='{.status.conditions[0].message}')
approve "$command" "$(hs_cli nodes list -o json | jq -r '.[] | select(.name == "net-connector") | .id')" 10.50.0.0/24
until_ok 30 is_reason ConnectorCreated connector net
until_ok 40 eval '[ "$(page http://10.50.0.2:8000/ .who)" = r ]'
say "a Connector's network, once approved by the command in its condition"

# --- while no operator runs, somebody takes off the finalizer and deletes the Connector with all that was made for it: its device
# is swept once there is one again, the other stays
in_ledger() { [ "$(ledger | wc -l)" = "$1" ]; }
until_ok 40 in_ledger 2
stop "$OPERATOR"
kc patch connector net --type merge -p '{"metadata":{"finalizers":null}}' > /dev/null
kc delete connector net --timeout=100s > /dev/null
kc -n tailpod delete secret,sa,role,rolebinding,svc,cm,sts -l tailscale.com/parent-resource=net > /dev/null
stop "$ROUTER"
[ "$(nodes)" = "b net-connector shop" ] || die "nodes: $(nodes)"
work operator-b
until_ok 150 eval '[ "$(nodes)" = "b shop" ]'
until_ok 40 eval "kc -n tailpod get events -o json | jq -e 'any(.items[]; .reason == \"OrphanDeleted\" and (.message | contains(\"of connector//net\")))' > /dev/null"
until_ok 60 in_ledger 1
[ "$(page http://shop.tail.test/x .who)" = web ] || die "the other proxy"
say "a device that nothing leads to any more is swept"

# --- and all is gone again, at the control server too
kc delete ingress shop --timeout=100s > /dev/null
until_ok 40 nothing_left
until_ok 30 eval '[ "$(nodes)" = b ]'
until_ok 60 in_ledger 0
kc -n tailpod get cm -l tailpod/ledger -o json | jq -e 'all(.items[]; .metadata.ownerReferences[0] | .kind == "Lease" and .name == "op-tailpod-operator")' > /dev/null || die "the ledger stays at uninstall"
# but for the client's secret that was wrong at first, nobody was refused anything
grep -hE 'status 40[13]' "$T"/operator-?.log | grep -v "OAuth token: the control server refuses our credentials" > "$T/refusals" || true
[ ! -s "$T/refusals" ] || die "refused: $(cat "$T/refusals")"
say "nothing is left of them"
