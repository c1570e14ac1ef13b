#!/usr/bin/env bash
# Makes a running nginx read its settings anew: ExecReload= of pygmy-node.service and pygmy-frontend.service.
#
# Not after an upgrade of the package: what nginx keeps in memory over a reload belongs to the library that it was started with.
set -euo pipefail

if ! sha256sum --quiet --check -- "$PYGMY_RUN_DIR/library.sha256" >/dev/null 2>&1; then
    printf 'reload-nginx: this nginx was started by another version of the package; restart it\n' >&2
    exit 1
fi
/usr/lib/pygmy/nginx/render.sh
kill -s HUP "$MAINPID"
