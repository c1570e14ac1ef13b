#!/usr/bin/env bash
# The fault of the report on a store of one machine: kills (-9) one catalog and one order worker and waits until they answer as ready
# again. What happens when is told on standard output as lines `time text` (seconds since the epoch), for --mark.
#
#   client/loadtest/crash.sh CATALOG-URL ORDER-URL
set -euo pipefail

mark() { printf '%s %s\n' "$(date +%s.%N)" "$*"; }

pids=()
for url in "$@"; do
    pids+=("$(curl -fsS --max-time 2 "$url/status" | jq -er .worker.pid)")
done
mark "kill -9 of ${#pids[@]} workers"
kill -9 "${pids[@]}"
deadline=$((SECONDS + 30))
for url in "$@"; do
    # The one that was killed can't answer any more: who answers is its successor.
    until curl -fsS --max-time 2 -o /dev/null "$url/readyz" 2>/dev/null; do
        ((SECONDS < deadline)) || { printf 'crash: %s does not come back\n' "$url" >&2 && exit 1; }
        sleep 0.01
    done
done
mark 'all workers ready'
