# shellcheck shell=bash
# The settings of a local cluster, and of each of its nodes.
#
# A cluster has three kinds of settings: what can't be changed once it is made ($cluster_state/cluster.env: its nodes, addresses,
# ports), what each start takes from the environment or $PYGMY_CONFIG, and what follows from both for one machine: a
# node's or the frontend's, written to $cluster_state/<name>/pygmy.env in the format of any store's settings.
#
# All functions of client/store work on the settings of one machine. `enter A` and `enter frontend` make them that machine's, so it is
# called in a subshell: in_machine A stop_all.

# What a machine of the cluster is told, in the order in which it is written down.
settings_names=(
    PYGMY_ROLE PYGMY_NODE PYGMY_STATE_DIR PYGMY_RUN_DIR PYGMY_LOG_DIR PYGMY_SECRETS_DIR PYGMY_DB PYGMY_CATALOGUE
    PYGMY_LISTEN PYGMY_PORT_FRONTEND PYGMY_PORT_PUSH PYGMY_PORT_CATALOG_A PYGMY_PORT_ORDER_A PYGMY_PORT_METRICS
    PYGMY_FRONTEND_NAME PYGMY_PUSH_URL PYGMY_ETCD PYGMY_URL PYGMY_CATALOG_URL PYGMY_ORDER_URL
    PYGMY_PEER_CA PYGMY_PEER_CERT PYGMY_PEER_KEY PYGMY_STALE_READS PYGMY_LEASE_MS PYGMY_THREADS PYGMY_LOG_LEVEL
    PYGMY_WRITE_RATE PYGMY_WRITE_BURST PYGMY_CLIENT_CONNECTIONS PYGMY_TRUSTED_CLIENTS PYGMY_TRUSTED_PROXIES
)

# What a cluster is made with. (Its address in $cluster_listen is PYGMY_LISTEN: the frontend's; a node has its own.)
readonly cluster_fixed=(
    PYGMY_CLUSTER_NODES PYGMY_CLUSTER_ETCD PYGMY_CLUSTER_FRONTENDS PYGMY_CLUSTER_NET PYGMY_CLUSTER_TLS PYGMY_CLUSTER_VIA PYGMY_LISTEN PYGMY_PORT_FRONTEND PYGMY_PORT_PUSH
    PYGMY_PORT_CATALOG_A PYGMY_PORT_ORDER_A PYGMY_PORT_ETCD PYGMY_PORT_ETCD_PEER
)
readonly cluster_letters=ABCDEFGHIJKLMNOPQRSTUVWXYZ cluster_nodes_max=9 cluster_frontends_max=8       # FRONTENDS_MAX in db/limits.h

# ---- of the cluster ------------------------------------------------------------------------------

# Fills in every setting. $1: how many nodes a new cluster gets; empty: 3. $2: how many frontends; empty: 1, or as many as it has.
cluster_load() {
    local name given=()
    if [[ -n ${PYGMY_CONFIG:-} ]]; then
        [[ -r $PYGMY_CONFIG ]] || fail "$exit_usage" "PYGMY_CONFIG names $PYGMY_CONFIG, which cannot be read"
        settings_read "$PYGMY_CONFIG" weak
    fi
    for name in "${cluster_fixed[@]}"; do
        if [[ -n ${!name:-} ]]; then given+=("$name=${!name}"); fi
    done
    settings_default_folders -cluster
    cluster_state=$PYGMY_STATE_DIR cluster_run=$PYGMY_RUN_DIR app=$PYGMY_STATE_DIR/app
    cluster_is_made=no
    if [[ -r $cluster_state/cluster.env ]]; then cluster_recall "${given[@]}"; else cluster_default "${1:-3}"; fi
    if [[ -n ${2:-} ]]; then
        [[ $cluster_is_made == no || $2 -ge ${PYGMY_CLUSTER_FRONTENDS:-1} ]] ||
            fail "$exit_usage" "this cluster has $PYGMY_CLUSTER_FRONTENDS frontends; $cluster_script stop frontend-$PYGMY_CLUSTER_FRONTENDS ends one of them"
        PYGMY_CLUSTER_FRONTENDS=$2
    fi
    : "${PYGMY_CLUSTER_FRONTENDS:=1}" "${PYGMY_CLUSTER_VIA:=0}"
    cluster_listen=$PYGMY_LISTEN
    : "${PYGMY_SECRETS_DIR:=$cluster_state/secrets}" "${PYGMY_CATALOGUE:=$app/catalogue.json}"
    : "${PYGMY_STALE_READS:=on}" "${PYGMY_LEASE_MS:=2000}" "${PYGMY_THREADS:=64}" "${PYGMY_LOG_LEVEL:=info}" "${PYGMY_PORT_METRICS:=8018}"
    : "${PYGMY_WRITE_RATE:=200}" "${PYGMY_WRITE_BURST:=}" "${PYGMY_CLIENT_CONNECTIONS:=256}"
    : "${PYGMY_TRUSTED_CLIENTS:=127.0.0.0/8,::1}" "${PYGMY_TRUSTED_PROXIES:=none}"
    cluster_derive
    cluster_check "${1:-}"
}

# The nodes of a new cluster are the first letters.
cluster_default() {
    local i
    [[ $1 =~ ^[1-9]$ ]] || fail "$exit_usage" "a cluster has 1 to $cluster_nodes_max nodes: $1"
    PYGMY_CLUSTER_NODES=
    for ((i = 0; i < $1; i++)); do PYGMY_CLUSTER_NODES+="${cluster_letters:i:1} "; done
    PYGMY_CLUSTER_NODES=${PYGMY_CLUSTER_NODES% } PYGMY_CLUSTER_ETCD=${PYGMY_CLUSTER_NODES% }
    : "${PYGMY_CLUSTER_NET:=127.0.1}" "${PYGMY_CLUSTER_TLS:=off}" "${PYGMY_LISTEN:=127.0.0.1}"
    : "${PYGMY_PORT_FRONTEND:=8010}" "${PYGMY_PORT_PUSH:=8019}" "${PYGMY_PORT_CATALOG_A:=8011}" "${PYGMY_PORT_ORDER_A:=8013}"
    : "${PYGMY_PORT_ETCD:=2379}" "${PYGMY_PORT_ETCD_PEER:=2380}"
}

# What the cluster was made with; $@ is what the caller wants it to be.
cluster_recall() {
    local name was
    cluster_is_made=yes
    settings_read "$cluster_state/cluster.env"
    for was in "$@"; do
        name=${was%%=*}
        [[ ${!name} == "${was#*=}" ]] ||
            fail "$exit_usage" "$name is \"${!name}\" for this cluster; to change it, make a new one ($cluster_script reset deletes this one)"
    done
}

cluster_derive() {
    local node
    cluster_scheme=http cluster_reach=$cluster_listen
    if [[ $PYGMY_CLUSTER_TLS == on ]]; then cluster_scheme=https; fi
    case $cluster_listen in
        0.0.0.0 | '*') cluster_reach=127.0.0.1 ;;
        '[::]') cluster_reach='[::1]' ;;
    esac
    reach=$cluster_reach cluster_catalog_urls='' cluster_order_urls='' cluster_port_frontend=$PYGMY_PORT_FRONTEND cluster_port_push=$PYGMY_PORT_PUSH
    cluster_port_metrics=$PYGMY_PORT_METRICS
    cluster_frontends=$(seq -s ' ' -f 'frontend-%g' "$PYGMY_CLUSTER_FRONTENDS")
    cluster_frontends=${cluster_frontends/frontend-1/frontend}
    for node in $PYGMY_CLUSTER_NODES; do
        cluster_catalog_urls+=,$(cluster_catalog_url "$node")
        cluster_order_urls+=,$cluster_scheme://$(cluster_address "$node"):$PYGMY_PORT_ORDER_A
    done
    cluster_catalog_urls=${cluster_catalog_urls#,} cluster_order_urls=${cluster_order_urls#,}
}

cluster_check() {
    local name port
    if [[ -n $1 && $1 != $(wc -w <<<"$PYGMY_CLUSTER_ETCD") ]]; then
        fail "$exit_usage" "this cluster was made with the nodes $PYGMY_CLUSTER_ETCD; more replicas: $cluster_script add NODE;" \
            "another cluster: $cluster_script reset, which deletes this one"
    fi
    for name in PYGMY_STATE_DIR PYGMY_RUN_DIR PYGMY_SECRETS_DIR PYGMY_CATALOGUE; do
        [[ ${!name} == /* && ${!name} != *[$'\n"\\$']* ]] ||
            fail "$exit_usage" "$name must be an absolute path without quotes, backslashes, dollar signs and line ends: ${!name}"
    done
    for name in FRONTEND PUSH CATALOG_A ORDER_A ETCD ETCD_PEER; do
        name=PYGMY_PORT_$name port=${!name}
        [[ $port =~ ^[1-9][0-9]{0,4}$ && $port -le 65535 ]] || fail "$exit_usage" "$name must be a port from 1 to 65535: $port"
    done
    [[ $PYGMY_CLUSTER_FRONTENDS =~ ^[1-9]$ && $PYGMY_CLUSTER_FRONTENDS -le $cluster_frontends_max ]] ||
        fail "$exit_usage" "a cluster on one machine has 1 to $cluster_frontends_max frontends: $PYGMY_CLUSTER_FRONTENDS"
    [[ $PYGMY_PORT_METRICS == off || ($PYGMY_PORT_METRICS =~ ^[1-9][0-9]{0,4}$ && $PYGMY_PORT_METRICS -le 65535) ]] ||
        fail "$exit_usage" "PYGMY_PORT_METRICS must be a port from 1 to 65535, or off: $PYGMY_PORT_METRICS"
    cluster_check_distinct PYGMY_PORT_FRONTEND PYGMY_PORT_PUSH PYGMY_PORT_METRICS
    [[ $PYGMY_CLUSTER_FRONTENDS -eq 1 || $(((PYGMY_PORT_PUSH - PYGMY_PORT_FRONTEND) % 10)) -ne 0 ]] ||
        fail "$exit_usage" "PYGMY_PORT_FRONTEND and PYGMY_PORT_PUSH: each further frontend has ports 10 higher, so they may not differ by tens"
    cluster_check_distinct PYGMY_PORT_CATALOG_A PYGMY_PORT_ORDER_A PYGMY_PORT_ETCD PYGMY_PORT_ETCD_PEER
    [[ $PYGMY_CLUSTER_NET =~ ^[1-9][0-9]{0,2}(\.[0-9]{1,3}){2}$ ]] ||
        fail "$exit_usage" "PYGMY_CLUSTER_NET must be the first three numbers of addresses of this machine, like 127.0.1: $PYGMY_CLUSTER_NET"
    [[ $PYGMY_CLUSTER_VIA =~ ^[0-9]{1,4}$ ]] || fail "$exit_usage" "PYGMY_CLUSTER_VIA must be a number from 0 to 9999: $PYGMY_CLUSTER_VIA"
    [[ $PYGMY_CLUSTER_TLS =~ ^(on|off)$ ]] || fail "$exit_usage" "PYGMY_CLUSTER_TLS must be on or off: $PYGMY_CLUSTER_TLS"
    for name in PYGMY_LEASE_MS PYGMY_THREADS; do
        [[ ${!name} =~ ^[1-9][0-9]{0,6}$ ]] || fail "$exit_usage" "$name must be a number above 0: ${!name}"
    done
    PYGMY_RUN_DIR=$cluster_run/frontend-2 settings_sockets_fit ||
        fail "$exit_usage" "PYGMY_RUN_DIR is too long for Unix sockets ($socket_path_limit bytes): $cluster_run"
}

cluster_check_distinct() {
    local name seen=' '
    for name in "$@"; do
        [[ $seen != *" ${!name} "* ]] || fail "$exit_usage" "$name: port ${!name} is given twice"
        seen+="${!name} "
    done
}

# Prints the address of node $1.
cluster_address() {
    local before=${cluster_letters%%"$1"*}
    printf '%s.%d' "$PYGMY_CLUSTER_NET" $((${#before} + 1))
}

# Prints where the others reach the catalog worker of node $1. With PYGMY_CLUSTER_VIA=N that, and where the nodes push to a frontend, is
# a port higher by N than the one that is listened at: something between them, which is to listen there, passes on what comes in.
cluster_catalog_url() { printf '%s://%s:%s' "$cluster_scheme" "$(cluster_address "$1")" $((PYGMY_PORT_CATALOG_A + PYGMY_CLUSTER_VIA)); }

# Sets the ports of frontend $1: each further one's are 10 higher.
cluster_frontend_ports() {
    local number=${1#frontend}
    number=${number#-}
    PYGMY_PORT_FRONTEND=$((cluster_port_frontend + 10 * (${number:-1} - 1))) PYGMY_PORT_PUSH=$((cluster_port_push + 10 * (${number:-1} - 1)))
    if [[ $cluster_port_metrics != off ]]; then PYGMY_PORT_METRICS=$((cluster_port_metrics + 10 * (${number:-1} - 1))); fi
    PYGMY_FRONTEND_NAME=F${number:-1}
}

# Prints the public URL of frontend $1.
cluster_frontend_url() { (cluster_frontend_ports "$1" && printf 'http://%s:%s' "$cluster_reach" "$PYGMY_PORT_FRONTEND"); }

# Prints the public URLs of all, with commas between.
cluster_frontend_urls() {
    local name urls=''
    for name in $cluster_frontends; do urls+=,$(cluster_frontend_url "$name"); done
    printf '%s' "${urls#,}"
}

# Prints the names of all machines.
cluster_machines() { printf '%s\n' $PYGMY_CLUSTER_NODES $cluster_frontends; }

# Also those that have only an etcd member left.
cluster_all_machines() { printf '%s\n' $PYGMY_CLUSTER_NODES $PYGMY_CLUSTER_ETCD $cluster_frontends | awk '!seen[$0]++'; }

cluster_has_etcd() { [[ " $PYGMY_CLUSTER_ETCD " == *" $1 "* ]]; }
cluster_has_node() { [[ " $PYGMY_CLUSTER_NODES " == *" $1 "* ]]; }

# Prints the client URL of the etcd member of node $1.
cluster_etcd_url() { printf '%s://%s:%s' "$cluster_scheme" "$(cluster_address "$1")" "$PYGMY_PORT_ETCD"; }

# Prints the endpoints of etcd, node $1's own first, if it has one.
cluster_etcd_urls() {
    local node urls=''
    for node in $PYGMY_CLUSTER_ETCD; do
        if [[ $node == "$1" ]]; then urls="$(cluster_etcd_url "$node")$urls"; else urls+=" $(cluster_etcd_url "$node")"; fi
    done
    printf '%s' "${urls# }"
}

# Prints what the cluster is made with.
cluster_print() {
    local name
    for name in "${cluster_fixed[@]}"; do printf '%s="%s"\n' "$name" "${!name}"; done
}

# Writes down what the cluster is made with, and the settings of each machine.
cluster_record() {
    local machine
    cluster_print >"$cluster_state/cluster.env.new" && mv -f -- "$cluster_state/cluster.env.new" "$cluster_state/cluster.env"
    for machine in $(cluster_all_machines); do in_machine "$machine" machine_record || return; done
}

# ---- of one machine ------------------------------------------------------------------------------

# Makes all settings those of node $1, or of frontend $1. A node that was removed and still has an etcd member has only that.
enter() {
    app=$cluster_state/app
    PYGMY_STATE_DIR=$cluster_state/$1 PYGMY_RUN_DIR=$cluster_run/$1
    PYGMY_LOG_DIR=$PYGMY_STATE_DIR/logs PYGMY_DB=$PYGMY_STATE_DIR/store.db
    PYGMY_URL=$(cluster_frontend_urls) PYGMY_CATALOG_URL=$cluster_catalog_urls PYGMY_ORDER_URL=$cluster_order_urls
    PYGMY_FRONTEND_NAME='' PYGMY_PUSH_URL='' PYGMY_ETCD=$(cluster_etcd_urls "$1")
    PYGMY_PEER_CA='' PYGMY_PEER_CERT='' PYGMY_PEER_KEY=''
    if [[ $PYGMY_CLUSTER_TLS == on ]]; then
        PYGMY_PEER_CA=$PYGMY_SECRETS_DIR/tls/ca.pem PYGMY_PEER_CERT=$PYGMY_SECRETS_DIR/tls/$1.pem PYGMY_PEER_KEY=$PYGMY_SECRETS_DIR/tls/$1.key
    fi
    if [[ $1 == frontend* ]]; then
        cluster_frontend_ports "$1"
        PYGMY_ROLE=frontend PYGMY_NODE='' PYGMY_LISTEN=$cluster_listen PYGMY_PUSH_URL=$cluster_scheme://$cluster_reach:$((PYGMY_PORT_PUSH + PYGMY_CLUSTER_VIA))
        reach=$cluster_reach process_names=("$1") worker_names=()
        return
    fi
    PYGMY_ROLE=node PYGMY_NODE=$1 PYGMY_LISTEN=$(cluster_address "$1")
    reach=$PYGMY_LISTEN process_names=() worker_names=()
    if cluster_has_node "$1"; then worker_names=("catalog-$1" "order-$1"); fi
    if cluster_has_etcd "$1"; then process_names=("etcd-$1"); fi
    process_names+=("${worker_names[@]}")
    if cluster_has_node "$1"; then process_names+=("nginx-$1"); fi
}

# in_machine A command words...
in_machine() {
    local machine=$1
    shift
    (enter "$machine" && "$@")
}

machine_record() {
    mkdir -p -- "$PYGMY_STATE_DIR" "$PYGMY_RUN_DIR" "$PYGMY_LOG_DIR" "$PYGMY_RUN_DIR/nginx" "$PYGMY_RUN_DIR/cache" || return
    settings_print >"$PYGMY_STATE_DIR/pygmy.env"
}

# Prints "process name, port, path that says whether it is ready" for everything that listens on this machine.
settings_listeners() {
    local name
    for name in "${process_names[@]}"; do
        case $name in
            etcd-*) printf '%s\n' "$name $PYGMY_PORT_ETCD /health" "$name $PYGMY_PORT_ETCD_PEER -" ;;
            catalog-*) printf '%s\n' "$name $PYGMY_PORT_CATALOG_A /readyz" ;;
            order-*) printf '%s\n' "$name $PYGMY_PORT_ORDER_A /readyz" ;;
            frontend*)
                printf '%s\n' "$name $PYGMY_PORT_FRONTEND /healthz" "$name $PYGMY_PORT_PUSH -"
                if [[ $PYGMY_PORT_METRICS != off ]]; then printf '%s\n' "$name $PYGMY_PORT_METRICS -"; fi
                ;;
        esac
    done
}
