#!/bin/bash
# The state in a Secret of a real API server: rights are checked with advice; a key in the Secret logs in and is taken away;
# device fields appear; restart and kill -9 keep the node; a stock tailscaled takes the Secret over and gives it back; without
# the right to patch the Secret is put, without a Secret it is made; the API server away does not hurt a running node.
. "$(dirname "$0")/lib.sh"
need_peer etcd kube-apiserver kubectl
headscale
host k; host a; host b
K=$T/kube; mkdir -p "$K"

# --- an API server without nodes ---
certs() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=test-ca \
		-keyout "$K/ca.key" -out "$K/ca.crt" 2> /dev/null
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=kube-apiserver -keyout "$K/api.key" -out "$K/api.csr" 2> /dev/null
	printf 'subjectAltName=DNS:kubernetes.default.svc,IP:%s,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' "$IP_k" > "$K/ext"
	openssl x509 -req -in "$K/api.csr" -CA "$K/ca.crt" -CAkey "$K/ca.key" -CAcreateserial -days 30 -extfile "$K/ext" -out "$K/api.crt" 2> /dev/null
	openssl ecparam -name prime256v1 -genkey -noout -out "$K/sa.key"
	openssl ec -in "$K/sa.key" -pubout -out "$K/sa.pub" 2> /dev/null
	echo 'adminsecret,admin,admin,system:masters' > "$K/tokens.csv"
}
api_start() {
	start k apiserver "$PEERS/kube-apiserver" --etcd-servers http://127.0.0.1:2379 --bind-address 0.0.0.0 --advertise-address "$IP_k" \
		--secure-port 6443 --tls-cert-file "$K/api.crt" --tls-private-key-file "$K/api.key" --token-auth-file "$K/tokens.csv" \
		--service-account-issuer https://kubernetes.default.svc --service-account-key-file "$K/sa.pub" \
		--service-account-signing-key-file "$K/sa.key" --service-cluster-ip-range 10.96.0.0/16 --authorization-mode RBAC
	API_PID=$PID
	until_ok 60 kubectl get --raw /readyz
}
kubectl() { in_ns k "$PEERS/kubectl" --server "https://127.0.0.1:6443" --certificate-authority "$K/ca.crt" --token adminsecret --request-timeout=60s -n shop "$@"; }
field() { kubectl get secret "$1" -o json | jq -r --arg f "$2" '.data[$f] // "" | @base64d'; }
fields() { kubectl get secret "$1" -o json | jq -r '.data // {} | keys[]'; }
certs
start k etcd "$PEERS/etcd" --name default --data-dir "$K/etcd" --unsafe-no-fsync --log-level warn \
	--listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
	--listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster default=http://127.0.0.1:2380
api_start
say "API server ready"
until_ok 40 kubectl create namespace shop
until_ok 40 kubectl create serviceaccount web

# --- the example manifests: the server takes them, Pod Security "restricted" has nothing to say ---
kubectl label namespace shop pod-security.kubernetes.io/warn=restricted > /dev/null
kubectl create deployment x --image=x --dry-run=server 2>&1 | grep -q "violate PodSecurity" || die "the server does not look at Pod Security"
for f in examples/kubernetes/*.yaml; do
	kubectl apply --dry-run=server -f "$f" > "$T/dry.log" 2>&1 || { cat "$T/dry.log"; die "$f is refused"; }
	grep -i "violate PodSecurity" "$T/dry.log" && die "$f is not restricted"
done
say "examples/kubernetes: accepted, restricted"

# --- a pod's view: its account where Kubernetes mounts it, in a mount namespace of its own ---
account() { # the token of service account web
	mkdir -p "$T/account"
	kubectl create token web --duration 1h > "$T/account/token"
	cp "$K/ca.crt" "$T/account/ca.crt"; echo -n shop > "$T/account/namespace"
}
role() { # NAME VERBS...: what service account web may do with the Secret NAME
	local name=$1; shift
	kubectl delete role,rolebinding web --ignore-not-found > /dev/null
	{
		echo "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: web}, rules: ["
		echo "{apiGroups: [''], resources: [secrets], resourceNames: [$name], verbs: [$(IFS=,; echo "$*")]},"
		[ -z "${MAY_CREATE:-}" ] || echo "{apiGroups: [''], resources: [secrets], verbs: [create]},"
		echo "{apiGroups: [''], resources: [events], verbs: [get, create, patch]}]}"
	} | kubectl apply -f - > /dev/null
	kubectl create rolebinding web --role web --serviceaccount shop:web > /dev/null
}
pod() { # SECRET [VAR=VALUE...]: ours on host a as a pod
	local secret=$1; shift
	mkdir -p "$T/a.state"
	start a a e2e/in_pod "$T/account" env -u TS_STATE_DIR SSL_CERT_FILE="$CA" TS_LOGIN_SERVER="$URL" TS_HOSTNAME=a TS_SOCKET="$T/a.sock" \
		TS_ENABLE_HEALTH_CHECK=true TS_KUBE_SECRET="$secret" KUBERNETES_SERVICE_HOST="$IP_k" KUBERNETES_SERVICE_PORT=6443 \
		POD_NAME=web-0 POD_UID=1234-uid TS_SOCKS5_SERVER=127.0.0.1:1055 "$@" "$BIN/containerboot"
	PID_a=$PID
}
ends() { # CODE: the pod ends with it
	local rc=0; wait "$PID_a" || rc=$?
	[ "$rc" = "$1" ] || { cat "$T/a.log"; die "exit code $rc instead of $1"; }
}
account

# --- rights ---
pod web; ends 1
grep -q "may not get, update or patch the Secret shop/web; give it a Role" "$T/a.log" || { cat "$T/a.log"; die "no advice about rights"; }
role web get update patch
until_ok 30 kubectl auth can-i patch secret/web --as system:serviceaccount:shop:web
pod web; ends 1
grep -q "does not exist and the pod's service account may not create it" "$T/a.log" || { cat "$T/a.log"; die "no advice about the missing Secret"; }
say "advice is given"

# --- a key in the Secret; the fields ---
key=$(authkey --reusable)
kubectl create secret generic web --from-literal=authkey="$key" --from-literal=mine=keep > /dev/null
pod web TS_AUTH_ONCE=true; ready a
until_ok 30 eval '[ -n "$(field web device_ips)" ]'
id=$(field web device_id)
[ "$(field web device_fqdn)" = a.tail.test. ] || die "device_fqdn is $(field web device_fqdn)"
[ "$(field web device_ips | jq -c .)" = "[\"$(addr a)\",\"$(addr6 a)\"]" ] || die "device_ips is $(field web device_ips)"
[ "$id" = "$(hs_cli nodes list -o json | jq -r '.[] | select(.name == "a") | .id')" ] || die "device_id is $id"
[ "$(field web pod_uid)" = 1234-uid ] || die "pod_uid"
[ "$(field web tailscale_capver)" -ge 113 ] || die "capver"
[ "$(field web mine)" = keep ] || die "a foreign field was touched"
until_ok 30 eval '[ -z "$(field web authkey)" ]'
for f in _machinekey _profiles _current-profile "$(field web _current-profile)"; do fields web | grep -qxF -- "$f" || die "no field $f"; done
kubectl get events -o json | jq -e '.items[] | select(.reason == "TailscaledStateUpdated" or .reason == "TailscaleStateLoaded") | select(.involvedObject.name == "web-0")' > /dev/null || die "no Event on the pod"
say "registered, fields are there, the key is gone: $(fields web | tr '\n' ' ')"
ip_a=$(addr a)

# --- restart, kill: the same node ---
kill "$PID_a"; ends 0
pod web TS_AUTH_ONCE=true; ready a
kill -9 "$PID_a"; wait "$PID_a" || true
pod web; ready a
[ "$(addr a)" = "$ip_a" ] && [ "$(hs_cli nodes list -o json | jq length)" = 1 ] || die "not the same node after restarts"
say "restart and kill -9 keep the node"

# --- the API server goes away under a running node ---
tailscaled b; ts_up b "$key"; web a 8000
until_ok 40 ts b ping -c 1 --timeout 3s "$ip_a"
stop "$API_PID"
via b "http://$ip_a:8000/" | grep -q "hello from a" || die "the node needs the API server"
ts a set --shields-up=true || die "set while the API server is away"
until_ok 30 grep -q "is not written, a restart would lose" "$T/a.log"
api_start
until_ok 70 grep -q "is written again" "$T/a.log"
field web "$(field web _current-profile)" | jq -e .ShieldsUp > /dev/null || die "the change did not reach the Secret"
ts a set --shields-up=false
say "a change made while the API server was away is written when it is back"
kill "$PID_a"; ends 0

# --- tailscaled takes over, and gives back ---
nodekey=$(field web "$(field web _current-profile)" | jq -r .Config.PrivateNodeKey)
start a stock e2e/in_pod "$T/account" env SSL_CERT_FILE="$CA" TS_NO_LOGS_NO_SUPPORT=true HOME="$T" KUBERNETES_SERVICE_HOST="$IP_k" \
	KUBERNETES_SERVICE_PORT=6443 KUBERNETES_SERVICE_PORT_HTTPS=6443 TS_KUBERNETES_READ_API_SERVER_ADDRESS_FROM_ENV=true POD_NAME=web-0 POD_UID=1 \
	"$PEERS/tailscaled" --state=kube:web --statedir="$T/a.stock" --socket="$T/a.sock" --tun=userspace-networking
stock=$PID
until_ok 40 test -S "$T/a.sock"
until_ok 30 eval 'ts a status --json | jq -e ".BackendState == \"Running\""'
until_ok 40 ts b ping -c 1 --timeout 3s "$ip_a"
[ "$(field web "$(field web _current-profile)" | jq -r .Config.PrivateNodeKey)" = "$nodekey" ] || die "tailscaled made another node key"
stop "$stock"
pod web; ready a
[ "$(addr a)" = "$ip_a" ] && [ "$(hs_cli nodes list -o json | jq length)" = 2 ] || die "not the same node after tailscaled"
say "tailscaled took the Secret over and gave it back"
kill "$PID_a"; ends 0

# --- without patch: PUT; a node of its own ---
kubectl create secret generic web2 --from-literal=mine=keep > /dev/null
role web2 get update
until_ok 30 kubectl auth can-i update secret/web2 --as system:serviceaccount:shop:web
pod web2 TS_AUTHKEY="$key" TS_HOSTNAME=a2; ready a
until_ok 30 eval '[ -n "$(field web2 device_ips)" ]'
[ "$(field web2 mine)" = keep ] || die "PUT lost a foreign field"
kill "$PID_a"; ends 0
kubectl patch secret web2 -p '{"stringData":{"authkey":"x"}}' > /dev/null
pod web2; ends 1
grep -q "has an authkey that could not be deleted" "$T/a.log" || { cat "$T/a.log"; die "a key without the right to patch"; }
say "PUT works; a key that could not be deleted is refused"

# --- no Secret: POST; logout at the end ---
MAY_CREATE=1 role web3 get update patch
until_ok 30 kubectl auth can-i create secrets --as system:serviceaccount:shop:web
pod web3 TS_AUTHKEY="$key" TS_HOSTNAME=a3 TS_LOGOUT_ON_EXIT=true; ready a
until_ok 30 eval '[ -n "$(field web3 device_ips)" ]'
s=$(date +%s%N); kill "$PID_a"; ends 0
say "made the Secret; logout and last write took $((($(date +%s%N) - s) / 1000000)) ms"
field web3 "$(field web3 _current-profile)" | jq -e .LoggedOut > /dev/null || die "the logout is not in the Secret"

# --- a dead key is told to the operator ---
kubectl create secret generic web4 --from-literal=authkey=0123456789abcdef0123456789abcdef0123456789abcdef > /dev/null
role web4 get update patch
until_ok 30 kubectl auth can-i patch secret/web4 --as system:serviceaccount:shop:web
pod web4 TS_HOSTNAME=a4; ends 3
[ "$(field web4 reissue_authkey)" = 0123456789abcdef0123456789abcdef0123456789abcdef ] || die "reissue_authkey is not written"
kubectl patch secret web4 -p "{\"stringData\":{\"authkey\":\"$key\"}}" > /dev/null
pod web4 TS_HOSTNAME=a4; ready a
[ -z "$(field web4 reissue_authkey)" ] || die "reissue_authkey stays"
say "a dead key is told, a new one taken"
grep -l "$key" "$T"/a.log && die "a key in the log"
kill "$PID_a"; ends 0
