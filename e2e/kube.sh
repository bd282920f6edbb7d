# e2e/kube.sh - a Kubernetes without nodes (etcd and kube-apiserver) on a host of its own; sourced after e2e/lib.sh
#
#   kube_api            starts both on host kube; KUBECONFIG is set, kc runs kubectl there
#   crds                the kinds of the chart, and namespace tailpod
#   operator NAME [VAR=VALUE...]   ours, in the same namespace; its pid in $PID, log $T/NAME.log
#   kept NAME [VAR=VALUE...]       the same, started again when the API server was too slow for its lease, as a kubelet does: then it
#                                  ends by itself. In $PID is who keeps it, its only child is the operator
#   container PROXY HOST [VAR=VALUE...]   what a kubelet does with the template of PROXY's StatefulSet; its pid in $PID, log $T/pod-PROXY.log
#   fake_headscale      a key API on 127.0.0.1:18080 of host kube; what it was asked is in $T/keys

kube_cert() { # NAME SUBJECT EXTENSIONS
	openssl ecparam -name prime256v1 -genkey -noout -out "$T/pki/$1.key"
	openssl req -new -key "$T/pki/$1.key" -subj "$2" -out "$T/pki/$1.csr"
	echo "$3" > "$T/pki/$1.ext"
	openssl x509 -req -in "$T/pki/$1.csr" -CA "$T/pki/ca.crt" -CAkey "$T/pki/ca.key" -CAcreateserial -days 30 -extfile "$T/pki/$1.ext" \
		-out "$T/pki/$1.crt" 2> /dev/null
}
kubeconfig_of() { # FILE TOKEN [ADDRESS]
	cat > "$1" <<-END
	apiVersion: v1
	kind: Config
	current-context: test
	clusters: [{name: test, cluster: {server: "https://${3:-127.0.0.1}:6443", certificate-authority-data: $(base64 -w0 < "$T/pki/ca.crt")}}]
	users: [{name: user, user: {token: $2}}]
	contexts: [{name: test, context: {cluster: test, user: user}}]
	END
}
KUBE_TOKENS=() # more lines of the token file: TOKEN,USER,UID,GROUP
kc() { in_ns kube "$PEERS/kubectl" --kubeconfig "$T/kubeconfig" --request-timeout=120s "$@"; }
kube_api() { # [FLAG...] of the API server
	need_peer etcd kube-apiserver kubectl helm
	host kube
	mkdir -p "$T/pki"
	openssl ecparam -name prime256v1 -genkey -noout -out "$T/pki/ca.key"
	openssl req -x509 -new -key "$T/pki/ca.key" -subj /CN=test-ca -days 30 -addext keyUsage=critical,digitalSignature,keyCertSign -out "$T/pki/ca.crt"
	kube_cert apiserver /CN=kube-apiserver "subjectAltName=DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1,IP:$IP_kube,IP:10.96.0.1"
	kube_cert kubelet-client /O=system:masters/CN=kube-apiserver extendedKeyUsage=clientAuth
	openssl ecparam -name prime256v1 -genkey -noout -out "$T/pki/sa.key"
	openssl ec -in "$T/pki/sa.key" -pubout -out "$T/pki/sa.pub" 2> /dev/null
	printf '%s\n' "admin-token,admin,admin,system:masters" "${KUBE_TOKENS[@]}" > "$T/pki/tokens.csv"
	kubeconfig_of "$T/kubeconfig" admin-token
	start kube etcd "$PEERS/etcd" --data-dir "$T/etcd" --unsafe-no-fsync --log-level error --listen-client-urls http://127.0.0.1:2379 \
		--advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
		--initial-cluster default=http://127.0.0.1:2380
	kube_apiserver_start "$@"
}
kube_apiserver_start() { # [FLAG...]
	start kube kube-apiserver "$PEERS/kube-apiserver" --etcd-servers http://127.0.0.1:2379 --bind-address 0.0.0.0 --advertise-address "$IP_kube" \
		--secure-port 6443 --tls-cert-file "$T/pki/apiserver.crt" --tls-private-key-file "$T/pki/apiserver.key" --client-ca-file "$T/pki/ca.crt" \
		--token-auth-file "$T/pki/tokens.csv" --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$T/pki/sa.pub" \
		--service-account-signing-key-file "$T/pki/sa.key" --service-cluster-ip-range 10.96.0.0/16 --authorization-mode RBAC \
		--endpoint-reconciler-type none "$@"
	PID_apiserver=$PID
	until_ok 60 kc get --raw /readyz
}
crds() {
	kc apply -f charts/tailpod-operator/crds > /dev/null
	kc create ns tailpod > /dev/null
	until_ok 40 kc get connectors
}
account() { # NAME DIRECTORY: what a pod with that service account has of it
	mkdir -p "$2"
	kc -n tailpod create token "$1" --duration=1h > "$2/token"
	cp "$T/pki/ca.crt" "$2/ca.crt"; printf tailpod > "$2/namespace"
}
container() {
	local x=$1 h=$2 ip env; shift 2
	account "$x" "$T/pods/$x"
	eval "ip=\$IP_$h"
	mapfile -t env < <(kc -n tailpod get sts "$x" -o json | jq -r '.spec.template.spec.containers[0].env[] | select(.value) | "\(.name)=\(.value)"' | sed "s,\$(POD_NAME),$x-0,")
	start "$h" "pod-$x" e2e/in_pod "$T/pods/$x" env -i "${env[@]}" POD_NAME="$x-0" POD_UID=uid-1 POD_IP="$ip" \
		TS_AUTHKEY="$(kc -n tailpod get secret "$x-0" -o json | jq -r '.data.authkey // "" | @base64d')" KUBERNETES_SERVICE_HOST="$IP_kube" \
		KUBERNETES_SERVICE_PORT=6443 TS_SOCKET="$T/$x.sock" SSL_CERT_FILE="$CA" TS_ENABLE_HEALTH_CHECK=false TS_ENABLE_METRICS=false "$@" "$BIN/containerboot"
}
# chart_rights [--set X=Y...]: installs what the chart installs as release op; $T/kubeconfig-op has the operator's rights and no more
chart_rights() {
	"$PEERS/helm" template op charts/tailpod-operator -n tailpod --kube-version 1.35.0 --set credentials.apiKey=x "$@" > "$T/chart.yaml"
	kc -n tailpod get sa default > /dev/null 2>&1 || kc -n tailpod create sa default > /dev/null # by a controller in a whole cluster
	kc -n tailpod apply -f "$T/chart.yaml" > /dev/null
	kubeconfig_of "$T/kubeconfig-op" "$(kc -n tailpod create token op-tailpod-operator --duration=1h)"
}
fake_headscale() {
	: > "$T/keys"
	echo hskey-api-test > "$T/api-key"
	start kube fake-headscale python3 e2e/fake_headscale.py 18080 "$T/keys"
	until_ok 30 in_ns kube curl -s -o /dev/null http://127.0.0.1:18080/
}
operator() {
	local name=$1; shift
	start kube "$name" env KUBECONFIG="${OPERATOR_KUBECONFIG:-$T/kubeconfig}" OPERATOR_NAMESPACE=tailpod PROXY_IMAGE=tailpod:test \
		OPERATOR_LOGIN_SERVER=http://127.0.0.1:18080 API_KEY_FILE="$T/api-key" POD_NAME="$name" "OPERATOR_LISTEN=${LISTEN:--}" "$@" "${KEEPER[@]}" "$BIN/operator"
}
KEEPER=()
kept() {
	KEEPER=(bash -c 'trap "kill \$p; wait \$p; exit" TERM
		while :; do
			setpriv --pdeathsig KILL "$1" & p=$!
			rc=0; wait $p || rc=$?
			tail -n 1 "$0" | grep -q "the lease .* is lost; ends" || exit $rc
		done' "$T/$1.log")
	operator "$@"
	KEEPER=()
}
# lives CONDITION...: operators one after the other, each killed at another write, until the condition holds and one lives on
deaths=0
at() { case $(($1 % 6)) in 0) echo 1+ ;; 1) echo 2 ;; 2) echo 2+ ;; 3) echo 3 ;; 4) echo 3+ ;; 5) echo 4+ ;; esac; }
lives() {
	local i=0 rc end
	while [ $i -lt 80 ]; do
		operator "life-$deaths" OPERATOR_TEST_KILL_AT="$(at $i)" OPERATOR_LEASE="life-$deaths"
		end=$(($(date +%s) + 120))
		while [ "$(date +%s)" -lt $end ]; do
			kill -0 "$PID" 2> /dev/null || break
			if "$@" > /dev/null 2>&1; then kill -9 "$PID" 2> /dev/null || deaths=$((deaths + 1)); wait "$PID" 2> /dev/null || true; return 0; fi
			sleep 0.1
		done
		kill -0 "$PID" 2> /dev/null && die "an operator lives and does not bring it about: $*"
		rc=0; wait "$PID" 2> /dev/null || rc=$?
		[ $rc = 137 ] || tail -n 1 "$T/life-$deaths.log" | grep -q 'the lease .* is lost; ends' || die "an operator ended with code $rc, not killed by itself"
		deaths=$((deaths + 1)) i=$((i + 1))
	done
	die "80 lives were not enough: $*"
}
# never COMMAND...: fails the test when the command succeeds
never() { if "$@" > "$T/never.out" 2>&1; then cat "$T/never.out"; die "this should have failed: $*"; fi; }
b64() { printf %s "$1" | base64 -w0; }
# proxy_of KIND NAMESPACE NAME: name of its proxy, "" when there is none
proxy_of() {
	kc -n tailpod get secret -l "tailscale.com/parent-resource-type=$1,tailscale.com/parent-resource-ns=$2,tailscale.com/parent-resource=$3" \
		-o name | sed -n 's,^secret/\(.*\)-0$,\1,p'
}
# joins PROXY ID NAME IP: what a proxy writes into its Secret when it has joined
joins() {
	kc -n tailpod patch secret "$1-0" --type merge -p \
		"{\"data\":{\"device_id\":\"$(b64 "$2")\",\"device_fqdn\":\"$(b64 "$3.")\",\"device_ips\":\"$(b64 "[\"$4\",\"fd7a:115c:a1e0::$2\"]")\"}}" > /dev/null
}
reason() { kc get "$@" -o 'jsonpath={.status.conditions[0].reason}'; }
is_reason() { local want=$1; shift; [ "$(reason "$@")" = "$want" ]; }
# ledger: the ids of devices in the operator's ledger, one a line
ledger() { kc -n tailpod get cm -l tailpod/ledger -o json | jq -r '.items[].data // {} | keys[]' | sort; }
nothing_left() { [ -z "$(kc -n tailpod get secret,sa,role,rolebinding,svc,cm,sts -l tailscale.com/managed=true -o name)" ]; }
