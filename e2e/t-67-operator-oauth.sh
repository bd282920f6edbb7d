#!/bin/bash
# The operator as an OAuth client: t-65 once more through /api/v2 of our coordinator. A client's secret that is refused is told and, once
# mended, used; keys are made, routes seen and approved, devices and an orphan deleted with its token.
# waits: 100
set -eu
export CONTROL=coordinator CREDENTIALS=oauth
exec bash "$(dirname "$0")/t-65-operator-web.sh"
