#!/usr/bin/env bash
# Waits until what a unit started is there, so that units behind it find it: await socket|nginx [KIND]. Run as ExecStartPost=.
#
#   await socket catalog    spawn-fcgi has made the worker's socket
#   await nginx             nginx listens: it writes its pid when it does
#
# Fails when the unit's main process has ended, or after 20 seconds.
set -euo pipefail

deadline=$((SECONDS + 20))
case $1 in
    socket) is_there() { [[ -S $PYGMY_RUN_DIR/$kind-$PYGMY_NODE.sock ]]; } ;;
    nginx) is_there() { [[ $(cat -- "$PYGMY_RUN_DIR/nginx.pid" 2>/dev/null) == "$MAINPID" ]]; } ;;
    *) exit 2 ;;
esac
kind=${2:-}
until is_there; do
    kill -0 "$MAINPID" 2>/dev/null || { printf 'await: it has ended; see %s\n' "$PYGMY_LOG_DIR" >&2 && exit 1; }
    if [[ $SECONDS -ge $deadline ]]; then printf 'await: nothing listens after 20 s; see %s\n' "$PYGMY_LOG_DIR" >&2 && exit 1; fi
    sleep 0.02
done
