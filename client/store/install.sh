# shellcheck shell=bash
# Puts the built program and what it needs into the store's own folders.
#
# The store runs from $PYGMY_STATE_DIR/app, a copy, never from the clone: its user may not be able to read the
# clone, and a rebuild must not pull the ground from under a running store. What root does here is little: it makes
# the user and two folders; everything below them is written with the rights of the store's user.

readonly folder_mark=.pygmy-store

# Runs one of these functions (or a command) as the user of the store. When root calls, the functions travel as text,
# since that user may not be able to read this file.
as_store() {
    if [[ $EUID -ne 0 ]]; then
        ("$@")
        return
    fi
    local script variable
    script=$(
        for variable in clone app reach me not_ready_yet folder_mark end_limit_ms start_limit_ms repair_limit_ms log_limit_bytes worker_names process_names \
            settings_names "${!cluster_@}" "${!PYGMY_@}" "${!exit_@}" "${!ASAN_OPTIONS@}" "${!UBSAN_OPTIONS@}"; do declare -p "$variable"; done
        declare -f
    )
    env -i --chdir=/ PATH="$PATH" LANG=C.UTF-8 \
        setpriv --reuid="$PYGMY_USER" --regid="$PYGMY_USER" --clear-groups --inh-caps=-all --no-new-privs \
        bash -c "set -euo pipefail; umask 077; $script"$'\n''"$@"' store "$@"
}

install_user() {
    if [[ $EUID -ne 0 ]] || id -u "$PYGMY_USER" >/dev/null 2>&1; then return; fi
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin \
        --comment 'Pygmy store' "$PYGMY_USER" 2>/dev/null || id -u "$PYGMY_USER" >/dev/null ||
        fail "$exit_failed" "cannot make the system user $PYGMY_USER"
}

# Makes folder $1, private to the store's user, and marks it. A folder that exists must be empty or carry the mark (so
# that reset never deletes what is not ours) and belong to that user (so that nobody else can put things into it).
# Another start may do the same at the same moment.
install_folder() {
    local owner user=$EUID
    [[ $EUID -ne 0 ]] || user=$(id -u "$PYGMY_USER")
    if [[ ! -e $1 ]]; then
        (umask 022 && mkdir -p -- "$(dirname -- "$1")" 2>/dev/null) ||
            fail "$exit_failed" "cannot make the folder $1; PYGMY_STATE_DIR and PYGMY_RUN_DIR name others"
        mkdir -m 0700 -- "$1" 2>/dev/null || [[ -e $1 ]] || fail "$exit_failed" "cannot make the folder $1"
    fi
    [[ -d $1 && ! -L $1 ]] || fail "$exit_failed" "$1 is in the way: it is not a folder"
    # Looked at in this order: the mark is what comes into it first.
    [[ -z $(ls -A -- "$1") || -e $1/$folder_mark ]] ||
        fail "$exit_failed" "the folder $1 holds other things; name an empty or new one"
    owner=$(stat -c %u -- "$1")
    if [[ $owner -eq 0 && $EUID -eq 0 ]]; then
        chown -- "$PYGMY_USER:" "$1"
    elif [[ $owner != "$user" ]]; then
        fail "$exit_failed" "the folder $1 belongs to user id $owner, but the store runs as user id $user;" \
            "start it as that user, or set another PYGMY_STATE_DIR and PYGMY_RUN_DIR"
    fi
    as_store install_mark "$1"
}

# Takes the lock: a lock on the run folder itself, so that there is no lock file to be left behind.
lock_store() {
    while :; do
        exec 9<"$PYGMY_RUN_DIR"
        flock --wait "$lock_limit_s" 9 || fail "$exit_locked" "another start or stop of this $me takes more than $lock_limit_s s"
        # A reset may have deleted the folder while we waited.
        if [[ /proc/self/fd/9 -ef $PYGMY_RUN_DIR ]]; then return; fi
        install_folder "$PYGMY_RUN_DIR"
    done
}

install_mark() { chmod 0700 -- "$1" && : >>"$1/$folder_mark"; }

install_folders() {
    local folder
    for folder in "$PYGMY_STATE_DIR" "$PYGMY_RUN_DIR"; do install_folder "$folder"; done
    as_store mkdir -p -m 0700 -- "$PYGMY_LOG_DIR" "$PYGMY_SECRETS_DIR" "$PYGMY_RUN_DIR/nginx" "$PYGMY_RUN_DIR/cache"
}

# Prints the files that make up the program: "<path in the clone> <path in the copy>".
install_files() {
    local file
    shopt -s nullglob
    for file in bin/catalog bin/order bin/pygmy; do printf '%s %s\n' "$PYGMY_BUILD/$file" "$file"; done
    # nginx itself is never built with a sanitizer, so it always loads the release variant.
    printf '%s %s\n' .build/release/lib/libpygmy_coherence.so lib/libpygmy_coherence.so db/catalogue.json catalogue.json
    for file in "$clone"/nginx/*.conf "$clone"/nginx/*/*.conf "$clone"/nginx/*.template "$clone"/nginx/*.lua "$clone"/nginx/render.sh; do
        file=${file#"$clone"/}
        printf '%s %s\n' "$file" "$file"
    done
}

# Sets `program` to a text that changes whenever a file of the built program does.
install_fingerprint() {
    local from to
    while read -r from to; do
        [[ -r $clone/$from ]] || fail "$exit_failed" "$clone/$from is missing; build the store first: make all"
    done < <(install_files)
    program=$(install_files | while read -r from to; do printf '%s  %s\n' "$(sha256sum <"$clone/$from")" "$to"; done)
}

install_is_current() { [[ $(cat "$app/MANIFEST" 2>/dev/null) == "$program" ]]; }

# Copies the program to $app.new, complete or not at all, and swaps it in. The store does not run meanwhile.
install_program() {
    local from to staging
    staging=$(mktemp -d "${TMPDIR:-/tmp}/pygmy-install.XXXXXX")
    while read -r from to; do
        install -D -m 0644 -- "$clone/$from" "$staging/$to"
        if [[ -x $clone/$from ]]; then chmod 0755 "$staging/$to"; fi
    done < <(install_files)
    printf '%s\n' "$program" >"$staging/MANIFEST"
    tar -C "$staging" -cf - . | as_store install_unpack
    rm -rf -- "$staging"
}

install_unpack() {
    rm -rf -- "$app.new" "$app.old"
    mkdir -- "$app.new" && tar -C "$app.new" --no-same-owner -xf - && mkdir -p -- "$app.new/etc" || return
    if [[ -e $app ]]; then mv -- "$app" "$app.old"; fi
    mv -- "$app.new" "$app"
    rm -rf -- "$app.old"
}

# The credentials of the store; made once, readable by its user alone.
install_secrets() {
    local name
    for name in admin peer; do
        if [[ -s $PYGMY_SECRETS_DIR/$name.token ]]; then continue; fi
        od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n' >"$PYGMY_SECRETS_DIR/$name.token.new"
        printf '\n' >>"$PYGMY_SECRETS_DIR/$name.token.new"
        [[ $(stat -c %s "$PYGMY_SECRETS_DIR/$name.token.new") -eq 65 ]] || fail "$exit_failed" "cannot make a secret in $PYGMY_SECRETS_DIR"
        mv -- "$PYGMY_SECRETS_DIR/$name.token.new" "$PYGMY_SECRETS_DIR/$name.token"
    done
    chmod 0600 -- "$PYGMY_SECRETS_DIR"/*.token
}

# Leaves the settings where the client in the copy and the client in the clone find them ($PYGMY_CLIENT_ENV), and the
# path of the clone, by which a clone that was moved is known. There are no secrets in them.
install_settings() {
    settings_print | as_store tee -- "$app/etc/pygmy.env" >/dev/null
    printf '%s\n' "$clone" | as_store tee -- "$app/etc/clone" >/dev/null
    umask 022
    mkdir -p -- "$(dirname -- "$PYGMY_CLIENT_ENV")"
    settings_print >"$PYGMY_CLIENT_ENV.$$"
    umask 077
    mv -f -- "$PYGMY_CLIENT_ENV.$$" "$PYGMY_CLIENT_ENV"
}

# Deletes everything that the store wrote. The two folders themselves stay, empty.
install_delete() {
    local folder
    rm -f -- "$PYGMY_DB" "$PYGMY_DB"-* "$PYGMY_DB".re{ceived,stored,storing} "$PYGMY_DB".before-* "$PYGMY_SECRETS_DIR"/{admin,peer}.token
    for folder in "$PYGMY_RUN_DIR" "$PYGMY_STATE_DIR"; do
        if [[ ! -d $folder ]]; then continue; fi
        [[ -e $folder/$folder_mark ]] || fail "$exit_failed" "$folder was not made by a store; it is left alone"
        find "$folder" -mindepth 1 -delete
    done
}
