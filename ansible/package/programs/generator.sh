#!/bin/sh
# Tells systemd where the frontend's public socket listens: what /etc/pygmy/frontend.env says of nginx (PYGMY_LISTEN and
# PYGMY_PORT_FRONTEND), so that it is said once. systemd runs this at boot and at each daemon-reload: pygmy-generator FOLDER...
set -eu

settings=${PYGMY_FRONTEND_ENV:-/etc/pygmy/frontend.env}
[ -r "$settings" ] || exit 0

# Prints a setting: the last line counts, in no, single or double quotes.
setting() { sed -n "s/^[[:space:]]*$1=[\"']\{0,1\}\([^\"']*[^\"'[:space:]]\)[\"']\{0,1\}[[:space:]]*\$/\1/p" "$settings" | tail -n 1; }

address=$(setting PYGMY_LISTEN)
port=$(setting PYGMY_PORT_FRONTEND)
case ${address:=127.0.0.1} in '*') address=0.0.0.0 ;; esac
mkdir -p "$1/pygmy-frontend.socket.d"
printf '[Socket]\nListenStream=\nListenStream=%s:%s\n' "$address" "${port:-8010}" >"$1/pygmy-frontend.socket.d/50-settings.conf"
