#!/usr/bin/env bash
# Prepares a frontend's nginx for its end, so that no request is lost: ExecStop= of pygmy-frontend.service.
#
# First the frontend leaves the cluster: it asks to be fenced, and gives its lease up, while it goes on answering everything and
# confirming what is pushed to it. When a lease's time has passed, no write anywhere waits for it any more. Then clients are asked to
# close their connections. Then nginx goes on without its public port, which systemd keeps open: whoever connects now waits there for
# the next nginx. What was begun is finished, while the port for pushes is still served: a purchase of before the fence is acknowledged
# only when this frontend has confirmed what it changed. When this script returns, systemd ends nginx by SIGQUIT.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=closing.bash
. "$(dirname -- "${BASH_SOURCE[0]}")/closing.bash"

# Asks its own server, which asks the nodes. Prints the answer, or nothing.
own_server() { curl --silent --max-time 3 --unix-socket "$PYGMY_RUN_DIR/frontend.sock" "$@" </dev/null || :; }

# Without a cluster, or without an answer, there is nothing to wait for: writes that wait for this frontend fence it themselves.
leave() {
    local now_ms deadline since answer
    since=$(own_server http://pygmy/coherence/status | sed -nE 's/.*"joined":([1-9][0-9]*).*/\1/p')
    if [[ -z $since ]]; then return; fi
    touch -- "$PYGMY_RUN_DIR/leaving"
    answer=$(own_server --request POST --header 'Content-Type: application/json' \
        --data "{\"name\":\"${PYGMY_FRONTEND_NAME:-F1}\",\"since\":$since}" http://pygmy/coherence/leave)
    case $answer in
        *'"status":"Success"'* | *'"code":"frontend_changed"'*) ;; # (it is fenced already)
        *'"code":"frontend_not_found"'*) return ;;
        *) printf 'stop-frontend: it did not leave the cluster: %s\n' "${answer:-no answer}" >&2 && return ;;
    esac
    clock_read
    deadline=$((now_ms + ${PYGMY_LEASE_MS:-2000} + 100))
    while clock_read && [[ $now_ms -lt $deadline ]]; do sleep 0.05; done
}

# It has died already.
if [[ -z ${MAINPID:-} ]] || ! kill -0 "$MAINPID" 2>/dev/null; then exit 0; fi
leave
closing_begin
PYGMY_PUBLIC=off /usr/lib/pygmy/nginx/render.sh
workers_replace
