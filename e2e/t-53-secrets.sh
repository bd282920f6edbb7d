#!/bin/bash
# Where secrets are not: the auth key in state, log, command line, environment, core dump; private keys in log, captures, core dump
# (all but the state file). Searched as text, hex, base64 and raw bytes.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
command -v gcore > /dev/null || { echo "needs gdb (gcore)"; exit 77; }
command -v tcpdump > /dev/null || { echo "needs tcpdump"; exit 77; }
headscale
host a; host b
key=$(authkey --reusable)
tailscaled b; ts_up b "$key"
web a 8000; web b 8000
start a capture tcpdump -i any -U -s 0 -w "$T/a.pcap"
until_ok 30 test -s "$T/a.pcap"
containerboot a "$key" TS_LOG_VERBOSITY=2
ready a
core a b > /dev/null
# a second one whose state is in memory
containerboot_in_memory() { start a m env SSL_CERT_FILE="$CA" TS_AUTHKEY="$key" TS_LOGIN_SERVER="$URL" TS_HOSTNAME=m TS_SOCKET="$T/m.sock" TS_LOG_VERBOSITY=2 "$BIN/containerboot"; PID_m=$PID; }
containerboot_in_memory
until_ok 40 grep -q 'Startup complete' "$T/m.log"

state=$T/a.state/tailscaled.state
machine=$(jq -r '._machinekey' "$state" | base64 -d | sed 's/^privkey://')
profile=$(jq -r '._profiles' "$state" | base64 -d | jq -r 'keys[0]')
node=$(jq -r --arg p "profile-$profile" '.[$p]' "$state" | base64 -d | jq -r '.Config.PrivateNodeKey // .Persist.PrivateNodeKey' | sed 's/^privkey://')
disco=$(jq -r 'to_entries[] | select(.key | contains("disco")) | .value' "$state" | base64 -d | grep -o '[0-9a-f]\{64\}')
for k in machine node disco; do [ "$(eval "printf %s \"\$$k\"" | wc -c)" = 64 ] || die "no $k key in the state"; done
for p in "$PID_a" "$PID_m"; do
	tr '\0' '\n' < "/proc/$p/environ" > "$T/environ.$p"
	tr '\0' '\n' < "/proc/$p/cmdline" > "$T/cmdline.$p"
	gcore -o "$T/core" "$p" > "$T/gcore.log" 2>&1 || die "gcore: $(tail -n 3 "$T/gcore.log")"
	[ "$(stat -c %s "$T/core.$p")" -gt 20000 ] || die "the core file is empty"
done
cat > "$T/search.py" <<'END'
# search.py NAME SECRET(text or hex) FILE...: every form of the secret in every file
import base64, sys
name, secret, files = sys.argv[1], sys.argv[2], sys.argv[3:]
forms = {"text": secret.encode(), "base64": base64.b64encode(secret.encode())[:-4]}
if name != "auth":
    raw = bytes.fromhex(secret)
    forms.update({"raw": raw, "half": raw[:16], "base64 of raw": base64.b64encode(raw)[:40]})
else:
    forms["its secret half"] = secret[-40:].encode()
bad = 0
for f in files:
    data = open(f, "rb").read()
    for form, b in forms.items():
        at = data.find(b)
        if at >= 0:
            print(f"{name} key as {form} in {f} at {at}")
            bad = 1
sys.exit(bad)
END
logs=("$T/a.log" "$T/m.log" "$T"/environ.* "$T"/cmdline.* "$T/a.pcap")
ok=0
python3 "$T/search.py" auth "$key" "${logs[@]}" "$state" "$T"/a.state/* "$T/core.$PID_a" "$T/core.$PID_m" || ok=1
for k in machine node disco; do
	eval "v=\$$k"
	python3 "$T/search.py" $k "$v" "${logs[@]}" "$T/core.$PID_a" || ok=1
done
[ $ok = 0 ] || die "secrets lie about"
# the kernel writes no core file at all
[ "$(awk '/^Max core file size/ {print $5 + $6}' "/proc/$PID_a/limits")" = 0 ] || die "core files are allowed"
[ "$(stat -c %u "/proc/$PID_a/environ")" = 0 ] || die "the process is dumpable"
[ "$(stat -c %a "$state")" = 600 ] || die "mode of the state"
say "no secret found"
