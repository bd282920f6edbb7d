# e2e/testcontrol.sh - the Go testcontrol server on host tc and its relay on host r; sourced after lib.sh

# testcontrol [ARGS...]: sets URL and CA
testcontrol() {
	need_peer testcontrol
	relay r 901
	host tc
	URL=http://$IP_tc:9000
	cat > "$T/derp.json" <<-END
		{"Regions": {"901": {"RegionID": 901, "RegionCode": "r", "RegionName": "Region r", "Nodes":
		[{"Name": "901a", "RegionID": 901, "HostName": "r.test", "IPv4": "$IP_r", "IPv6": "$IP6_r", "DERPPort": 8443, "STUNPort": 3478}]}}}
	END
	start tc testcontrol "$PEERS/testcontrol" -listen "$IP_tc:9000" -admin 127.0.0.1:9001 -derp "$T/derp.json" "$@"
	until_ok 30 tc nodes
}
# tc PATH [CURL ARGS...]: what e2e/testcontrol/main.go lists
tc() { local path=$1; shift; in_ns tc curl -sS --fail-with-body --max-time 20 "http://127.0.0.1:9001/$path" "$@"; }
# node_of HOSTNAME JQ: of the server's node
node_of() { tc nodes | jq -r --arg n "$1" ".[] | select(.Hostinfo.Hostname == \$n) | $2"; }
known() { [ -n "$(node_of "$1" .ID)" ]; }
tc_addr() { local a; a=$(node_of "$1" '.Addresses[0]'); echo "${a%/*}"; }
# get HOST ADDRESS NAME: the page of the host NAME through the node of HOST
get() { via "$1" "http://$2:8000/" --max-time "${4:-60}" 2> /dev/null | grep -q "hello from $3"; }
shut() { ! get "$@" 4; }
state() { ts "$1" status --json | jq -r .BackendState; }
# unwell HOST PATTERN: its health speaks of that
unwell() { ts "$1" status --json | jq -e --arg p "$2" '(.Health // []) | map(test($p; "i")) | any' > /dev/null; }
well() { ! ts "$1" status --json | jq -e '(.Health // []) | length > 0' > /dev/null; }
