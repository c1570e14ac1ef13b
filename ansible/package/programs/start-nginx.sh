#!/usr/bin/env bash
# Becomes the nginx of a role, whose configuration render.sh has written. Run by pygmy-node.service and pygmy-frontend.service.
#
# The frontend's public socket comes from systemd, as descriptor 3. nginx takes over sockets that its variable NGINX names: one that it
# is told to listen on it uses, others it closes. So the socket outlives nginx, and who connects while nginx restarts waits in its queue.
# The other ports (pushes above all) are nginx's own: what is pushed to a port must reach the table of the nginx that answers.
set -euo pipefail

run=$PYGMY_RUN_DIR log=$PYGMY_LOG_DIR
if [[ ${LISTEN_PID:-} == "$$" && ${LISTEN_FDS:-0} -eq 1 ]]; then export NGINX='3;'; fi
unset LISTEN_PID LISTEN_FDS LISTEN_FDNAMES
sha256sum /usr/lib/pygmy/lib/libpygmy_coherence.so >"$run/library.sha256" # see reload-nginx
# What an nginx that was killed left behind.
rm -f -- "$run/nginx.pid" "$run/frontend.sock" "$run/closing" "$run/leaving"
exec /usr/sbin/nginx -p "$run/nginx" -e "$log/nginx-error.log" -c "$run/nginx.conf" -g 'daemon off;'
