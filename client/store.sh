#!/usr/bin/env bash
# Starts, stops and shows the local store that belongs to this clone.
#
#   client/store.sh start           start it; one that runs is checked and, where a part is dead, repaired
#   client/store.sh stop            end it gracefully; its data stays
#   client/store.sh restart         stop, then start
#   client/store.sh status [--json] what runs, where, since when, with how much memory
#   client/store.sh logs [-n N] [-f]  the last N (10) lines of every log; -f follows
#   client/store.sh env             the settings in effect, as KEY="value" lines
#   client/store.sh restore FILE    put the backup FILE in the place of the store's data, which is kept aside; goes on
#                                   as it was: running or stopped
#   client/store.sh reset           stop, then delete the store's data, secrets and logs
#
# Exit codes: 0 done or up; 1 failed, or up only in part; 2 wrong usage or setting; 3 down; 4 a port is taken;
# 5 another start or stop of this store does not end.
#
# Settings are PYGMY_* environment variables, or lines of the file that PYGMY_CONFIG names (see client/store/settings.sh).
# Root starts the store as the system user "pygmy" ($PYGMY_USER), anybody else as themselves.
#
# This file reads the command and holds the lock; the parts in client/store/ do the work. Whoever changes something
# holds the lock of the run folder, so that two starts at once are one start and one check.
# shellcheck source-path=SCRIPTDIR disable=SC2034,SC2154
set -euo pipefail

readonly exit_failed=1 exit_usage=2 exit_down=3 exit_port=4 exit_locked=5
readonly start_limit_ms=60000 repair_limit_ms=4000 end_limit_ms=5000 log_limit_bytes=$((16 * 1024 * 1024))
readonly lock_limit_s=90 me=store

say() { printf '%s\n' "$*"; }
fail() {
    local code=$1
    shift
    printf '%s: %s\n' "$me" "$*" >&2
    exit "$code"
}

clone=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
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

usage() { sed -n '2,/^set /{/^#/!d;s/^# \{0,1\}//;p}' "$clone/client/store.sh"; }

# Whether the store was ever started (and not reset since).
was_started() { [[ -d $PYGMY_STATE_DIR || -d $PYGMY_RUN_DIR ]] && { [[ $EUID -ne 0 ]] || id -u "$PYGMY_USER" >/dev/null 2>&1; }; }

# With the settings of the last start: ends that store. Used when the settings or the program have changed.
stop_previous() {
    (
        settings_recall
        if [[ -d $PYGMY_RUN_DIR ]]; then as_store stop_all; fi
    )
}

store_start() {
    local outcome changed='' program
    install_fingerprint
    install_user
    install_folders
    lock_store
    install_folders
    if ! install_is_current; then changed='The program is new'; fi
    if [[ -z $changed && $(cat "$app/etc/pygmy.env" 2>/dev/null) != "$(settings_print)" ]]; then changed='The settings are new'; fi
    if [[ -n $changed ]]; then
        if (settings_recall && as_store is_anything_alive); then say "$changed: restarting the store"; fi
        stop_previous || fail "$exit_failed" "the store that runs cannot be stopped"
        install_is_current || install_program
    fi
    if as_store restore_is_begun "$PYGMY_DB"; then
        as_store stop_all || fail "$exit_failed" "the store that runs cannot be stopped"
        say "Finishing a restore that was interrupted"
        finish_restore
    fi
    report_taken_ports || exit
    as_store install_secrets
    install_settings
    if ! outcome=$(as_store launch_all); then
        as_store stop_all
        fail "$exit_failed" "the store did not start and was stopped again; its logs are in $PYGMY_LOG_DIR"
    fi
    case $outcome in
        running) say "The store runs already: http://$reach:$PYGMY_PORT_FRONTEND/" ;;
        repaired) say "The store was running in part and is whole again: http://$reach:$PYGMY_PORT_FRONTEND/" ;;
        *) say "The store is up: http://$reach:$PYGMY_PORT_FRONTEND/" ;;
    esac
}

# Ends the store if it runs; sets `was_running` to yes or no.
end_store() {
    was_running=no
    settings_recall
    if ! was_started; then return; fi
    install_folder "$PYGMY_RUN_DIR"
    lock_store
    if as_store is_anything_alive; then was_running=yes; fi
    as_store stop_all || fail "$exit_failed" "not everything could be ended"
}

store_stop() {
    end_store
    if [[ $was_running == yes ]]; then
        say "The store is stopped; its data stays in $PYGMY_STATE_DIR"
    else
        say "The store is not running"
    fi
}

# Puts what was made of the backup in the database's place.
finish_restore() {
    local aside
    aside=$(as_store restore_end "$PYGMY_DB") || fail "$exit_failed" "the database $PYGMY_DB cannot be replaced; start the store to try again"
    if [[ -n $aside ]]; then say "The database that was there is $aside now"; fi
}

# The backup is checked, and made into a database, before anything of the store is touched.
store_restore() {
    [[ $# -eq 1 ]] || fail "$exit_usage" "restore takes one word: the backup's file"
    [[ -f $1 && -r $1 ]] || fail "$exit_usage" "$1 is no file that can be read"
    local program was_running
    settings_recall
    install_fingerprint
    install_user
    install_folders
    lock_store
    install_folders
    as_store restore_take_program <"$clone/$PYGMY_BUILD/bin/pygmy"
    as_store restore_make "$PYGMY_DB" <"$1" || fail "$exit_failed" "nothing was changed"
    end_store
    as_store restore_begin "$PYGMY_DB"
    finish_restore
    if [[ $was_running == yes ]]; then store_start; else say "The backup is in place; the store is stopped, as it was"; fi
}

store_reset() {
    local folder
    if ! was_started; then say "There is nothing to delete" && return; fi
    end_store
    as_store install_delete
    for folder in "$PYGMY_RUN_DIR" "$PYGMY_STATE_DIR"; do
        if [[ -d $folder ]]; then rmdir -- "$folder"; fi
    done
    say "The store is stopped and its data in $PYGMY_STATE_DIR is deleted"
}

# Reads the words after "logs".
store_logs() {
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
    settings_recall
    if ! was_started; then say "The store was not started yet" && return; fi
    as_store report_logs "$lines" "$follow"
}

store_status() {
    local form=table
    case ${1:-} in
        '') ;;
        --json) form=json ;;
        *) fail "$exit_usage" "status takes --json, not '$1'" ;;
    esac
    settings_recall
    if was_started; then as_store report_status "$form"; else report_status "$form"; fi
}

main() {
    local action=${1:-}
    if [[ $# -gt 0 ]]; then shift; fi
    export PATH="$PATH:/usr/sbin:/sbin"
    : "${PYGMY_BUILD:=.build/release}" "${PYGMY_USER:=pygmy}"
    : "${PYGMY_CLIENT_ENV:=$clone/.build/release/etc/pygmy.env}"
    case $action in -h | --help | help) usage && exit 0 ;; esac
    settings_load
    umask 077
    case $action in
        start | stop | restart | env | reset) [[ $# -eq 0 ]] || fail "$exit_usage" "$action takes no further words" ;;&
        start | stop | reset | restore | status | logs) "store_$action" "$@" ;;
        restart) (store_stop) && store_start ;;
        env) (settings_recall && settings_print) ;;
        '') usage >&2 && exit "$exit_usage" ;;
        *) fail "$exit_usage" "unknown command '$action' (start, stop, restart, status, logs, env, restore or reset)" ;;
    esac
}

main "$@"
