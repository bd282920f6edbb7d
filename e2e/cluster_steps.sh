# e2e/cluster_steps.sh - what holds in any cluster with the chart and any control server; sourced after e2e/cluster.sh
#
# Services live in the namespace $APPS, which is that of the kubeconfig; a stock node "out" of user test, outside, serves port 8000; the
# policy lets test@ reach tag:k8s, tag:open and the cluster's addresses, and tag:k8s reach port 8000 of test@. devices prints a line for each
# node of the tailnet.

page() { via out "http://$1/" --max-time 5 | grep -q "hello from $2"; }
from_pod() { in_pod $APPS/pod curl -sS --max-time 5 "http://$1/" | grep -q "hello from $2"; }
where() { kc -n tailpod get pod "$1" -o jsonpath='{.spec.nodeName}'; }
elsewhere() { [ -n "$(where "$1")" ] && [ "$(where "$1")" != "$2" ] && kc -n tailpod wait pod "$1" --for=condition=Ready --timeout=1s; }

steps_apps() {
	app web; app lb; app open; app shut
	client $APPS/pod
}
steps_in() { # from outside into the cluster: by annotation, by class, by tag
	local s lb
	kc annotate svc web tailscale.com/expose=true > /dev/null
	kc annotate svc open tailscale.com/expose=true tailscale.com/tags=tag:open tailscale.com/hostname=open > /dev/null
	kc annotate svc shut tailscale.com/expose=true tailscale.com/tags=tag:shut tailscale.com/hostname=shut > /dev/null
	kc patch svc lb --type merge -p '{"spec":{"type":"LoadBalancer","loadBalancerClass":"tailscale"}}' > /dev/null
	for s in web lb open shut; do until_ok 60 is_reason ProxyCreated svc $s; done
	say "proxies have joined"
	until_ok 30 page $APPS-web web
	until_ok 30 page $APPS-web.tail.test web
	lb=$(kc get svc lb -o jsonpath='{.status.loadBalancer.ingress[?(@.ip)].ip}')
	lb=${lb%% *}
	[ "$lb" = "$(addr $APPS-lb)" ] || die "the Service's status says $lb"
	until_ok 30 page "$lb" lb
	until_ok 30 page open open
	never page shut shut
	[ -n "$(addr shut)" ] || die "shut has not joined"
	say "pages from outside; the policy opens one tag and not the other"
}
steps_out() { # from a pod to a node outside
	kc apply -f - > /dev/null <<-END
	apiVersion: v1
	kind: Service
	metadata: {name: db, annotations: {tailscale.com/tailnet-ip: "$(addr out)"}}
	spec: {type: ExternalName, externalName: placeholder, ports: [{port: 8000}]}
	END
	until_ok 60 is_reason ProxyCreated svc db
	until_ok 30 from_pod db.$APPS.svc.cluster.local:8000 out
	say "a pod reaches a server on the tailnet"
}
steps_web() { # an Ingress by HTTP and HTTPS
	(certificate "$T/site" DNS:site.tail.test)
	kc create secret tls site --cert="$T/site.crt" --key="$T/site.key" > /dev/null
	kc apply -f - > /dev/null <<-END
	apiVersion: networking.k8s.io/v1
	kind: Ingress
	metadata: {name: site, annotations: {tailscale.com/hostname: site}}
	spec:
	  ingressClassName: tailscale
	  tls: [{secretName: site}]
	  rules:
	    - http:
	        paths:
	          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
	          - {path: /index.html, pathType: Prefix, backend: {service: {name: open, port: {number: 80}}}}
	END
	until_ok 60 site_told
	until_ok 30 page site.tail.test web
	via out http://site.tail.test/index.html | grep -q "hello from open"
	until_ok 30 page_tls site.tail.test web
	say "an Ingress serves two Services, by HTTP and HTTPS"
}
site_told() { [ "$(kc get ingress site -o jsonpath='{.status.loadBalancer.ingress[0].hostname}')" = site.tail.test ]; }
page_tls() { via out "https://$1/" --max-time 5 --cacert "$T/ca.crt" | grep -q "hello from $2"; }
steps_router() { # a Connector announces a Service's address; approve NODE ROUTE is the control server's
	local ip
	ip=$(kc get svc web -o jsonpath='{.spec.clusterIP}')
	kc apply -f - > /dev/null <<-END
	apiVersion: tailscale.com/v1alpha1
	kind: Connector
	metadata: {name: router}
	spec: {hostname: router, subnetRouter: {advertiseRoutes: [$ip/32]}}
	END
	until_ok 60 is_reason RoutesNotApproved connector router
	approve router "$ip/32"
	until_ok 60 is_reason ConnectorCreated connector router
	ts out set --accept-routes=true
	until_ok 60 page "$ip" web
	say "a Connector routes to the cluster's address once it is approved"
}
steps_group() { # two Services in one process, when their class says so: each a machine of its own
	local s one two
	kc apply -f - > /dev/null <<-END
	{apiVersion: v1, kind: List, items: [
	 {apiVersion: tailscale.com/v1alpha1, kind: ProxyClass, metadata: {name: shared}, spec: {tailpod: {nodesPerProcess: 2}}},
	 {apiVersion: v1, kind: Service, metadata: {name: one, labels: {tailscale.com/proxy-class: shared}, annotations: {tailscale.com/expose: "true"}},
	  spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}},
	 {apiVersion: v1, kind: Service, metadata: {name: two, labels: {tailscale.com/proxy-class: shared}, annotations: {tailscale.com/expose: "true"}},
	  spec: {selector: {app: lb}, ports: [{port: 80, targetPort: 8080}]}}]}
	END
	# the second may wait for kubelet to renew the file that names the nodes: a minute
	for s in one two; do until_ok 120 is_reason ProxyCreated svc $s; done
	one=$(proxy_of svc $APPS one) two=$(proxy_of svc $APPS two)
	[ -z "$(kc -n tailpod get sts "$one" "$two" --ignore-not-found -o name)" ] || die "a StatefulSet of its own"
	kc -n tailpod get cm -l tailscale.com/managed=true -o json |
		jq -e --arg one "$one" --arg two "$two" 'any(.items[]; (.data["nodes.json"] // "{}" | fromjson | .nodes // {}) | has($one) and has($two))' > /dev/null || die "no process has both"
	until_ok 60 page $APPS-one web
	until_ok 60 page $APPS-two lb
	until_ok 60 page $APPS-one.tail.test web
	kc delete svc one two --timeout=240s > /dev/null
	kc delete proxyclass shared --timeout=240s > /dev/null
	until_ok 60 eval '! devices | grep -e "-one " -e "-two "'
	say "two Services of one process: a page through each"
}
steps_drain() { # a node is drained: the proxy goes on elsewhere, as the same node of the tailnet
	local p was
	devices > "$T/devices"
	p=$(proxy_of svc $APPS web)-0
	was=$(where "$p")
	kc drain "$was" --ignore-daemonsets --delete-emptydir-data --force --timeout=240s > "$T/drain.log" 2>&1 || die "drain: $(cat "$T/drain.log")"
	until_ok 90 elsewhere "$p" "$was"
	until_ok 30 page $APPS-web web
	devices | diff "$T/devices" - || die "other devices than before"
	kc uncordon "$was" > /dev/null
	say "$was is drained: the same address elsewhere"
}
steps_end() { # what asked for proxies goes, and with it proxies, devices and finalizers
	local s
	for s in web open shut; do kc annotate svc $s tailscale.com/expose- > /dev/null; done
	kc delete svc lb db --timeout=240s > /dev/null
	kc delete ingress site --timeout=240s > /dev/null
	kc delete connector router --timeout=240s > /dev/null
	until_ok 60 nothing_left
	[ -z "$(kc get svc -A -o json | jq -r '.items[].metadata.finalizers // [] | .[] | select(startswith("tailscale.com"))')" ] || die "finalizers are left"
}
steps_sidecar() { # a native sidecar under Pod Security "restricted": there before the first container, gone after the last, its node logged out
	local url="http://$(addr out):8000" job=examples/kubernetes/native-sidecar.yaml
	kc create ns side > /dev/null
	kc label ns side pod-security.kubernetes.io/enforce=restricted > /dev/null
	kc -n side create configmap authority --from-file=ca.crt="$CA" > /dev/null
	kc -n side create secret generic fetch-authkey --from-literal=authkey="$(authkey --reusable --ephemeral --tags tag:k8s)" > /dev/null
	devices > "$T/devices"
	# the example, with images, control server, authority and target of here
	kc -n side create --dry-run=client -o json -f $job | jq --arg url "$url" --arg login "$URL" '.spec.template.spec |= (
		.initContainers[0] |= (.image = "localhost/tailpod:e2e" | .imagePullPolicy = "IfNotPresent"
			| .env |= map(if .name == "TS_LOGIN_SERVER" then .value = $login else . end) + [{name: "SSL_CERT_FILE", value: "/ca/ca.crt"}]
			| .volumeMounts += [{name: "ca", mountPath: "/ca", readOnly: true}])
		| .containers[0] |= (.image = "localhost/busybox:e2e" | .command[-1] = $url + "/first")
		| .volumes += [{name: "ca", configMap: {name: "authority"}}])' > "$T/sidecar.json"
	printf 'here' > "$T/out.www/first"; printf 'here' > "$T/out.www/last"
	kc -n side apply -f "$T/sidecar.json" > /dev/null
	until_ok 90 kc -n side wait job fetch --for=condition=complete --timeout=1s
	grep -q '"GET /first ' "$T/web-out.log" || die "the Job has fetched nothing"
	until_ok 30 same_devices
	# a pod that is deleted: its container still has the tailnet while it ends
	jq --arg url "$url" '{apiVersion: "v1", kind: "Pod", metadata: {name: "ends"}, spec: (.spec.template.spec | .restartPolicy = "Always"
		| .containers[0].command = ["sh", "-c", "trap \"sleep 2; curl -fsS -m 10 --proxy http://localhost:1055 \($url)/last; exit 0\" TERM; while :; do sleep 0.2; done"])}' \
		"$T/sidecar.json" > "$T/ends.json"
	kc -n side apply -f "$T/ends.json" > /dev/null
	until_ok 60 kc -n side wait pod ends --for=condition=Ready --timeout=1s
	never same_devices
	kc -n side delete pod ends --timeout=240s > /dev/null
	grep -q '"GET /last ' "$T/web-out.log" || die "the sidecar ended before the container that it serves"
	until_ok 30 same_devices
	kc delete ns side --timeout=240s > /dev/null
	say "a native sidecar starts first and ends last, restricted; its ephemeral nodes logged out"
}
same_devices() { devices | diff "$T/devices" -; }
