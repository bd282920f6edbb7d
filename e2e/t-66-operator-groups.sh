#!/bin/bash
# Services that share processes, through an operator that is killed at each write: five come, move (out to a pod of its own, to another
# class, out of a slot that their class no longer has), come back and go. At each look no slot is anybody else's, no node is in two
# processes; at each end all is as planned, with the same machines. Containers and the garbage collector are this script. Two replicas:
# the leader is killed in the middle of it; one that is stopped there writes nothing when it goes on; a slot that two have becomes one's.
# waits: 250
. "$(dirname "$0")/lib.sh"
. e2e/kube.sh
KUBE_TOKENS+=("narrow-token,narrow,narrow")
kube_api
fake_headscale
crds
class() { # NAME COUNT
	kc apply -f - > /dev/null <<-END
	{apiVersion: tailscale.com/v1alpha1, kind: ProxyClass, metadata: {name: $1}, spec: {tailpod: {nodesPerProcess: $2}}}
	END
}
expose() { # NAME
	kc apply -f - > /dev/null <<-END
	{apiVersion: v1, kind: Service, metadata: {name: $1, labels: {tailscale.com/proxy-class: shared}, annotations: {tailscale.com/expose: "true"}}, spec: {ports: [{port: 80}]}}
	END
}
egress() { # NAME PORT
	kc apply -f - > /dev/null <<-END
	{apiVersion: v1, kind: Service, metadata: {name: $1, labels: {tailscale.com/proxy-class: shared}, annotations: {tailscale.com/tailnet-fqdn: $1.tail.test}},
	 spec: {type: ExternalName, externalName: before.example.com, ports: [{port: $2}]}}
	END
}

# --- what is seen, and what processes do about it ---

# Secrets first: whoever is told in a list read after them has let go of another place before, for letting go is this script's part
cat > "$T/facts.jq" <<'END'
def kind($k): .items[] | select(.kind == $k);
[kind("ConfigMap") | .metadata.name as $cm | .data["nodes.json"] // empty | fromjson | .nodes | keys[] | {node: ., at: ($cm | sub("-serve$"; ""))}] as $listed
| [kind("StatefulSet") | {name: .metadata.name, goes: (.metadata.deletionTimestamp != null)}] as $sets
| [kind("Role") | {name: .metadata.name, secrets: [.rules[] | select(.resources == ["secrets"]) | .resourceNames[]]}] as $roles
| [kind("Service") | {name: .metadata.name, app: .spec.selector.app, targets: [.spec.ports[]? | .targetPort]}] as $services
| [kind("Secret") | (.metadata.name | sub("-0$"; "")) as $n | {node: $n, of: .metadata.labels["tailscale.com/parent-resource"],
	group: .metadata.annotations["tailpod/group"], told: ((.metadata.annotations["tailpod/node"] // "") != ""),
	device: (.data.device_id // "" | @base64d), runs: (.data.pod_uid // "" | @base64d), key: (.data // {} | has("authkey")),
	at: ([$listed[] | select(.node == $n) | .at] + [$sets[] | select(.name == $n) | .name])}] as $nodes
| {nodes: $nodes, sets: $sets, roles: $roles, services: $services}
END
# bad: what must never be seen; with $late, after the write of a former leader, two may have a slot, but only one is told so
cat > "$T/bad.jq" <<'END'
([.nodes[] | select(.group and ($late == "" or .at != [])) | .group] | group_by(.)[] | select(length > 1) | "slot \(.[0]) is had by \(length) nodes"),
(.nodes[] | select((.at | length) > 1) | "\(.of) is in \(.at)"),
(.nodes[] | select(.runs != "" and .at != [] and .at != [.runs]) | "\(.of) runs in \(.runs) and is begun in \(.at)")
END
# planned: each node in the one place that its Secret says, told and with a device; processes and rights for those and no others
cat > "$T/planned.jq" <<'END'
def where: capture("^(?<class>.*)/(?<n>[0-9]+)/(?<slot>[0-9]+)$");
. as $all | (.nodes | length) == $count
and all(.nodes[]; .group as $g | .node as $n | (.at | length) == 1 and .runs == .at[0] and .device != "" and (.key | not) and
	if $g then .told and (($g | where | "ts-\(.class)-\(.n)-") as $p | .at[0] | startswith($p)) else .at[0] == $n end)
and (.sets | map(.name) | sort) == ([.nodes[].at[0]] | unique)
and all(.roles[]; .name as $r | (.secrets | sort) == ([$all.nodes[] | select(.at[0] == $r) | .node + "-0"] | sort))
and (.roles | map(.name) | sort) == ([.nodes[].at[0]] | unique)
and all(.services[]; .name as $s | [$all.nodes[] | select(.node == $s)] as $of | if $of == [] then any($all.sets[]; .name == $s) else
	($of[0].group == null or (.app == $of[0].at[0] and (($of[0].group | where | .slot | tonumber * 64 + 20000) as $from | all(.targets[]; . >= $from and . < $from + 64)))) end)
END
exec {OUT}>&1
device_no=10
declare -A ends
look() { # what there is, into $T/facts.json; fails when something is seen that must never be; then the part of processes
	local at has node
	kc -n tailpod get secret,cm,sts,role,svc -l tailscale.com/managed=true -o json | jq -f "$T/facts.jq" > "$T/facts.json"
	jq -r --arg late "${LATE:-}" -f "$T/bad.jq" "$T/facts.json" > "$T/bad"
	[ ! -s "$T/bad" ] || { exec >&"$OUT" 2>&1; die "$(tr '\n' ';' < "$T/bad") after $deaths deaths"; } # not to where a waiting loop sends what it hears
	[ -n "${RUN:-}" ] || return 0
	# a node begins where it is told to, and joins as the machine that its Secret knows
	while read -r node at has; do
		[ "$has" = old ] || { device_no=$((device_no + 1)); joins "$node" "$device_no" "n$device_no.tail.test" "100.64.0.$device_no"; }
		kc -n tailpod patch secret "$node-0" --type merge -p "{\"data\":{\"pod_uid\":\"$(b64 "$at")\"}}" > /dev/null
	done < <(jq -r '.nodes[] | select(.runs == "" and (.at | length) == 1) | select(.key or .device != "") | "\(.node) \(.at[0]) \(if .device != "" then "old" else "new" end)"' "$T/facts.json")
	# a process lets go of a node that it is no longer told to run; a pod of its own ends a while after it
	# is told to, and then what awaits that: not soon where nobody awaits it
	while read -r node has; do
		[ "$has" = group ] || [ $((ends[$node] = ${ends[$node]:-0} + 1)) -ge $has ] || continue
		kc -n tailpod patch secret "$node-0" --type json -p '[{"op":"remove","path":"/data/pod_uid"}]' > /dev/null || true
		kc -n tailpod patch sts "$node" --type merge -p '{"metadata":{"finalizers":null}}' > /dev/null 2>&1 || true
		unset "ends[$node]"
	done < <(jq -r '[.sets[] | select(.goes) | .name] as $goes | .nodes[] | select(.runs != "" and (.at == [] or (.node | IN($goes[])))) | "\(.node) \(if .runs != .node then "group" elif .at == [] then 40 else 4 end)"' "$T/facts.json")
}
planned() { look && [ "$(jq --argjson count "$1" -f "$T/planned.jq" "$T/facts.json")" = true ]; }
group() { jq -r --arg of "$1" '.nodes[] | select(.of == $of) | .group // "own"' "$T/facts.json"; }
devices() { jq -r '.nodes[] | "\(.of)=\(.device)"' "$T/facts.json" | sort; }
names="web api db out fifth"
all_reasons() { local s; for s in $names; do is_reason "$1" svc $s || return 1; done; }

# --- they come ---
class shared 3; class other 2
expose web; expose api; expose fifth; egress db 5432; egress out 25
stand() { look && [ "$(jq '[.nodes[] | select(.group and .key and (.at | length) == 1)] | length' "$T/facts.json")" = 5 ] &&
	[ "$(jq '.sets | length' "$T/facts.json")" = 2 ] && all_reasons ProxyPending; }
lives stand 2> "$T/deaths.log"
up=$deaths keys=$(grep -c 'POST /api/v1/preauthkey' "$T/keys")
[ "$up" -ge 10 ] || die "only $up deaths: writes are not counted"
[ "$keys" -le $((5 + up)) ] || die "more keys than nodes and deaths"
RUN=1
run() { planned "$(wc -w <<< "$names")" && all_reasons ProxyCreated; }
lives run 2> "$T/deaths.log"
had=$(devices)
say "five Services in two processes through $deaths deaths"

# --- one that leads before it knows of any class: here because it may not list them ---
kc create clusterrole narrow --verb='*' --resource=services,secrets,configmaps,serviceaccounts,events,statefulsets.apps,ingresses.networking.k8s.io,leases.coordination.k8s.io,roles.rbac.authorization.k8s.io,rolebindings.rbac.authorization.k8s.io > /dev/null
kc create clusterrolebinding narrow --clusterrole=narrow --user=narrow > /dev/null
kubeconfig_of "$T/kubeconfig-narrow" narrow-token
OPERATOR_KUBECONFIG=$T/kubeconfig-narrow operator narrow OPERATOR_LEASE=narrow; narrow=$PID
until_ok 60 grep -q "narrow leads" "$T/narrow.log"
kill "$narrow"
until_ok 60 eval '! kill -0 "$narrow"'
grep -q "SIGTERM: ends" "$T/narrow.log" || die "it leads and hears nothing"
say "an operator without a list of classes leads, and turns"
lives run 2> "$T/deaths.log"

# --- they move, all at once ---
before=$deaths
class shared 2
kc label svc web tailscale.com/proxy-class- > /dev/null
kc label svc db tailscale.com/proxy-class=other --overwrite > /dev/null
moved() { run && [ "$(group web)" = own ] && [ "$(group db)" = other/0/0 ] &&
	[[ "$(group api) $(group out) $(group fifth)" =~ ^shared/[0-9]+/[01]\ shared/[0-9]+/[01]\ shared/[0-9]+/[01]$ ]]; }
lives moved 2> "$T/deaths.log"
[ "$(devices)" = "$had" ] || die "other machines: $(devices), had $had"
[ $((deaths - before)) -ge 6 ] || die "only $((deaths - before)) deaths"
say "moved through $((deaths - before)) deaths: $(group api) $(group out) $(group fifth), $(group db), web in a pod of its own"
before=$deaths
kc label svc web tailscale.com/proxy-class=shared > /dev/null
kc label svc db tailscale.com/proxy-class=shared --overwrite > /dev/null
back() { run && [[ "$(group web) $(group db)" =~ ^shared/[0-9]+/[01]\ shared/[0-9]+/[01]$ ]]; }
lives back 2> "$T/deaths.log"
[ "$(devices)" = "$had" ] || die "other machines: $(devices), had $had"
never grep -q 'DELETE /api/v1/node' "$T/keys"
say "and back through $((deaths - before)) deaths, as the same machines"

# --- two replicas: the leader is killed at a write in the middle of three that come ---
operator first OPERATOR_TEST_KILL_AT=6+ OPERATOR_LEASE=both; first=$PID
until_ok 60 grep -q "first leads" "$T/first.log"
kept standby OPERATOR_LEASE=both; standby=$PID
until_ok 60 grep -q "in sync" "$T/standby.log"
expose a1; egress a2 53; expose a3
names+=" a1 a2 a3"
until_ok 120 run
! kill -0 "$first" 2> /dev/null || die "the leader lives: it was not killed"
stop "$standby"
say "a leader killed in the middle: the other one did the rest, each slot is one node's"

# --- the leader is stopped at a write, another leads, the first goes on: it writes nothing; that a key came which it had asked for
# before may be its last line ---
paused() { ! kill -0 "$PID" 2> /dev/null || grep -q '^State:.T' "/proc/$PID/status"; }
for i in 1 2 3 4 5; do # a machine that is slow enough takes its lease before
	operator "stopped-$i" OPERATOR_TEST_KILL_AT=4s OPERATOR_LEASE=both; stopped=$PID
	until_ok 60 grep -q "stopped-$i leads" "$T/stopped-$i.log"
	expose "b$i"; names+=" b$i"
	until_ok 60 paused
	! kill -0 "$stopped" 2> /dev/null || break
	grep -q 'the lease .* is lost; ends' "$T/stopped-$i.log" || die "it ended and was not stopped"
done
kill -0 "$stopped" || die "never stopped"
kept third OPERATOR_LEASE=both; third=$PID
until_ok 120 run
versions() { kc -n tailpod get secret,cm,sts,role,rolebinding,sa,svc -l tailscale.com/managed=true -o json | jq -c '[.items[] | [.kind, .metadata.name, .metadata.resourceVersion]]'; }
versions > "$T/versions"
kill -CONT "$stopped"
until_ok 60 eval '! kill -0 "$stopped"'
rc=0; wait "$stopped" || rc=$?
[ "$rc" = 1 ] && grep -q 'the lease .* is lost; ends' "$T/stopped-$i.log" || die "who was stopped ended with $rc"
versions | cmp -s - "$T/versions" || die "who was stopped wrote: $(versions | diff - "$T/versions")"
say "a leader that was stopped before a write went on when another led, and wrote nothing"

# --- as if its write had been under way already: two nodes have a slot ---
LATE=1
api=$(group api)
kc -n tailpod annotate secret "$(proxy_of svc default web)-0" "tailpod/group=$api" --overwrite > /dev/null
healed() { run && [ "$(jq '[.nodes[].group] | length == (unique | length)' "$T/facts.json")" = true ]; }
until_ok 120 healed
LATE=
[ "$(group api)" = "$api" ] || die "who had the slot moved"
stop "$third"
say "a slot with two nodes: one stayed, the other moved"

# --- they go ---
before=$deaths
had=$(wc -w <<< "$names")
kc delete svc $names --wait=false > /dev/null
gone() { look && nothing_left && [ -z "$(kc get svc -o name | grep -v /kubernetes)" ]; }
lives gone 2> "$T/deaths.log"
[ $((deaths - before)) -ge 8 ] || die "only $((deaths - before)) deaths"
[ "$(grep -o 'DELETE /api/v1/node/[0-9]*' "$T/keys" | sort -u | wc -l)" = "$had" ] || die "devices stay: $(grep DELETE "$T/keys")"
echo "figure: five Services in groups up through $up deaths of the operator, with $keys keys; all moves and the end through $((deaths - up)) more"
say "killed $deaths times: nothing is left"
