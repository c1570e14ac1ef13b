#!/usr/bin/env bash
# Starts, stops and shows a cluster on this machine: nodes with an address, a database, workers and a member of etcd each, and
# frontends in front of them. It belongs to this clone.
#
#   client/cluster.sh start [--nodes N] [--frontends N]   make it (3 nodes, 1 frontend) and start it; one that runs is checked and, where a
#                                         part is dead, repaired; with another number of frontends it gets that many
#   client/cluster.sh stop                end it gracefully; its data stays
#   client/cluster.sh status [--json]     what runs, where, since when, with how much memory
#   client/cluster.sh start|stop|kill NAME...   one process, or all of a node: catalog-A, order-B, nginx-A, etcd-C, node-B, frontend,
#                                         frontend-2;
#                                         start returns when it is ready (with --no-wait at once), kill is kill -9
#   client/cluster.sh pids NAME...        the pids of all its processes
#   client/cluster.sh add NODE            a further replica, for example D: it loads a snapshot by itself
#   client/cluster.sh remove NODE         one less: its database is deleted
#   client/cluster.sh logs [-n N] [-f]    the last N (10) lines of every log; -f follows
#   client/cluster.sh env                 the settings in effect, as KEY="value" lines
#   client/cluster.sh restore FILE        put the backup FILE in the place of the cluster's data, which is kept aside, and start it
#   client/cluster.sh reset               stop, then delete the cluster's data, secrets and logs
#
# Exit codes: 0 done or up; 1 failed, or up only in part; 2 wrong usage or setting; 3 down; 4 a port is taken;
# 5 another start or stop of this cluster does not end.
#
# Settings are PYGMY_* environment variables, or lines of the file that PYGMY_CONFIG names (see client/cluster/settings.sh).
# Root starts the cluster as the system user "pygmy" ($PYGMY_USER), anybody else as themselves.
#
# This file reads the command and holds the lock; the parts in client/cluster/ and client/store/ do the work. Whoever changes
# something holds the lock of the run folder.
# shellcheck source-path=SCRIPTDIR disable=SC2034,SC2154,SC2086,SC2046
set -euo pipefail

readonly exit_failed=1 exit_usage=2 exit_down=3 exit_port=4 exit_locked=5
readonly start_limit_ms=60000 repair_limit_ms=4000 end_limit_ms=5000 log_limit_bytes=$((16 * 1024 * 1024))
readonly lock_limit_s=180 me=cluster cluster_script=client/cluster.sh

say() { printf '%s\n' "$*"; }
fail() {
    local code=$1
    shift
    printf '%s: %s\n' "$me" "$*" >&2
    exit "$code"
}

clone=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
# What a cluster does otherwise than a store on one machine stands in client/cluster and replaces it.
# shellcheck source=store/settings.sh
. "$clone/client/store/settings.sh"
# shellcheck source=store/process.sh
. "$clone/client/store/process.sh"
# shellcheck source=store/install.sh
. "$clone/client/store/install.sh"
# shellcheck source=store/launch.sh
. "$clone/client/store/launch.sh"
# shellcheck source=store/restore.sh
. "$clone/client/store/restore.sh"
# shellcheck source=store/report.sh
. "$clone/client/store/report.sh"
# shellcheck source=cluster/settings.sh
. "$clone/client/cluster/settings.sh"
# shellcheck source=cluster/certificates.sh
. "$clone/client/cluster/certificates.sh"
# shellcheck source=cluster/launch.sh
. "$clone/client/cluster/launch.sh"
# shellcheck source=cluster/restore.sh
. "$clone/client/cluster/restore.sh"
# shellcheck source=cluster/report.sh
. "$clone/client/cluster/report.sh"

usage() { sed -n '2,/^set /{/^#/!d;s/^# \{0,1\}//;p}' "$clone/client/cluster.sh"; }

# Whether the cluster was ever started (and not reset since).
was_made() { [[ $cluster_is_made == yes && -d $cluster_state ]] && { [[ $EUID -ne 0 ]] || id -u "$PYGMY_USER" >/dev/null 2>&1; }; }

require_cluster() { was_made || fail "$exit_down" "there is no cluster yet; $cluster_script start makes one"; }

# Takes the lock for a change of a cluster that exists.
lock_cluster() {
    require_cluster
    install_folder "$PYGMY_RUN_DIR"
    lock_store
}

# ---- the whole cluster ---------------------------------------------------------------------------

cluster_make_folders() {
    if [[ $1 == make ]]; then : >"$cluster_state/unfinished"; fi
    mkdir -p -- "$PYGMY_SECRETS_DIR" && install_secrets && cluster_make_certificates && cluster_record
}

cluster_make_certificates() {
    if [[ $PYGMY_CLUSTER_TLS == on ]]; then certificates_make $(cluster_all_machines); fi
}

# Fails with a message when a port that a machine is about to need is taken by somebody else.
cluster_taken_ports() {
    local machine
    for machine in $(cluster_all_machines); do in_machine "$machine" report_taken_ports || return; done
}

# Where the client of the clone finds the cluster. There are no secrets in it.
cluster_tell_client() {
    local name
    umask 022
    mkdir -p -- "$(dirname -- "$PYGMY_CLIENT_ENV")"
    (
        enter frontend
        for name in PYGMY_URL PYGMY_CATALOG_URL PYGMY_ORDER_URL PYGMY_SECRETS_DIR PYGMY_ETCD PYGMY_PEER_CA PYGMY_PEER_CERT PYGMY_PEER_KEY; do
            if [[ -n ${!name} ]]; then printf '%s="%s"\n' "$name" "${!name//\`/\\\`}"; fi
        done
    ) >"$PYGMY_CLIENT_ENV.$$"
    umask 077
    mv -f -- "$PYGMY_CLIENT_ENV.$$" "$PYGMY_CLIENT_ENV"
}

# Prints what a start must take on: the settings of all machines.
cluster_settings_now() {
    local machine
    for machine in $(cluster_all_machines); do in_machine "$machine" settings_print; done
}

cluster_settings_then() {
    local machine
    for machine in $(cluster_all_machines); do cat -- "$cluster_state/$machine/pygmy.env" 2>/dev/null || :; done
}

start_cluster() {
    local outcome changed='' mode='' restored=no
    command -v etcd >/dev/null || fail "$exit_failed" "etcd is missing; client/deps.sh cluster installs it"
    install_fingerprint
    install_user
    install_folder "$PYGMY_STATE_DIR"
    install_folder "$PYGMY_RUN_DIR"
    lock_store
    if [[ $cluster_is_made == no ]]; then mode='make'; fi
    # A start that was broken off before the log was made is begun anew.
    if [[ -e $cluster_state/unfinished ]]; then mode='make'; fi
    if ! install_is_current; then changed='The program is new'; fi
    if [[ -z $changed && -z $mode && $(as_store cluster_settings_then) != "$(cluster_settings_now)" ]]; then changed='The settings are new'; fi
    if [[ -n $changed && $cluster_is_made == yes ]]; then
        if as_store cluster_is_anything_alive; then say "$changed: restarting the cluster"; fi
        as_store cluster_stop || fail "$exit_failed" "the cluster that runs cannot be stopped"
    fi
    install_is_current || install_program
    cluster_taken_ports || exit
    as_store cluster_make_folders "$mode" || fail "$exit_failed" "the cluster's folders can't be made"
    if as_store cluster_restore_is_begun; then
        finish_restore
        mode='' restored=yes
    fi
    if ! outcome=$(as_store cluster_launch "$mode"); then
        if [[ $mode == make ]]; then as_store cluster_stop; fi
        fail "$exit_failed" "the cluster is not ready (see above); its logs are in $cluster_state/*/logs"
    fi
    cluster_tell_client
    if [[ $restored == yes ]]; then outcome=started; fi
    case $outcome in
        running) say "The cluster runs already: http://$cluster_reach:$PYGMY_PORT_FRONTEND/" ;;
        repaired) say "The cluster was running in part and is whole again: http://$cluster_reach:$PYGMY_PORT_FRONTEND/" ;;
        *) say "The cluster is up, nodes $PYGMY_CLUSTER_NODES: http://$cluster_reach:$PYGMY_PORT_FRONTEND/" ;;
    esac
}

stop_cluster() {
    local ran=no
    if ! was_made; then say "There is no cluster" && return; fi
    lock_cluster
    if as_store cluster_is_anything_alive; then ran=yes; fi
    as_store cluster_stop || fail "$exit_failed" "not everything could be ended"
    if [[ $ran == yes ]]; then
        say "The cluster is stopped; its data stays in $cluster_state"
    else
        say "The cluster is not running"
    fi
}

# Puts what was made of the backup in the place of what is there.
finish_restore() {
    local aside
    aside=$(as_store cluster_restore_finish) ||
        fail "$exit_failed" "the restore is not finished (see above); $cluster_script start tries again"
    as_store rm -f -- "$cluster_state/unfinished"
    say "The log begins anew where the backup ends"
    if [[ -n $aside ]]; then say "What was there is beside it: $cluster_state/*/*.${aside##*/*.}"; fi
}

# The backup is checked, and made into a database, before anything of the cluster is touched.
restore_cluster() {
    [[ -f $1 && -r $1 ]] || fail "$exit_usage" "$1 is no file that can be read"
    install_fingerprint
    install_user
    install_folder "$PYGMY_STATE_DIR"
    install_folder "$PYGMY_RUN_DIR"
    lock_store
    local first
    first=$(cluster_first)
    as_store mkdir -p -- "$cluster_state/$first" || fail "$exit_failed" "the folders can't be made"
    as_store in_machine "$first" restore_take_program <"$clone/$PYGMY_BUILD/bin/pygmy"
    as_store in_machine "$first" machine_restore_make <"$1" || fail "$exit_failed" "nothing was changed"
    as_store cluster_stop || fail "$exit_failed" "the cluster that runs cannot be stopped"
    as_store in_machine "$first" machine_restore_begin
    start_cluster
}

reset_cluster() {
    local folder
    if [[ ! -d $cluster_state && ! -d $cluster_run ]]; then say "There is nothing to delete" && return; fi
    install_folder "$PYGMY_RUN_DIR"
    lock_store
    as_store cluster_stop || fail "$exit_failed" "not everything could be ended"
    as_store cluster_delete
    for folder in "$cluster_run" "$cluster_state"; do
        if [[ -d $folder ]]; then rmdir -- "$folder"; fi
    done
    say "The cluster is stopped and its data in $cluster_state is deleted"
}

# The folders themselves stay, empty.
cluster_delete() {
    local folder
    for folder in "$cluster_run" "$cluster_state"; do
        if [[ ! -d $folder ]]; then continue; fi
        [[ -e $folder/$folder_mark ]] || fail "$exit_failed" "$folder was not made by a cluster; it is left alone"
        find "$folder" -mindepth 1 -delete
    done
}

# ---- parts of it ---------------------------------------------------------------------------------

# Sets `machine` and `processes` (none: all of it) for the name of a process or of a node.
find_part() {
    machine='' processes=()
    if [[ " $cluster_frontends " == *" $1 "* ]]; then
        machine=$1
    elif [[ $1 =~ ^node-([A-Z])$ ]] && cluster_has_node "${BASH_REMATCH[1]}"; then
        machine=${BASH_REMATCH[1]}
    elif [[ $1 =~ ^(catalog|order|nginx)-([A-Z])$ ]] && cluster_has_node "${BASH_REMATCH[2]}"; then
        machine=${BASH_REMATCH[2]} processes=("$1")
    elif [[ $1 =~ ^etcd-([A-Z])$ ]] && cluster_has_etcd "${BASH_REMATCH[1]}"; then
        machine=${BASH_REMATCH[1]} processes=("$1")
    else
        fail "$exit_usage" "this cluster has no '$1'; there are: ${cluster_frontends// /, }," \
            "$(printf 'node-%s ' $PYGMY_CLUSTER_NODES)and catalog-, order-, nginx- and etcd- of each"
    fi
}

# Starts, ends or kills parts: change_parts start|stop|kill [--no-wait] NAME...
change_parts() {
    local action=$1 wait=yes name machine processes
    shift
    if [[ ${1:-} == --no-wait && $action == start ]]; then wait=no && shift; fi
    lock_cluster
    if [[ $action == start ]] && as_store cluster_restore_is_begun; then
        fail "$exit_failed" "a restore was interrupted; $cluster_script start finishes it"
    fi
    for name in "$@"; do find_part "$name"; done
    for name in "$@"; do
        find_part "$name"
        as_store in_machine "$machine" "machine_$action" "${processes[@]}" >/dev/null || fail "$exit_failed" "$name: $action failed"
    done
    if [[ $action == start && $wait == yes ]]; then
        for name in "$@"; do
            find_part "$name"
            as_store cluster_wait "${processes[0]:-*}" "$cluster_ready_wait_ms" "$machine" || fail "$exit_failed" "$name is not ready (see above)"
        done
    fi
}

print_pids() {
    local name machine processes
    require_cluster
    for name in "$@"; do
        find_part "$name"
        as_store in_machine "$machine" machine_pids "${processes[@]}"
    done
}

# ---- replicas ------------------------------------------------------------------------------------

add_node() {
    [[ $# -eq 1 && $1 =~ ^[A-Z]$ ]] || fail "$exit_usage" "add takes the name of a new node, a letter: $cluster_script add D"
    lock_cluster
    if cluster_has_node "$1"; then fail "$exit_usage" "the cluster has a node $1 already"; fi
    [[ $(wc -w <<<"$PYGMY_CLUSTER_NODES") -lt $cluster_nodes_max ]] || fail "$exit_usage" "a cluster on one machine has at most $cluster_nodes_max nodes"
    PYGMY_CLUSTER_NODES+=" $1"
    cluster_derive
    in_machine "$1" report_taken_ports || exit
    as_store cluster_join "$1" || fail "$exit_failed" "node $1 did not join (see above); $cluster_script remove $1 takes it back"
    cluster_tell_client
    say "Node $1 is in the cluster: $cluster_scheme://$(cluster_address "$1"):$PYGMY_PORT_CATALOG_A/"
}

# The node's processes load a snapshot, and serve once they are members. The frontends find out by themselves, and ask it when it is ready.
cluster_join() {
    cluster_make_folders '' && cluster_member add "$1" && in_machine "$1" machine_start >/dev/null &&
        cluster_wait '*' "$cluster_ready_wait_ms" "$1"
}

remove_node() {
    [[ $# -eq 1 ]] || fail "$exit_usage" "remove takes the name of a node"
    lock_cluster
    cluster_has_node "$1" || fail "$exit_usage" "the cluster has no node $1; there are: $PYGMY_CLUSTER_NODES"
    [[ $PYGMY_CLUSTER_NODES == *' '* ]] || fail "$exit_usage" "the last node can't be removed; $cluster_script reset deletes the cluster"
    as_store cluster_leave "$1" || fail "$exit_failed" "node $1 could not be removed (see above)"
    PYGMY_CLUSTER_NODES=$(cluster_nodes_without "$1")
    cluster_derive
    cluster_tell_client
    say "Node $1 is no longer in the cluster"
    if cluster_has_etcd "$1"; then say "Its member of etcd goes on: it is one of those that keep the log"; fi
}

cluster_nodes_without() { tr ' ' '\n' <<<"$PYGMY_CLUSTER_NODES" | grep -vx -- "$1" | paste -sd ' '; }

# The others are asked to remove it (the client reads the frontend's settings). Then it is no member any more, so the frontends leave it out by
# themselves; then it ends.
cluster_leave() {
    local node=$1 all=$PYGMY_CLUSTER_NODES
    PYGMY_CLUSTER_NODES=$(cluster_nodes_without "$node")
    cluster_derive
    in_machine frontend machine_record && cluster_member remove "$node" || return
    PYGMY_CLUSTER_NODES=$all
    in_machine "$node" machine_stop "catalog-$node" "order-$node" "nginx-$node" || return
    PYGMY_CLUSTER_NODES=$(cluster_nodes_without "$node")
    cluster_record
    if ! cluster_has_etcd "$node"; then
        find "$cluster_state/$node" "$cluster_run/$node" -delete
    else
        rm -f -- "$cluster_state/$node/store.db"*
    fi
}

# cluster_member add|remove NODE
cluster_member() {
    local urls=() words=()
    if [[ $1 == add ]]; then
        IFS=, read -r -a urls < <(in_machine "$2" machine_member_urls)
        words=(--catalog-url "${urls[0]}" --order-url "${urls[1]}")
    fi
    in_machine frontend cluster_pygmy --quiet member "$1" "$2" "${words[@]}"
}

# ---- the rest ------------------------------------------------------------------------------------

# Reads the words after "logs".
show_logs() {
    local lines=10 follow=
    while [[ $# -gt 0 ]]; do
        case $1 in
            -f | --follow) follow=follow ;;
            -n) shift && lines=${1:-} ;;
            *) fail "$exit_usage" "logs takes -n N and -f, not '$1'" ;;
        esac
        shift
    done
    [[ $lines =~ ^[0-9]{1,6}$ ]] || fail "$exit_usage" "logs -n takes a number"
    require_cluster
    as_store cluster_logs "$lines" "$follow"
}

show_status() {
    local form=table
    case ${1:-} in
        '') ;;
        --json) form=json ;;
        *) fail "$exit_usage" "status takes --json, not '$1'" ;;
    esac
    if was_made; then as_store cluster_status "$form"; else cluster_status "$form"; fi
}

show_settings() {
    cluster_print
    (enter frontend && settings_print) | grep -vE '^PYGMY_(ROLE|NODE|STATE_DIR|RUN_DIR|LOG_DIR|DB|LISTEN|PORT_[A-Z_]+)=|=""$'
    printf '%s="%s"\n' PYGMY_STATE_DIR "$cluster_state" PYGMY_RUN_DIR "$cluster_run"
}

main() {
    local action=${1:-} nodes='' frontends=''
    if [[ $# -gt 0 ]]; then shift; fi
    export PATH="$PATH:/usr/sbin:/sbin"
    : "${PYGMY_BUILD:=.build/release}" "${PYGMY_USER:=pygmy}"
    : "${PYGMY_CLIENT_ENV:=$clone/.build/release/etc/pygmy.env}"
    case $action in -h | --help | help) usage && exit 0 ;; esac
    while [[ $action == start && ${1:-} =~ ^--(nodes|frontends)$ ]]; do
        [[ ${2:-} =~ ^[1-9]$ ]] || fail "$exit_usage" "$1 takes a number from 1 to 9"
        if [[ $1 == --nodes ]]; then nodes=$2; else frontends=$2; fi
        shift 2
    done
    cluster_load "$nodes" "$frontends"
    umask 077
    case $action in
        env | reset) [[ $# -eq 0 ]] || fail "$exit_usage" "$action takes no further words" ;;
        kill | pids) [[ $# -gt 0 ]] || fail "$exit_usage" "$action takes the names of processes, for example $action order-A" ;;
    esac
    case $action/$# in
        start/0) start_cluster ;;
        stop/0) stop_cluster ;;
        start/* | stop/* | kill/*) change_parts "$action" "$@" ;;
        pids/*) print_pids "$@" ;;
        add/*) add_node "$@" ;;
        remove/*) remove_node "$@" ;;
        logs/*) show_logs "$@" ;;
        status/*) show_status "$@" ;;
        env/0) show_settings ;;
        reset/0) reset_cluster ;;
        restore/1) restore_cluster "$1" ;;
        /0) usage >&2 && exit "$exit_usage" ;;
        *) fail "$exit_usage" "unknown command '$action' (start, stop, status, kill, pids, add, remove, logs, env, restore or reset)" ;;
    esac
}

main "$@"
