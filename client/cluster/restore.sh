# shellcheck shell=bash
# Restoring a whole cluster from a backup. What client/store/restore.sh does for one database is done for the first node's; the others
# load a snapshot from it, as new nodes do. All of this runs as the cluster's user, under the lock.
#
# etcd begins anew, with a log whose first entry says which position of which database it continues. It must not be taken for the log
# that was (db/applier.h: a log is known by etcd's cluster id and the key's revision): its members get a new token, which makes another
# cluster id of the same addresses. Nothing is deleted: databases and etcd's data are put aside, under one name.
#
# restore_begin at the first node is the point of no return: from there on a start of the cluster finishes the restore.

cluster_first() { printf '%s' "${PYGMY_CLUSTER_NODES%% *}"; }

machine_restore_make() { restore_make "$PYGMY_DB"; }
machine_restore_is_begun() { restore_is_begun "$PYGMY_DB"; }
machine_restore_begin() { restore_begin "$PYGMY_DB"; }
machine_restore_end() { restore_end "$PYGMY_DB"; }

cluster_restore_is_begun() { in_machine "$(cluster_first)" machine_restore_is_begun; }

# Ends what runs; then each step can be taken once more, should this be interrupted. Prints where the first node's database is now.
cluster_restore_finish() {
    local first mark machine etcds=()
    first=$(cluster_first)
    cluster_stop || return
    mark=$(in_machine "$first" machine_restore_mark) || return
    for machine in $(cluster_all_machines); do
        if [[ $machine != frontend ]]; then in_machine "$machine" machine_put_aside "$mark" "$first" || return; fi
    done
    od -An -v -tx1 -N8 /dev/urandom | tr -d ' \n' >"$cluster_state/etcd.token" || return
    for machine in $PYGMY_CLUSTER_ETCD; do in_machine "$machine" machine_start "etcd-$machine" >/dev/null || return; done
    read -r -a etcds <<<"$PYGMY_CLUSTER_ETCD"
    cluster_wait 'etcd-*' "$cluster_etcd_wait_ms" "${etcds[@]}" || return
    cluster_continue || return
    in_machine "$first" machine_restore_end
}

# Prints what the names of what is put aside end with.
machine_restore_mark() { restore_mark "$PYGMY_DB"; }

# Puts the machine's etcd data aside, and its database, which of node $2 is done at the end. $1 is the mark. What is in the place of
# etcd's data when they are aside already is an interrupted restore's.
machine_put_aside() {
    local data=$PYGMY_STATE_DIR/etcd
    if [[ -e $data && -e $data.$1 ]]; then
        find "$data" -delete || return
    elif [[ -e $data ]]; then
        mv -T -- "$data" "$data.$1" || return
    fi
    if [[ $PYGMY_NODE != "$2" ]]; then restore_put_aside "$PYGMY_DB" "$1"; fi
}

# Makes the log that continues the backup.
cluster_continue() {
    local node words=()
    for node in $PYGMY_CLUSTER_NODES; do words+=(--member "$node=$(in_machine "$node" machine_member_urls)"); done
    in_machine "$(cluster_first)" machine_continue "${words[@]}"
}

machine_continue() {
    local said
    said=$(cluster_pygmy --quiet init "$@" --continue "$PYGMY_DB.restoring" 2>&1) || { say "$me: the log can't be begun: $said" >&2 && return 1; }
}
