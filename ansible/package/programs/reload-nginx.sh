#!/usr/bin/env bash
# Makes a running nginx read its settings anew: ExecReload= of pygmy-node.service and pygmy-frontend.service.
#
# Not after an upgrade of the package: what nginx keeps in memory over a reload belongs to the library that it was started with.
set -euo pipefail

if ! sha256sum --quiet --check -- "$PYGMY_RUN_DIR/library.sha256" >/dev/null 2>&1; then
    printf 'reload-nginx: this nginx was started by another version of the package; restart it\n' >&2
    exit 1
fi
# shellcheck source-path=SCRIPTDIR source=closing.bash
. "$(dirname -- "${BASH_SOURCE[0]}")/closing.bash"
/usr/lib/pygmy/nginx/render.sh
# (A node's clients are frontends, which ask again by themselves.)
if [[ $PYGMY_ROLE == frontend ]]; then closing_begin; fi
workers_replace
closing_end
