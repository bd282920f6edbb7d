#!/bin/bash
# SIGTERM before a program waits for it: as an ordinary process, which it would end with another code than a stop has, and as the
# first one of a pid namespace, which would never hear of it.
set -eu
exec python3 "$(dirname "$0")/signals.py" "${BIN_DIR:-build/gcc/bin}"
