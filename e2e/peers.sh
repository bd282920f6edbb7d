# peers.sh - sourced by tests: where the real peers are
PEERS=${PEERS_DIR:-$HOME/.cache/peers}/bin
# need_peer NAME...: one that is not there is waited for while the suite still builds peers ($SETUP_BUSY is there), else the test skips
need_peer() {
	local p
	for p in "$@"; do
		while [ ! -x "$PEERS/$p" ] && [ -e "${SETUP_BUSY:-}" ]; do sleep 1; done
		[ -x "$PEERS/$p" ] || { echo "peer $p is not there: run e2e/setup"; exit 77; }
	done
}
