# shellcheck shell=bash
# Putting a backup in the place of a database. Used by client/store.sh and, node by node, by client/cluster.sh.
#
# The steps, each by a function here that runs as the store's user, with the database's path as its first word:
#   restore_make DB   < backup, with the program's bytes in $PYGMY_RUN_DIR/pygmy.restore: checks it and makes DB.restored. The store may run
#   restore_begin DB  from here on the old database is not used any more: the store must not run. DB.restored becomes DB.restoring
#   restore_end DB    moves what was there aside, and DB.restoring into its place; may be repeated until it is done
# What a crash interrupts behind restore_begin is finished by the next start (restore_is_begun). A database has a WAL beside
# it, which must never meet another database: it goes aside with its own.

# Puts the program that reads stdin into the run folder: the store's user may not be able to read the clone.
restore_take_program() { rm -f -- "$PYGMY_RUN_DIR/pygmy.restore" && install -m 0700 /dev/stdin "$PYGMY_RUN_DIR/pygmy.restore"; }

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

# Prints where the database is that was there, if there was one.
restore_end() {
    local db=$1 aside
    # The same name each time that an interrupted one is repeated.
    aside=$db.before-$(date -u -r "$db.restoring" +%Y%m%dT%H%M%SZ)
    if [[ -e $db ]]; then mv -fT -- "$db" "$aside" || return; fi
    if [[ -e $db-wal ]]; then mv -fT -- "$db-wal" "$aside-wal" || return; fi
    rm -f -- "$db-shm" "$db-journal" && sync -- "$(dirname -- "$db")" && mv -fT -- "$db.restoring" "$db" &&
        sync -- "$(dirname -- "$db")" || return
    if [[ -e $aside ]]; then printf '%s\n' "$aside"; fi
}
