#!/bin/bash
# Pod Security "restricted": containerboot joins, serves and stops with a read-only root, a strange uid, no capability, no new
# privileges; what it writes lies in its state directory and in /tmp, and the root it runs in is that of the image.
. "$(dirname "$0")/../../e2e/lib.sh"
for p in unshare setpriv; do command -v $p > /dev/null || { echo "needs $p"; exit 77; }; done
coordinator
host a
key=$(authkey)
uid=1000660
root=$T/root
tools/image-root containerboot "$BIN" "$root"
mkdir -p "$root/proc" "$root/state" "$T/disk"
cp "$CA" "$root/etc/ca.crt"; chmod 0644 "$root/etc/ca.crt"
chown $uid:0 "$T/disk"; chmod 0700 "$T/disk"
chmod 0755 "$T"

cat > "$T/restricted" <<-'END'
#!/bin/bash
# ROOT DISK UID COMMAND...
root=$1 disk=$2 uid=$3; shift 3
mount --make-rprivate / && mount --bind "$root" "$root" && mount --bind "$disk" "$root/state" &&
	mount -t proc proc "$root/proc" && mount -t tmpfs -o mode=1777 tmpfs "$root/tmp" && mount -o remount,ro,bind "$root" &&
	exec setpriv --no-new-privs unshare --root="$root" --setgid=0 --setuid="$uid" "$@"
END
chmod +x "$T/restricted"
pod() {
	start a a unshare --mount env -i PATH="$PATH" SSL_CERT_FILE=/etc/ca.crt TS_LOGIN_SERVER="$URL" TS_HOSTNAME=a TS_STATE_DIR=/state \
		TS_ENABLE_HEALTH_CHECK=true TS_ENABLE_METRICS=true "$@" \
		/bin/bash "$T/restricted" "$root" "$T/disk" $uid /usr/local/bin/containerboot
	PID_a=$PID
}
pod TS_AUTHKEY="$key"
ready a
st() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$PID_a/status"; }
# the numbers are read where nobody else looks: /proc of an undumpable process belongs to root
[ "$(st Uid | cut -f1)" = $uid ] || die "runs as $(st Uid)"
[ "$(st NoNewPrivs)" = 1 ] || die "new privileges are possible"
for c in CapInh CapPrm CapEff CapAmb; do [ "$(st $c)" = 0000000000000000 ] || die "$c is $(st $c)"; done
say "runs as $uid, capabilities: $(st CapEff)"
find "$root" -newer "$T/restricted" -type f | grep . && die "wrote into its root"
[ "$(find "$T/disk" -type f ! -perm 0600 | wc -l)" = 0 ] || die "a state file that others can read: $(ls -l "$T/disk")"
ls "$T/disk" | grep -qx tailscaled.state || die "no state: $(ls "$T/disk")"
web a 8000
in_ns a curl -sf --max-time 60 http://127.0.0.1:9002/metrics | grep -q '^tailscaled_' || die "no metrics"
nsenter -t "$PID_a" -m --root="/proc/$PID_a/root" /usr/local/bin/tailscale --socket=/tmp/tailscaled.sock status | grep -q '^100\.' || die "the CLI in the container"
kill -TERM "$PID_a"; rc=0; wait "$PID_a" || rc=$?
[ "$rc" = 0 ] || die "exit code $rc on SIGTERM"
say "stopped with 0"
pod
ready a
[ "$(co_cli nodes list -o json | jq '.nodes | length')" = 1 ] || die "not the same node after a restart"
grep -qE "tskey|$key" "$T/a.log" && die "a key in the log"
say "the same node after a restart"

# a root that nothing can be written to, state directory included: one line that says what to change
kill -TERM "$PID_a"; wait "$PID_a" || true
pod TS_STATE_DIR=/var/lib/elsewhere
rc=0; wait "$PID_a" || rc=$?
[ "$rc" = 1 ] && grep -q "TS_STATE_DIR\|/var/lib/elsewhere" "$T/a.log" || { cat "$T/a.log"; die "code $rc without a place for the state"; }
