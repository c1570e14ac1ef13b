#!/usr/bin/env bash
# Becomes a worker of this node, with its supervisor: start-worker catalog|order. Run by pygmy-catalog.service and pygmy-order.service.
set -euo pipefail

readonly log_limit_bytes=$((16 * 1024 * 1024))
export PYGMY_NAME=$1-${PYGMY_NODE:?}
log=$PYGMY_LOG_DIR/$PYGMY_NAME.log

# A log that grew while no nginx ran to cut it.
if [[ -f $log && $(stat -c %s -- "$log") -gt $log_limit_bytes ]]; then mv -f -- "$log" "$log.1"; fi
cd -- "$PYGMY_RUN_DIR"
# What a killed supervisor left behind.
rm -f -- "$PYGMY_RUN_DIR/$PYGMY_NAME.sock"
exec >>"$log" 2>&1
# Both want absolute paths.
exec /usr/bin/spawn-fcgi -n -s "$PYGMY_RUN_DIR/$PYGMY_NAME.sock" -M 0600 -b 4096 -- \
    /usr/bin/multiwatch -s TERM -r 1000 -t 500 -- "/usr/lib/pygmy/bin/$1"
