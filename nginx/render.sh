#!/usr/bin/env bash
# Writes the configuration of one store's nginx: $PYGMY_RUN_DIR/nginx.conf, from nginx.conf.template beside this script.
#
#   PYGMY_RUN_DIR=... PYGMY_LOG_DIR=... nginx/render.sh
#
# Takes its settings from the environment: PYGMY_RUN_DIR and PYGMY_LOG_DIR (required), PYGMY_LISTEN, PYGMY_PORT_FRONTEND,
# PYGMY_PORT_CATALOG_A, _CATALOG_B, _ORDER_A, _ORDER_B, PYGMY_PORT_METRICS (without it, or "off": none), PYGMY_LEASE_MS, PYGMY_LOG_LEVEL. They are checked here, so that
# no value can be read by nginx as anything but a value. Makes the folders that nginx wants, and links by which the
# configuration finds the program and the logs whatever their paths look like. Starts and stops nothing; run it again at will:
# nginx takes the new file on when it is told to reload.
#
# The nginx that reads it is started by the user who owns the run directory, without root:
#   nginx -p "$PYGMY_RUN_DIR/nginx" -c "$PYGMY_RUN_DIR/nginx.conf"
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
app=$(dirname -- "$here")

readonly socket_path_limit=107
readonly files_wanted=16384
readonly connections_wanted=4096 connections_max=512     # of a worker: CONNECTIONS_MAX in db/limits.h
readonly open_files_wanted=2048

fail() {
    printf 'render.sh: %s\n' "$1" >&2
    exit 2
}

# Fails unless the value of variable $1 is a path that nginx reads as it stands, in double quotes.
check_path() {
    local value=${!1:-} LC_ALL=C
    [[ $value == /* && $value != *[[:cntrl:]\"\\\$]* ]] ||
        fail "$1 must be an absolute path without quotes, backslashes, dollar signs and control characters: '$value'"
}

# check_number NAME MIN MAX
check_number() {
    local value=${!1}
    [[ $value =~ ^[1-9][0-9]{0,8}$ && $value -ge $2 && $value -le $3 ]] || fail "$1 must be a number from $2 to $3: '$value'"
}

check_settings() {
    local name LC_ALL=C
    : "${PYGMY_LISTEN:=127.0.0.1}" "${PYGMY_LEASE_MS:=2000}" "${PYGMY_LOG_LEVEL:=info}"
    : "${PYGMY_PORT_FRONTEND:=8010}" "${PYGMY_PORT_CATALOG_A:=8011}" "${PYGMY_PORT_CATALOG_B:=8012}"
    : "${PYGMY_PORT_ORDER_A:=8013}" "${PYGMY_PORT_ORDER_B:=8014}"
    check_path PYGMY_RUN_DIR
    check_path PYGMY_LOG_DIR
    name=$PYGMY_RUN_DIR/frontend.sock
    [[ ${#name} -le $socket_path_limit ]] || fail "PYGMY_RUN_DIR is too long for Unix sockets: $PYGMY_RUN_DIR"
    [[ $PYGMY_LISTEN =~ ^(\*|\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+)$ ]] || fail "PYGMY_LISTEN must be an address: '$PYGMY_LISTEN'"
    for name in FRONTEND CATALOG_A CATALOG_B ORDER_A ORDER_B; do check_number "PYGMY_PORT_$name" 1 65535; done
    if [[ ${PYGMY_PORT_METRICS:=off} == off ]]; then PYGMY_PORT_METRICS=; else check_number PYGMY_PORT_METRICS 1 65535; fi
    check_number PYGMY_LEASE_MS 1 3600000
    case $PYGMY_LOG_LEVEL in
        debug) log_level=info ;;
        info) log_level=notice ;;
        warning) log_level=warn ;;
        error) log_level=error ;;
        *) fail "PYGMY_LOG_LEVEL must be debug, info, warning or error: '$PYGMY_LOG_LEVEL'" ;;
    esac
}

least() { if [[ $1 -lt $2 ]]; then printf '%s' "$1"; else printf '%s' "$2"; fi; }

# How many processes, connections and files; and how many idle connections nginx may keep to the workers.
size_up() {
    local limit
    workers=$(nproc)
    workers=$((workers < 2 ? 2 : workers > 4 ? 4 : workers))
    limit=$(ulimit -Hn)
    if [[ $limit == unlimited ]]; then limit=$files_wanted; fi
    files=$(least "$limit" "$files_wanted")
    connections=$(least $((files / 2)) "$connections_wanted")
    open_files=$(least $((files / 4)) "$open_files_wanted")

    # Idle connections bind no thread of a worker (see connections.h), but each is one of the worker's connections_max.
    keepalive=$((connections_max / 4 / workers))
}

find_library() {
    local candidate
    for candidate in "$app/lib/libpygmy_coherence.so" "$app/.build/release/lib/libpygmy_coherence.so"; do
        if [[ -r $candidate ]]; then library=$candidate && return; fi
    done
    fail "libpygmy_coherence.so is neither in $app/lib nor in $app/.build/release/lib; build it first"
}

make_folders() {
    umask 077
    mkdir -p -- "$PYGMY_RUN_DIR/nginx" "$PYGMY_RUN_DIR/cache"
    ln -sfn -- "$app" "$PYGMY_RUN_DIR/nginx/app"
    ln -sfn -- "$PYGMY_LOG_DIR" "$PYGMY_RUN_DIR/nginx/logs"
    ln -sfn -- "$library" "$PYGMY_RUN_DIR/nginx/library.so"
}

# fill NAME VALUE: replaces @NAME@ in $text.
fill() { text=${text//"@$1@"/"$2"}; }

write_configuration() {
    local text name
    text=$(<"$here/nginx.conf.template")
    fill METRICS "$([[ -z $PYGMY_PORT_METRICS ]] || cat "$here/metrics.template")"
    fill PORT_METRICS "$PYGMY_PORT_METRICS"
    fill RUN_DIR "$PYGMY_RUN_DIR"
    fill LISTEN "$PYGMY_LISTEN"
    for name in FRONTEND CATALOG_A CATALOG_B ORDER_A ORDER_B; do
        local port=PYGMY_PORT_$name
        fill "PORT_$name" "${!port}"
    done
    fill LEASE_MS "$PYGMY_LEASE_MS"
    fill LOG_LEVEL "$log_level"
    fill WORKERS "$workers"
    fill FILES "$files"
    fill CONNECTIONS "$connections"
    fill OPEN_FILES "$open_files"
    fill KEEPALIVE "$keepalive"
    printf '%s\n' "$text" >"$PYGMY_RUN_DIR/nginx.conf.new"
    mv -f -- "$PYGMY_RUN_DIR/nginx.conf.new" "$PYGMY_RUN_DIR/nginx.conf"
}

check_settings
size_up
find_library
make_folders
write_configuration
