#!/usr/bin/env bash
# Prepares a frontend's nginx for its end, so that no request is lost: ExecStop= of pygmy-frontend.service.
#
# First clients are asked to close their connections. Then nginx goes on without its public port, which systemd keeps open: whoever
# connects now waits there for the next nginx. What was begun is finished, while the port for pushes is still served: a purchase is
# acknowledged only when this frontend has confirmed what it changed. When this script returns, systemd ends nginx by SIGQUIT.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=closing.bash
. "$(dirname -- "${BASH_SOURCE[0]}")/closing.bash"

# It has died already.
if [[ -z ${MAINPID:-} ]] || ! kill -0 "$MAINPID" 2>/dev/null; then exit 0; fi
closing_begin
PYGMY_PUBLIC=off /usr/lib/pygmy/nginx/render.sh
workers_replace
