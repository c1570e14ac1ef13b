# shellcheck shell=bash
# The settings of a local store: where they come from, what they default to, how they are written down.
#
# Environment beats the file $PYGMY_CONFIG beats the default. All settings are variables named PYGMY_*; after
# settings_load every one of settings_names is set. The defaults of the folders come from the path of the clone, so
# that two clones are two stores. Nothing here changes the machine.

# Everything that a store is told, in the order in which it is written to its settings file.
settings_names=(
    PYGMY_STATE_DIR PYGMY_RUN_DIR PYGMY_LOG_DIR PYGMY_SECRETS_DIR PYGMY_DB PYGMY_CATALOGUE
    PYGMY_LISTEN PYGMY_PORT_FRONTEND PYGMY_PORT_CATALOG_A PYGMY_PORT_CATALOG_B PYGMY_PORT_ORDER_A PYGMY_PORT_ORDER_B PYGMY_PORT_METRICS
    PYGMY_FRONTENDS PYGMY_LEASE_MS PYGMY_THREADS PYGMY_LOG_LEVEL
    PYGMY_WRITE_RATE PYGMY_WRITE_BURST PYGMY_CLIENT_CONNECTIONS PYGMY_TRUSTED_CLIENTS PYGMY_TRUSTED_PROXIES
)

# The processes of a store that are supervised, in the order in which they start. Each is the leader of a session.
# shellcheck disable=SC2034  # used by the other parts
worker_names=(catalog-A catalog-B order-A order-B)
# shellcheck disable=SC2034
process_names=(catalog-A catalog-B order-A order-B nginx)

# Longest path that a Unix socket may have (sun_path, with the terminating NUL, has 108 bytes).
readonly socket_path_limit=107

settings_home() {
    local home=${HOME:-}
    if [[ -z $home ]]; then home=$(getent passwd "$EUID" | cut -d: -f6); fi
    [[ $home == /* ]] || fail "$exit_usage" "there is no home directory; set PYGMY_STATE_DIR to where the store may keep its data"
    printf '%s' "$home"
}

# Prints the state folder of the store that was started from this clone before the clone was moved to where it is now.
# (A copy of a clone is not a moved one: the first one is still in its place.)
settings_moved_from() {
    local state='' home=''
    [[ -r $clone/.build/release/etc/pygmy.env ]] || return 0
    state=$(sed -n 's/^PYGMY_STATE_DIR="\(.*\)"$/\1/p' "$clone/.build/release/etc/pygmy.env")
    home=$(cat "$state/app/etc/clone" 2>/dev/null) || return 0
    if [[ -n $home && ! -e $home ]]; then printf '%s' "$state"; fi
}

# Sets the default folders of the store that belongs to the clone at $clone. $1 tells its cluster's from its store's.
settings_default_folders() {
    local hash name home moved given=no kind=${1:-}
    if [[ -n ${PYGMY_STATE_DIR:-} ]]; then given=yes; fi
    hash=$(printf '%s' "$clone" | sha256sum)
    hash=${hash:0:8}
    name=$(basename -- "$clone" | tr -c 'A-Za-z0-9._\n-' '-')-$hash$kind
    if [[ $EUID -eq 0 ]]; then
        : "${PYGMY_STATE_DIR:=/var/lib/pygmy/$name}" "${PYGMY_RUN_DIR:=/run/pygmy-$hash$kind}"
    elif [[ -z ${PYGMY_STATE_DIR:-} ]]; then
        home=${XDG_STATE_HOME:-$(settings_home)/.local/state}
        PYGMY_STATE_DIR=$home/pygmy/$name
    fi
    if [[ $given == no && -z $kind && ! -e $PYGMY_STATE_DIR ]]; then
        moved=$(settings_moved_from)
        if [[ -n $moved ]]; then PYGMY_STATE_DIR=$moved; fi
    fi
    # Not XDG_RUNTIME_DIR: it goes away when the user logs out, and the store is to go on.
    if [[ -z ${PYGMY_RUN_DIR:-} ]]; then
        PYGMY_RUN_DIR=$PYGMY_STATE_DIR/run
        if ! settings_sockets_fit; then PYGMY_RUN_DIR=/tmp/pygmy-$EUID-$hash$kind; fi
    fi
}

settings_sockets_fit() {
    local LC_ALL=C longest=$PYGMY_RUN_DIR/frontend.sock.12345678
    [[ ${#longest} -le $socket_path_limit ]]
}

# Reads the PYGMY_* lines KEY=value of file $1. With $2 = "weak" a variable that is set already stays.
# The value may stand in single or double quotes; inside double quotes \ keeps the next character.
settings_read() {
    local line key value
    while IFS= read -r line || [[ -n $line ]]; do
        [[ $line =~ ^[[:space:]]*(PYGMY_[A-Z0-9_]+)=(.*)$ ]] || continue
        key=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
        value=${value%"${value##*[![:space:]]}"}
        if [[ $value =~ ^\'(.*)\'$ ]]; then
            value=${BASH_REMATCH[1]}
        elif [[ $value =~ ^\"(.*)\"$ ]]; then
            value=$(sed -E 's/\\(.)/\1/g' <<<"${BASH_REMATCH[1]}")
        fi
        if [[ ${2:-} == weak && -n ${!key:-} ]]; then continue; fi
        printf -v "$key" '%s' "$value"
    done <"$1"
}

# Fills in every setting and checks it.
settings_load() {
    if [[ -n ${PYGMY_CONFIG:-} ]]; then
        [[ -r $PYGMY_CONFIG ]] || fail "$exit_usage" "PYGMY_CONFIG names $PYGMY_CONFIG, which cannot be read"
        settings_read "$PYGMY_CONFIG" weak
    fi
    settings_default_folders
    settings_derive
    settings_check
}

settings_derive() {
    app=$PYGMY_STATE_DIR/app
    : "${PYGMY_LOG_DIR:=$PYGMY_STATE_DIR/logs}" "${PYGMY_SECRETS_DIR:=$PYGMY_STATE_DIR/secrets}"
    : "${PYGMY_DB:=$PYGMY_STATE_DIR/store.db}" "${PYGMY_CATALOGUE:=$app/catalogue.json}"
    : "${PYGMY_LISTEN:=127.0.0.1}" "${PYGMY_FRONTENDS:=unix:$PYGMY_RUN_DIR/frontend.sock}"
    : "${PYGMY_PORT_FRONTEND:=8010}" "${PYGMY_PORT_CATALOG_A:=8011}" "${PYGMY_PORT_CATALOG_B:=8012}"
    : "${PYGMY_PORT_ORDER_A:=8013}" "${PYGMY_PORT_ORDER_B:=8014}" "${PYGMY_PORT_METRICS:=8018}"
    : "${PYGMY_LEASE_MS:=2000}" "${PYGMY_THREADS:=64}" "${PYGMY_LOG_LEVEL:=info}"
    # nginx/render.sh checks these, and knows what an empty one means.
    : "${PYGMY_WRITE_RATE:=200}" "${PYGMY_WRITE_BURST:=}" "${PYGMY_CLIENT_CONNECTIONS:=256}"
    : "${PYGMY_TRUSTED_CLIENTS:=127.0.0.0/8,::1}" "${PYGMY_TRUSTED_PROXIES:=none}"
    # What the local machine calls to reach a listener that takes every address.
    case $PYGMY_LISTEN in
        0.0.0.0 | '*') reach=127.0.0.1 ;;
        '[::]') reach='[::1]' ;;
        *) reach=$PYGMY_LISTEN ;;
    esac
}

settings_check() {
    local name port seen=' '
    for name in PYGMY_STATE_DIR PYGMY_RUN_DIR PYGMY_LOG_DIR PYGMY_SECRETS_DIR PYGMY_DB PYGMY_CATALOGUE; do
        [[ ${!name} == /* && ${!name} != *[$'\n"\\$']* ]] ||
            fail "$exit_usage" "$name must be an absolute path without quotes, backslashes, dollar signs and line ends: ${!name}"
    done
    for name in FRONTEND CATALOG_A CATALOG_B ORDER_A ORDER_B METRICS; do
        name=PYGMY_PORT_$name port=${!name}
        if [[ $name == PYGMY_PORT_METRICS && $port == off ]]; then continue; fi
        [[ $port =~ ^[1-9][0-9]{0,4}$ && $port -le 65535 ]] || fail "$exit_usage" "$name must be a port from 1 to 65535: $port"
        [[ $seen != *" $port "* ]] || fail "$exit_usage" "$name: port $port is given twice"
        seen+="$port "
    done
    for name in PYGMY_LEASE_MS PYGMY_THREADS; do
        [[ ${!name} =~ ^[1-9][0-9]{0,6}$ ]] || fail "$exit_usage" "$name must be a number above 0: ${!name}"
    done
    settings_sockets_fit ||
        fail "$exit_usage" "PYGMY_RUN_DIR is too long for Unix sockets ($socket_path_limit bytes): $PYGMY_RUN_DIR"
}

# Prints the settings as KEY="value" lines that a shell and systemd read alike.
settings_print() {
    local name
    for name in "${settings_names[@]}"; do printf '%s="%s"\n' "$name" "${!name//\`/\\\`}"; done
}

# The settings with which the store was started last, if it was: they tell where it is now.
settings_recall() {
    local file=$PYGMY_STATE_DIR/app/etc/pygmy.env
    if [[ -r $file ]]; then settings_read "$file" && settings_derive; fi
}

# Prints "process name, port, path that says whether it is ready" for everything that listens.
settings_listeners() {
    if [[ $PYGMY_PORT_METRICS != off ]]; then printf '%s\n' "nginx $PYGMY_PORT_METRICS /metrics"; fi
    printf '%s\n' "catalog-A $PYGMY_PORT_CATALOG_A /readyz" "catalog-B $PYGMY_PORT_CATALOG_B /readyz" \
        "order-A $PYGMY_PORT_ORDER_A /readyz" "order-B $PYGMY_PORT_ORDER_B /readyz" "nginx $PYGMY_PORT_FRONTEND /healthz"
}
