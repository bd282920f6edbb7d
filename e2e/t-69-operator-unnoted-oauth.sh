#!/bin/bash
# The operator as an OAuth client of our coordinator: t-69-operator-unnoted once more through /api/v2, where a device is found by its
# machine key.
# waits: 30
set -eu
export CONTROL=coordinator CREDENTIALS=oauth
exec bash "$(dirname "$0")/t-69-operator-unnoted.sh"
