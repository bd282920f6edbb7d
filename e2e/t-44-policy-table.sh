#!/bin/bash
# A table of policies, each put to a real Headscale and to our coordinator with the same users, nodes, tags and routes: the packet
# filters and ssh rules of all nodes are equal, and so is who knows whom and by which routes; what one refuses the other refuses
# (e2e/policy_table.py)
. "$(dirname "$0")/lib.sh"
need_peer headscale
FLEET=${TAILPOD_BUILD:-build/gcc}/e2e/fleet
work=$T; . "$ROOT/e2e/headscale.sh"
# who serves a subnet is by id here: clients that answer no plain HTTP pings would be silent routers to Headscale
export HEADSCALE_NODE_ROUTES_HA_PROBE_INTERVAL=0s
HS_POLICY_MODE=database HS_EXTRA='tuning: {node_store_batch_timeout: 2ms, batch_change_delay: 5ms}' headscale_start
coordinator_alone
# tags need owners before keys can have them
echo '{"tagOwners":{"tag:web":[],"tag:db":[],"tag:router":[],"tag:exit":[],"tag:router2":[],"tag:exit2":[]},"acls":[{"action":"accept","src":["*"],"dst":["*:*"]}]}' > "$T/first"
co_cli policy set "$T/first" > /dev/null
hs policy set -f "$T/first" > /dev/null
id=1
for u in alice bob carol; do
	id=$((id + 1)) # headscale_start made one before
	hs users create $u > /dev/null
	[ $id != 2 ] || co_cli users create test > /dev/null
	co_cli users create $u > /dev/null
	eval "id_$u=$id"
done
hs_user() { eval "hs preauthkeys create --user \$id_$1 --expiration 1h" | tail -n 1; }
hs_tags() { hs preauthkeys create --tags "$1" --expiration 1h | tail -n 1; }
co_user() { co_cli preauthkeys create --user "$1" | tail -n 1; }
co_tags() { co_cli preauthkeys create --tags "$1" | tail -n 1; }
for w in hs co; do
	cat > "$T/$w.nodes" <<-END
	$(${w}_user alice) a1
	$(${w}_user alice) a2
	$(${w}_user bob) b1 10.2.0.0/16
	$(${w}_user carol) c1
	$(${w}_tags tag:web) w1
	$(${w}_tags tag:web,tag:db) w2
	$(${w}_tags tag:db) d1
	$(${w}_tags tag:router) r1 10.1.0.0/16,fd00:1::/64,172.20.0.0/16
	$(${w}_tags tag:exit) e1 0.0.0.0/0,::/0
	$(${w}_tags tag:router2) r2 10.1.0.0/16,10.4.0.0/16
	$(${w}_tags tag:exit2) e2 0.0.0.0/0,::/0
	END
done
# what is approved: all but 172.20.0.0/16
python3 - "$T" "$FLEET" "$HS_URL" "$CO_URL" "$HS_BIN" "$BIN/coordinator" "$CO_DIR/config.yaml" <<-'END'
import json, sys
t, fleet, hs_url, co_url, hs, co, config = sys.argv[1:]
routes = {3: ["10.2.0.0/16"], 8: ["10.1.0.0/16", "fd00:1::/64"], 9: ["0.0.0.0/0", "::/0"], 10: ["10.1.0.0/16", "10.4.0.0/16"], 11: ["0.0.0.0/0", "::/0"]}
names = ["a1", "a2", "b1", "c1", "w1", "w2", "d1", "r1", "e1", "r2", "e2"]
nodes = [dict(name=n, ips=[f"100.64.0.{i}", f"fd7a:115c:a1e0::{i:x}"], exit=n[0] == "e", routes=routes.get(i, []) if n[0] != "e" else []) for i, n in enumerate(names, 1)]
h, c = [hs, "-c", f"{t}/hs/config.yaml"], [co, "--config", config]
json.dump(dict(nodes=nodes,
    headscale=dict(fleet=[fleet, hs_url, f"{t}/hs.nodes"], policy=h + ["policy", "set", "-f"],
        after=[" ".join(h + ["nodes", "approve-routes", "-i", str(i), "-r", ",".join(r)]) for i, r in routes.items()]),
    coordinator=dict(fleet=[fleet, co_url, f"{t}/co.nodes"], policy=c + ["policy", "set"],
        after=[" ".join(c + ["nodes", "approve-routes", str(i), "--routes", ",".join(r)]) for i, r in routes.items()])), open(f"{t}/servers.json", "w"))
END
timeout 800 python3 e2e/policy_table.py "$T"
say "policy table"
