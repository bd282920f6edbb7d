#!/bin/bash
# Several Services in one process, when their ProxyClass says so: real API server, real Headscale, one containerboot started as
# the StatefulSet has it. A stock tailscaled fetches two Services from it, egress by a third; one goes, one comes, one moves to a
# pod of its own and stays the same machine, while a transfer by another goes on; the next group begins when one is full.
. "$(dirname "$0")/lib.sh"
. e2e/kube.sh
headscale
kube_api
host a; host b; host c
crds
chart_rights
hs_cli apikeys create | tail -n 1 > "$T/api-key"
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"; web b 8000
OPERATOR_KUBECONFIG=$T/kubeconfig-op operator op OPERATOR_LEASE=op-tailpod-operator OPERATOR_LOGIN_SERVER="$URL" OPERATOR_CA_FILE="$CA" OPERATOR_LOGGING=debug

# --- the class, and three Services of it ---
class() { # NAME COUNT
	kc apply -f - > /dev/null <<-END
	{apiVersion: tailscale.com/v1alpha1, kind: ProxyClass, metadata: {name: $1}, spec: {tailpod: {nodesPerProcess: $2}}}
	END
}
never class shared 65
class shared 3
expose() { # NAME: a Service of the class whose address is served on host a
	kc create service clusterip "$1" --tcp=8000:8000 > /dev/null
	kc label svc "$1" tailscale.com/proxy-class=shared > /dev/null
	kc annotate svc "$1" tailscale.com/expose=true "tailscale.com/hostname=$1" > /dev/null
	local ip; ip=$(kc get svc "$1" -o jsonpath='{.spec.clusterIP}')
	in_ns a ip addr add "$ip/32" dev lo
	mkdir -p "$T/$1.www"; echo "this is $1" > "$T/$1.www/index.html"
	start a "web-$1" python3 -m http.server --bind "$ip" --directory "$T/$1.www" 8000
}
expose web; expose api
kc apply -f - > /dev/null <<END
{apiVersion: v1, kind: Service, metadata: {name: db, labels: {tailscale.com/proxy-class: shared}, annotations: {tailscale.com/tailnet-ip: "$(addr b)"}},
 spec: {type: ExternalName, externalName: placeholder, ports: [{name: http, port: 80, targetPort: 8000}]}}
END
sets() { kc -n tailpod get sts -l tailscale.com/managed=true -o name | sed 's,.*/,,' | sort; }
nodes_of() { kc -n tailpod get cm "$1-serve" -o jsonpath='{.data.nodes\.json}' | jq -r '.nodes | keys[]'; }
until_ok 60 eval '[ "$(sets | wc -l)" = 1 ]'
G=$(sets)
until_ok 60 eval '[ "$(nodes_of $G | wc -l)" = 3 ]'
WEB=$(proxy_of svc default web) API=$(proxy_of svc default api) DB=$(proxy_of svc default db)
SA=system:serviceaccount:tailpod:$G
for p in "$WEB" "$API" "$DB"; do kc auth can-i --as "$SA" -n tailpod patch "secret/$p-0" > /dev/null || die "$G may not write the state of $p"; done
for what in "list secrets" "get secret/other-0" "create secrets" "get configmaps"; do
	# shellcheck disable=SC2086
	! kc auth can-i --as "$SA" -n tailpod $what > /dev/null 2>&1 || die "the process may $what"
done
[ "$(kc -n tailpod get secret -l tailscale.com/managed=true -o name | wc -l)" = 3 ] && [ "$(kc -n tailpod get sa -l tailscale.com/managed=true -o name | wc -l)" = 1 ] ||
	die "objects: $(kc -n tailpod get secret,sa -l tailscale.com/managed=true -o name)"
say "three Services, one StatefulSet $G with the rights of just their Secrets"

# --- what kubelet would do ---
pod() { # SET HOST: its container, with the variables of the StatefulSet but for the place of the list
	local g=$1 h=$2 vars
	mkdir -p "$T/$g.list"
	account "$g" "$T/$g.account"
	mapfile -t vars < <(kc -n tailpod get sts "$g" -o json | jq -r '.spec.template.spec.containers[0].env[] | select(.value) | "\(.name)=\(.value)"' |
		sed -e "s,/etc/tailpod/nodes,$T/$g.list," -e "s,\$(POD_NAME),$g-0,")
	if kc -n tailpod get cm "$g-serve" > /dev/null 2>&1; then kubelet "$g"; start kube "kubelet-$g" bash -c "while :; do sleep 0.5; $(declare -f in_ns kc kubelet); ID='$ID' PEERS='$PEERS' T='$T'; kubelet $g; done"; fi
	start "$h" "$g" e2e/in_pod "$T/$g.account" env -u TS_STATE_DIR "${vars[@]}" SSL_CERT_FILE="$CA" TS_SOCKET="$T/$g.sock" POD_NAME="$g-0" POD_UID="uid-$g" \
		KUBERNETES_SERVICE_HOST="$IP_kube" KUBERNETES_SERVICE_PORT=6443 "$BIN/containerboot"
	eval "PID_$h=$PID"
}
kubelet() { # the ConfigMap as a file
	kc -n tailpod get cm "$1-serve" -o jsonpath='{.data.nodes\.json}' > "$T/$1.list/new" 2> /dev/null && [ -s "$T/$1.list/new" ] || return 0
	cmp -s "$T/$1.list/new" "$T/$1.list/nodes.json" || mv "$T/$1.list/new" "$T/$1.list/nodes.json"
}
device() { kc -n tailpod get secret "$1-0" -o jsonpath='{.data.device_id}' | base64 -d; }
pod "$G" a
for s in web api db; do until_ok 90 is_reason ProxyCreated svc $s; done
page() { via b "http://$(addr "$1"):8000/" --max-time 10 | grep -q "this is $1"; }
until_ok 60 page web
until_ok 60 page api
[ "$(kc get svc db -o jsonpath='{.spec.externalName}')" = "$DB.tailpod.svc.cluster.local" ] || die "externalName: $(kc get svc db -o jsonpath='{.spec.externalName}')"
port=$(kc -n tailpod get svc "$DB" -o jsonpath='{.spec.ports[?(@.port==80)].targetPort}')
[ "$(kc -n tailpod get svc "$DB" -o jsonpath='{.spec.selector.app}')" = "$G" ] && [ "$port" -ge 20000 ] || die "the Service of db: port $port"
until_ok 60 eval 'in_ns c curl -sS --max-time 5 "http://$IP_a:$port/" | grep -q "hello from b"'
say "a stock client fetched two Services from one process; egress by the same, at port $port"

# --- one goes and one comes, while a transfer by another goes on ---
head -c $((24 << 20)) /dev/urandom > "$T/web.www/big"
in_ns b curl -sS --proxy socks5h://127.0.0.1:1055 --limit-rate 400k --max-time 200 -o "$T/got" "http://$(addr web):8000/big" & transfer=$!
web_id=$(device "$WEB") api_id=$(device "$API") ip_web=$(addr web)
kc delete svc api --timeout=60s > /dev/null
until_ok 60 eval '[ "$(nodes_of $G | wc -l)" = 2 ]'
hs_cli nodes list -o json | jq -e --arg id "$api_id" 'all(.[]; (.id | tostring) != $id)' > /dev/null || die "the device of api stays"
never kc -n tailpod get secret "$API-0"
never kc auth can-i --as "$SA" -n tailpod get "secret/$API-0"
until_ok 30 grep -q "node $API is removed" "$T/$G.log"
expose new
until_ok 90 is_reason ProxyCreated svc new
until_ok 60 page new
[ "$(sets)" = "$G" ] || die "a place was free: $(sets)"
kill -0 "$transfer" || die "the transfer was over before: make it longer"
say "one Service went with its device, another took its place"
expose fifth
until_ok 60 eval '[ "$(sets | wc -l)" = 2 ]'
G2=$(sets | grep -vxF "$G")
until_ok 60 eval '[ "$(nodes_of $G2 | wc -l)" = 1 ]'
wait "$transfer" || die "the transfer by web was cut"
[ "$(sha256sum < "$T/got")" = "$(sha256sum < "$T/web.www/big")" ] || die "24 MiB damaged"
say "a full group has a second beside it; 24 MiB by web intact meanwhile"

# --- web moves to a pod of its own: the same machine ---
kc label svc web tailscale.com/proxy-class- > /dev/null
until_ok 60 kc -n tailpod get sts "$WEB"
grep -q "node $WEB is removed" "$T/$G.log" || die "its own pod began before the group had let it go"
never grep -q "$WEB" <(nodes_of "$G")
[ "$(device "$WEB")" = "$web_id" ] || die "another device"
host d
in_ns d ip addr add "$(kc get svc web -o jsonpath='{.spec.clusterIP}')/32" dev lo
start d web-own python3 -m http.server --bind "$(kc get svc web -o jsonpath='{.spec.clusterIP}')" --directory "$T/web.www" 8000
pod "$WEB" d
until_ok 90 page web
[ "$(addr web)" = "$ip_web" ] || die "another address"
page new || die "the others are gone"
say "web moved to a pod of its own with its address"
# and back: not before its pod is gone, which is this script's part, as the StatefulSet's end is
kc label svc web tailscale.com/proxy-class=shared > /dev/null
until_ok 60 eval '[ -n "$(kc -n tailpod get sts "$WEB" -o jsonpath="{.metadata.deletionTimestamp}")" ]'
sleep 2
never grep -qxF "$WEB" <(nodes_of "$G")
kill "$PID_d"; wait "$PID_d" || true
kc -n tailpod patch sts "$WEB" --type merge -p '{"metadata":{"finalizers":null}}' > /dev/null
until_ok 90 eval 'nodes_of $G | grep -qxF "$WEB"'
never kc -n tailpod get sts "$WEB"
until_ok 90 page web
[ "$(addr web)" = "$ip_web" ] || die "another address after the way back"
say "and back into the group"

# --- all go ---
kc delete svc web new fifth db --timeout=120s > /dev/null
until_ok 90 nothing_left
hs_cli nodes list -o json | jq -e 'length == 1' > /dev/null || die "devices stay: $(hs_cli nodes list)"
kill -0 "$PID_a" || die "the process ended"
say "nothing is left"
