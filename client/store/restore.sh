# shellcheck shell=bash
# Putting a backup in the place of a database. Used by client/store.sh, and by client/cluster.sh for a cluster's first node.
#
# The steps, each by a function here that runs as the store's user, with the database's path as its first word:
#   restore_make DB   < backup, with the program in $PYGMY_RUN_DIR/pygmy.restore: checks it and makes DB.restored. The store may run
#   restore_begin DB  from here on the old database is not used any more: the store must not run. DB.restored becomes DB.restoring
#   restore_end DB    puts what was there aside, and DB.restoring into its place; may be repeated until it is done
# What a crash interrupts behind restore_begin is finished by the next start (restore_is_begun). A database has a WAL beside
# it, which must never meet another database: it goes aside with its own.

# Puts the program that reads stdin into the run folder: the store's user may not be able to read the clone.
restore_take_program() {
    mkdir -p -- "$PYGMY_RUN_DIR" && rm -f -- "$PYGMY_RUN_DIR/pygmy.restore" && install -m 0700 /dev/stdin "$PYGMY_RUN_DIR/pygmy.restore"
}

# Prints what the backup holds. Returns the client's exit status: 1 damaged, 5 a file is the problem.
restore_make() {
    local db=$1 code=0
    rm -f -- "$db.received" "$db.restored" "$db.restored.part"
    cat >"$db.received" || code=5
    if [[ $code -eq 0 ]]; then "$PYGMY_RUN_DIR/pygmy.restore" restore "$db.received" "$db.restored" || code=$?; fi
    rm -f -- "$db.received" "$PYGMY_RUN_DIR/pygmy.restore"
    return "$code"
}

restore_is_begun() { [[ -e $1.restoring ]]; }

restore_begin() { mv -fT -- "$1.restored" "$1.restoring" && sync -- "$(dirname -- "$1")"; }

# Prints what the name of the old database will end with: the same each time that an interrupted restore is repeated.
restore_mark() { date -u -r "$1.restoring" +before-%Y%m%dT%H%M%SZ; }

# Puts the database $1 aside, if there is one, and all that belongs to it away.
restore_put_aside() {
    if [[ -e $1 ]]; then mv -fT -- "$1" "$1.$2" || return; fi
    if [[ -e $1-wal ]]; then mv -fT -- "$1-wal" "$1.$2-wal" || return; fi
    # What processes of the same machine say to each other about it (node_state.h, writer_turn.h), and SQLite's own.
    rm -f -- "$1-shm" "$1-journal" "$1"-turn-* "$1"-node-* && sync -- "$(dirname -- "$1")"
}

# Prints where the database is that was there, if there was one.
restore_end() {
    local mark
    mark=$(restore_mark "$1") && restore_put_aside "$1" "$mark" && mv -fT -- "$1.restoring" "$1" && sync -- "$(dirname -- "$1")" || return
    if [[ -e $1.$mark ]]; then printf '%s\n' "$1.$mark"; fi
}
