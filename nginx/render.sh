#!/usr/bin/env bash
# Writes the configuration of one nginx: $PYGMY_RUN_DIR/nginx.conf, from the templates beside this script.
#
#   PYGMY_RUN_DIR=... PYGMY_LOG_DIR=... nginx/render.sh
#
# Takes its settings from the environment: PYGMY_RUN_DIR and PYGMY_LOG_DIR (required), PYGMY_LISTEN, PYGMY_LEASE_MS,
# PYGMY_LOG_LEVEL, PYGMY_WRITE_RATE, PYGMY_WRITE_BURST, PYGMY_CLIENT_CONNECTIONS, PYGMY_TRUSTED_CLIENTS, PYGMY_TRUSTED_PROXIES,
# and by PYGMY_ROLE:
#   store      (the default) PYGMY_STATE_DIR, PYGMY_PORT_FRONTEND, PYGMY_PORT_CATALOG_A, _CATALOG_B, _ORDER_A, _ORDER_B
#              PYGMY_PORT_METRICS (without it, or "off": none)
#   node       PYGMY_STATE_DIR, PYGMY_NODE (its name), PYGMY_PORT_CATALOG_A, PYGMY_PORT_ORDER_A
#   frontend   PYGMY_PORT_FRONTEND, PYGMY_PORT_PUSH, PYGMY_CATALOG_URL and PYGMY_ORDER_URL (the nodes', with commas between),
#              PYGMY_STALE_READS (on or off), PYGMY_PORT_METRICS, PYGMY_FRONTEND_NAME (F1; each has its own; empty: the store is no cluster), PYGMY_PUSH_URL (where the nodes reach its
#              port for pushes; what follows from PYGMY_LISTEN and PYGMY_PORT_PUSH), PYGMY_PUBLIC (off: without its public port, as the
#              last thing before it stops)
# A node and a frontend also take PYGMY_SECRETS_DIR (with peer.token), and PYGMY_PEER_CA, _CERT, _KEY: with them they talk TLS.
# All are checked here, so that no value can be read by nginx as anything but a value. Makes the folders that nginx wants, and
# links by which the configuration finds the program and the logs whatever their paths look like. Starts and stops nothing; run it
# again at will: nginx takes the new files on when it is told to reload.
#
# The nginx that reads it is started by the user who owns the run directory, without root:
#   nginx -p "$PYGMY_RUN_DIR/nginx" -c "$PYGMY_RUN_DIR/nginx.conf"
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
app=$(dirname -- "$here")

readonly socket_path_limit=107
readonly files_wanted=16384
readonly connections_wanted=8192 connections_max=512     # of a worker: CONNECTIONS_MAX in db/limits.h
readonly connections_reserved=512                        # not for clients: pushes, leases, operators, and idle ones to the nodes
readonly write_rate_max=100000 write_burst_max=1000000 client_connections_max=100000 networks_max=64     # db/limits.h
readonly open_files_wanted=2048
readonly members_max=32                                  # MEMBERS_MAX in db/cluster.h
readonly indent='        '

fail() {
    printf 'render.sh: %s\n' "$1" >&2
    exit 2
}

# ---- settings -------------------------------------------------------------------------------------

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
    : "${PYGMY_ROLE:=store}" "${PYGMY_LISTEN:=127.0.0.1}" "${PYGMY_LEASE_MS:=2000}" "${PYGMY_LOG_LEVEL:=info}"
    : "${PYGMY_PORT_FRONTEND:=8010}" "${PYGMY_PORT_CATALOG_A:=8011}" "${PYGMY_PORT_CATALOG_B:=8012}"
    : "${PYGMY_PORT_ORDER_A:=8013}" "${PYGMY_PORT_ORDER_B:=8014}" "${PYGMY_PORT_PUSH:=8019}"
    case $PYGMY_ROLE in
        store | node) via=fastcgi ;;
        frontend) via=proxy ;;
        *) fail "PYGMY_ROLE must be store, node or frontend: '$PYGMY_ROLE'" ;;
    esac
    check_path PYGMY_RUN_DIR
    check_path PYGMY_LOG_DIR
    if [[ $PYGMY_ROLE != frontend ]]; then check_path PYGMY_STATE_DIR; fi
    name=$PYGMY_RUN_DIR/frontend.sock
    [[ ${#name} -le $socket_path_limit ]] || fail "PYGMY_RUN_DIR is too long for Unix sockets: $PYGMY_RUN_DIR"
    [[ $PYGMY_LISTEN =~ ^(\*|\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+)$ ]] || fail "PYGMY_LISTEN must be an address: '$PYGMY_LISTEN'"
    for name in FRONTEND PUSH CATALOG_A CATALOG_B ORDER_A ORDER_B; do check_number "PYGMY_PORT_$name" 1 65535; done
    [[ ${PYGMY_PUBLIC:=on} =~ ^(on|off)$ ]] || fail "PYGMY_PUBLIC must be on or off: '$PYGMY_PUBLIC'"
    if [[ ${PYGMY_PORT_METRICS:=off} != off ]]; then check_number PYGMY_PORT_METRICS 1 65535; fi
    check_number PYGMY_LEASE_MS 1 3600000
    case $PYGMY_LOG_LEVEL in
        debug) log_level=info ;;
        info) log_level=notice ;;
        warning) log_level=warn ;;
        error) log_level=error ;;
        *) fail "PYGMY_LOG_LEVEL must be debug, info, warning or error: '$PYGMY_LOG_LEVEL'" ;;
    esac
    check_client_limits
    if [[ $PYGMY_ROLE != store ]]; then check_peer_settings; fi
    if [[ $PYGMY_ROLE == frontend ]]; then check_frontend_settings; fi
}

# Prints the networks in the list $2 (of variable $1), one a line: addresses with or without a length, with commas or blanks between.
networks() {
    local name=$1 network networks LC_ALL=C
    IFS=$', \t' read -r -a networks <<<"$2"
    [[ ${#networks[@]} -ge 1 && ${#networks[@]} -le $networks_max ]] || fail "$name takes 1 to $networks_max networks, or none: '$2'"
    for network in "${networks[@]}"; do
        [[ $network =~ ^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+)(/[0-9]{1,3})?$ ]] ||
            fail "$name must have addresses and networks like 192.0.2.0/24 or 2001:db8::/32, with commas between, or be none: '$network'"
        printf '%s\n' "$network"
    done
}

# Sets `known` and `proxies` to arrays of networks.
check_client_limits() {
    local list
    : "${PYGMY_WRITE_RATE:=200}" "${PYGMY_CLIENT_CONNECTIONS:=256}"
    : "${PYGMY_TRUSTED_CLIENTS:=127.0.0.0/8,::1}" "${PYGMY_TRUSTED_PROXIES:=none}"
    if [[ $PYGMY_WRITE_RATE != off ]]; then
        check_number PYGMY_WRITE_RATE 1 "$write_rate_max"
        : "${PYGMY_WRITE_BURST:=$((2 * PYGMY_WRITE_RATE))}"
        check_number PYGMY_WRITE_BURST 1 "$write_burst_max"
    fi
    if [[ $PYGMY_CLIENT_CONNECTIONS != off ]]; then check_number PYGMY_CLIENT_CONNECTIONS 1 "$client_connections_max"; fi
    known=() proxies=()
    if [[ $PYGMY_TRUSTED_CLIENTS != none ]]; then
        list=$(networks PYGMY_TRUSTED_CLIENTS "$PYGMY_TRUSTED_CLIENTS") || exit
        mapfile -t known <<<"$list"
    fi
    if [[ $PYGMY_TRUSTED_PROXIES != none ]]; then
        list=$(networks PYGMY_TRUSTED_PROXIES "$PYGMY_TRUSTED_PROXIES") || exit
        mapfile -t proxies <<<"$list"
    fi
}

# Sets `tls` to on or off, and `token`.
check_peer_settings() {
    local name given=0 LC_ALL=C
    : "${PYGMY_NODE:=A}" "${PYGMY_STALE_READS:=on}"
    [[ $PYGMY_NODE =~ ^[A-Za-z0-9-]{1,16}$ ]] || fail "PYGMY_NODE may have 1 to 16 letters, digits and hyphens: '$PYGMY_NODE'"
    [[ $PYGMY_STALE_READS =~ ^(on|off)$ ]] || fail "PYGMY_STALE_READS must be on or off: '$PYGMY_STALE_READS'"
    for name in PYGMY_PEER_CA PYGMY_PEER_CERT PYGMY_PEER_KEY; do
        if [[ -z ${!name:-} ]]; then continue; fi
        check_path "$name"
        [[ -r ${!name} ]] || fail "$name names a file that can not be read: ${!name}"
        given=$((given + 1))
    done
    case $given in
        0) tls=off ;;
        3) tls=on ;;
        *) fail 'PYGMY_PEER_CA, PYGMY_PEER_CERT and PYGMY_PEER_KEY are given all or none' ;;
    esac
    check_path PYGMY_SECRETS_DIR
    token=$(cat -- "$PYGMY_SECRETS_DIR/peer.token") || fail "a $PYGMY_ROLE needs the peer token"
    [[ $token =~ ^[0-9a-f]{64}$ ]] || fail "$PYGMY_SECRETS_DIR/peer.token must hold 64 hex digits"
}

# ---- what is filled in ----------------------------------------------------------------------------

least() { if [[ $1 -lt $2 ]]; then printf '%s' "$1"; else printf '%s' "$2"; fi; }

# How many processes, connections and files; and how many idle connections nginx may keep to the workers.
size_up() {
    local limit
    workers=$(nproc)
    # A node's nginx only passes on, beside its workers, which do the work.
    if [[ $PYGMY_ROLE == node ]]; then workers=$((workers / 2)); fi
    workers=$((workers > 4 ? 4 : workers))
    if [[ $PYGMY_ROLE == node ]]; then workers=$((workers < 1 ? 1 : workers)); else workers=$((workers < 2 ? 2 : workers)); fi
    limit=$(ulimit -Hn)
    if [[ $limit == unlimited ]]; then limit=$files_wanted; fi
    files=$(least "$limit" "$files_wanted")
    connections=$(least $((files / 2)) "$connections_wanted")
    open_files=$(least $((files / 4)) "$open_files_wanted")

    # Each client's connection may need one to a worker; the rest is for everybody else.
    clients=$(((connections - $(least "$connections_reserved" $((connections / 4)))) / 2))
    direct=$((clients / 4)) public=$((clients - clients / 4))
    if [[ $PYGMY_ROLE == node ]]; then direct=$clients; fi
    client_connections=0
    # A node's clients are frontends, each with many connections.
    if [[ $PYGMY_CLIENT_CONNECTIONS != off && $PYGMY_ROLE != node ]]; then client_connections=$(least "$PYGMY_CLIENT_CONNECTIONS" "$direct"); fi

    # Idle connections bind no thread of a worker (see connections.h), but each is one of the worker's connections_max.
    keepalive=$((connections_max / 4 / workers))
}

# Sets `push_url` to where the nodes reach this frontend.
check_frontend_settings() {
    local LC_ALL=C listen=$PYGMY_LISTEN scheme=http
    if [[ $tls == on ]]; then scheme=https; fi
    case $listen in
        '*' | 0.0.0.0 | '[::]') listen='' ;;
    esac
    : "${PYGMY_FRONTEND_NAME=F1}"
    [[ $PYGMY_FRONTEND_NAME =~ ^[A-Za-z0-9-]{0,16}$ ]] ||
        fail "PYGMY_FRONTEND_NAME may have up to 16 letters, digits and hyphens: '$PYGMY_FRONTEND_NAME'"
    push_url=${PYGMY_PUSH_URL:-${listen:+$scheme://$listen:$PYGMY_PORT_PUSH}}
    [[ ${#push_url} -le 200 && $push_url =~ ^$scheme://(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+):[1-9][0-9]{0,4}$ ]] ||
        fail "PYGMY_PUSH_URL must say where the nodes reach this frontend, like $scheme://192.0.2.1:8019: '$push_url'"
}

# Prints a server line for each URL of the list in variable $1.
servers() {
    local urls url list=${!1:-} LC_ALL=C
    IFS=, read -r -a urls <<<"$list"
    [[ ${#urls[@]} -ge 1 && ${#urls[@]} -le $members_max ]] || fail "$1 must have 1 to $members_max URLs: '$list'"
    for url in "${urls[@]}"; do
        [[ $url =~ ^https?://((\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+):[1-9][0-9]{0,4})/?$ ]] ||
            fail "$1 must have URLs like http://127.0.1.1:8011, with commas between: '$list'"
        [[ $url == "$scheme":* ]] || fail "$1: with TLS all nodes have https:// URLs, without none: '$url'"
        printf '%sserver %s;\n' "$indent" "${BASH_REMATCH[1]}"
    done
}

find_library() {
    local candidate
    for candidate in "$app/lib/libpygmy_coherence.so" "$app/.build/release/lib/libpygmy_coherence.so"; do
        if [[ -r $candidate ]]; then library=$candidate && return; fi
    done
    fail "libpygmy_coherence.so is neither in $app/lib nor in $app/.build/release/lib; build it first"
}

# Sets `values`: NAME -> what stands in its place. Parts of the configuration first: they have names in them.
declare -A values
list_values() {
    local name port
    for name in FRONTEND PUSH CATALOG_A CATALOG_B ORDER_A ORDER_B METRICS; do
        port=PYGMY_PORT_$name
        values[PORT_$name]=${!port}
    done
    values+=([FRONTEND_NAME]='' [PUSH_URL]='' [RUN_DIR]=$PYGMY_RUN_DIR [LISTEN]=$PYGMY_LISTEN [LEASE_MS]=$PYGMY_LEASE_MS [LOG_LEVEL]=$log_level [VIA]=$via
        [WORKERS]=$workers [FILES]=$files [CONNECTIONS]=$connections [OPEN_FILES]=$open_files [KEEPALIVE]=$keepalive
        [READ_ERRORS]=error_pages.conf [NODES]=false [THREADS]='')
    list_client_limits
    if [[ $PYGMY_ROLE == store ]]; then return; fi
    values+=([NODE]=$PYGMY_NODE [PEER_TOKEN]=$token [TLS]=$tls [SSL]='' [TLS_SERVER]='' [TLS_CLIENT]='' [SCHEME]=http)
    if [[ $tls == on ]]; then
        values+=([SSL]=' ssl' [SCHEME]=https [TLS_SERVER]='include nginx/conf/peer/tls_server.conf;'
            [TLS_CLIENT]='include nginx/conf/peer/tls_client.conf;'
            [PEER_CA]=$PYGMY_PEER_CA [PEER_CERT]=$PYGMY_PEER_CERT [PEER_KEY]=$PYGMY_PEER_KEY)
    fi
    if [[ $PYGMY_ROLE == frontend ]]; then list_nodes; fi
}

# How much of it one client may have. (All connections from a proxy are its own, whoever's requests they carry.)
list_client_limits() {
    local network
    values+=([PUBLIC_CONNECTIONS]=$public [DIRECT_CONNECTIONS]=$direct [CLIENT_CONNECTIONS]=$client_connections [WRITE_ZONE]='' [WRITE_LIMIT]='' [REAL_IP]='' [KNOWN_GEO]='' [KNOWN_CLIENTS]='')
    for network in "${known[@]}"; do values[KNOWN_GEO]+="$indent$network 1;"$'\n'; done
    values[KNOWN_GEO]=${values[KNOWN_GEO]%$'\n'}
    if [[ $((${#known[@]} + ${#proxies[@]})) -gt 0 ]]; then values[KNOWN_CLIENTS]="pygmy_known_clients ${known[*]} ${proxies[*]};"; fi
    if [[ $PYGMY_WRITE_RATE != off ]]; then
        values[WRITE_ZONE]="limit_req_zone \$pygmy_write_client zone=pygmy_writes:4m rate=${PYGMY_WRITE_RATE}r/s;"
        values[WRITE_LIMIT]="limit_req zone=pygmy_writes burst=$PYGMY_WRITE_BURST nodelay;"
    fi
    # A node hears from its frontends whom they ask for; nobody else may say so.
    if [[ ${#proxies[@]} -gt 0 && $PYGMY_ROLE != node ]]; then
        for network in "${proxies[@]}"; do values[REAL_IP]+="set_real_ip_from $network; "; done
        values[REAL_IP]+='real_ip_header X-Forwarded-For; real_ip_recursive on;'
    fi
}

# The nodes with which a frontend begins, and what it does when none of them can answer.
list_nodes() {
    local scheme=${values[SCHEME]}
    values+=([FRONTEND_NAME]=$PYGMY_FRONTEND_NAME [PUSH_URL]=$push_url [NODES]=true [READS]=turns [THREADS]='thread_pool pygmy_names threads=1 max_queue=64;' [STALE]=''
        [LAG_MS]=$((PYGMY_LEASE_MS * 3 / 4 + 1)))
    values[CATALOG_SERVERS]=$(servers PYGMY_CATALOG_URL) || exit
    values[ORDER_SERVERS]=$(servers PYGMY_ORDER_URL) || exit
    if [[ $PYGMY_STALE_READS == on ]]; then
        values+=([READ_ERRORS]=stale_errors.conf [STALE]='include nginx/conf/via/stale.conf;' [READS]=ready)
    fi
}

# ---- writing --------------------------------------------------------------------------------------

make_folders() {
    umask 077
    mkdir -p -- "$PYGMY_RUN_DIR/nginx" "$PYGMY_RUN_DIR/cache"
    ln -sfn -- "$app" "$PYGMY_RUN_DIR/nginx/app"
    ln -sfn -- "$PYGMY_LOG_DIR" "$PYGMY_RUN_DIR/nginx/logs"
    ln -sfn -- "$library" "$PYGMY_RUN_DIR/nginx/library.so"
    if [[ $PYGMY_ROLE != frontend ]]; then ln -sfn -- "$PYGMY_STATE_DIR/snapshots" "$PYGMY_RUN_DIR/nginx/snapshots"; fi
}

# render FROM TO: writes the file with all names filled in.
render() {
    local text name
    text=$(<"$1")
    text=${text/@ROLE@/"$(<"$here/$PYGMY_ROLE.template")"}
    text=${text/@PUBLIC@/"$([[ $PYGMY_PUBLIC == off ]] || cat "$here/public.template")"}
    text=${text/@CACHE@/"$(<"$here/cache.template")"}
    text=${text/@METRICS@/"$([[ $PYGMY_PORT_METRICS == off ]] || cat "$here/metrics.template")"}
    for name in "${!values[@]}"; do text=${text//"@$name@"/"${values[$name]}"}; done
    printf '%s\n' "$text" >"$2"
}

# Writes everything beside what nginx reads, and puts it into its place then.
write_configuration() {
    local new=$PYGMY_RUN_DIR/nginx/conf.new file folder
    rm -rf -- "$new"
    mkdir -p -- "$new/via"
    for file in "$here"/*.conf; do render "$file" "$new/${file##*/}"; done
    for file in "$here/$via"/*.conf; do render "$file" "$new/via/${file##*/}"; done
    if [[ $PYGMY_ROLE != store ]]; then
        mkdir -- "$new/peer"
        for file in "$here"/peer/*.conf; do render "$file" "$new/peer/${file##*/}"; done
    fi
    render "$here/nginx.conf.template" "$PYGMY_RUN_DIR/nginx.conf.new"
    folder=$PYGMY_RUN_DIR/nginx/conf
    rm -rf -- "$folder"
    mv -- "$new" "$folder"
    mv -f -- "$PYGMY_RUN_DIR/nginx.conf.new" "$PYGMY_RUN_DIR/nginx.conf"
}

check_settings
size_up
find_library
list_values
make_folders
write_configuration
