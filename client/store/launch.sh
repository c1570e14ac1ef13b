# shellcheck shell=bash
# Starting, repairing and stopping the processes of a store. All of this runs as the store's user, under the lock.

# What a worker says while it is still opening or filling its database (db/error.h, NOT_READY).
readonly not_ready_yet='This replica is not ready.'

# Prints NUL-terminated KEY=value for everything that worker $1 is told.
launch_environment() {
    local name
    for name in "${settings_names[@]}"; do printf '%s=%s\0' "$name" "${!name}"; done
    printf '%s\0' "PYGMY_NAME=$1" "PYGMY_SUPERVISED_IN=$PYGMY_RUN_DIR" PATH=/usr/bin:/bin LANG=C.UTF-8 "HOME=$PYGMY_STATE_DIR"
    for name in ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS TSAN_OPTIONS; do
        if [[ -n ${!name:-} ]]; then printf '%s=%s\0' "$name" "${!name}"; fi
    done
}

# Keeps a log from growing for ever: past the limit it becomes <log>.1 when its process starts.
launch_log() {
    local log=$PYGMY_LOG_DIR/$1
    if [[ -f $log && $(stat -c %s -- "$log") -gt $log_limit_bytes ]]; then mv -f -- "$log" "$log.1"; fi
    : >>"$log"
}

# spawn-fcgi makes the socket, multiwatch starts the program again whenever it dies. Both want absolute paths.
launch_worker() {
    local name=$1 program=${1%-*} environment
    mapfile -d '' environment < <(launch_environment "$name")
    launch_log "$name.log"
    process_start "$name" "$PYGMY_LOG_DIR/$name.log" env -i "${environment[@]}" \
        spawn-fcgi -n -s "$PYGMY_RUN_DIR/$name.sock" -M 0600 -b 4096 -- \
        "$(command -v multiwatch)" -s TERM -r 1000 -t 500 -- "$app/bin/$program"
}

launch_nginx() {
    local name
    launch_log nginx-error.log
    launch_log nginx-access.log
    rm -f -- "$PYGMY_RUN_DIR/frontend.sock"
    for name in "${settings_names[@]}"; do export "${name?}"; done
    "$BASH" "$app/nginx/render.sh" </dev/null || return
    process_start "$1" "$PYGMY_LOG_DIR/nginx-error.log" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        nginx -p "$PYGMY_RUN_DIR/nginx" -e "$PYGMY_LOG_DIR/nginx-error.log" -c "$PYGMY_RUN_DIR/nginx.conf" -g 'daemon off;'
}

# Starts process $1 after ending what may be left of it.
launch_process() {
    stop_process "$1" || return
    case $1 in
        nginx* | frontend*) launch_nginx "$1" ;;
        etcd-*) launch_etcd "$1" ;;
        *) launch_worker "$1" ;;
    esac
}

# Prints the names of the processes that do not answer that they are ready. While nginx does not, only nginx is named:
# nobody else can be asked.
launch_unready() {
    local name port path code number answers=0 names=() urls=() unready=()
    while read -r name port path; do
        names+=("$name")
        urls+=(-o /dev/null "http://$reach:$port$path")
    done < <(settings_listeners)
    while read -r number code; do
        answers=$((answers + 1))
        if [[ $code == 200 ]]; then continue; fi
        if [[ ${names[number]} == nginx ]]; then unready=(nginx) && break; fi
        unready+=("${names[number]}")
    done < <(curl --silent --globoff --noproxy '*' --parallel --parallel-immediate --max-time 2 \
        --write-out '%{urlnum} %{http_code}\n' "${urls[@]}" 2>/dev/null | sort -rn)
    if [[ $answers -eq 0 ]]; then unready=(nginx); fi
    if [[ ${#unready[@]} -gt 0 ]]; then printf '%s\n' "${unready[@]}"; fi
}

# Whether process $1 died so often since its start that it will not get ready.
launch_is_dying() { [[ $(report_restarts "$1") -ge 5 ]]; }

# Prints why process $1 says that it is not ready; nothing when it does not answer.
launch_reason() {
    local name port path
    while read -r name port path; do
        if [[ $name != "$1" || $name == nginx ]]; then continue; fi
        curl --silent --globoff --noproxy '*' --max-time 1 "http://$reach:$port$path" | sed -nE 's/.*"message":"([^"]*)".*/\1/p' || :
    done < <(settings_listeners)
}

# Waits until everything is ready. Returns 1 with `unready` set to who is not: at the limit, as soon as somebody has died
# for good, and after a shorter limit for who ran before but does not answer, or says that something is wrong. (One that only
# says that it is not ready yet may be loading a long catalogue.) $1: the names of who was started.
launch_wait_ready() {
    local now_ms began name told=no
    clock_read
    began=$now_ms
    while :; do
        mapfile -t unready < <(launch_unready)
        [[ ${#unready[@]} -gt 0 ]] || return 0
        for name in "${process_names[@]}"; do
            if ! process_is_alive "$name"; then unready=("$name") && return 1; fi
        done
        clock_read
        for name in "${unready[@]}"; do
            if launch_is_dying "$name"; then unready=("$name") && return 1; fi
            if ((now_ms - began < repair_limit_ms)); then continue; fi
            if [[ $1 != *" $name "* || $(launch_reason "$name") != *"$not_ready_yet"* ]]; then unready=("$name") && return 1; fi
        done
        ((now_ms - began < start_limit_ms)) || return 1
        if [[ $told == no ]] && ((now_ms - began > 3000)); then told=yes && say "Waiting for ${unready[*]}" >&2; fi
        sleep 0.02
    done
}

# Brings every process up. Who runs and is ready is left alone; who is not is started (again).
# Prints one word: started, running (nothing was to be done) or repaired.
launch_all() {
    local name unready=() dead=() launched=' '
    for name in "${process_names[@]}"; do
        if ! process_is_alive "$name"; then dead+=("$name"); fi
    done
    if [[ ${#dead[@]} -eq 0 && -z $(launch_unready) ]]; then printf 'running\n' && return; fi
    if [[ ${#dead[@]} -gt 0 ]]; then process_end_lost || return; fi
    # First those that are dead; then, once, those that run and do not get ready.
    unready=("${dead[@]}")
    while :; do
        for name in "${unready[@]}"; do
            if [[ $launched == *" $name "* ]] || ! launch_process "$name"; then launch_explain "${unready[@]}" && return 1; fi
            launched+="$name "
        done
        if launch_wait_ready "$launched"; then break; fi
    done
    # nginx makes its sockets writable for everybody; the folder is private, and so are they.
    chmod 0600 -- "$PYGMY_RUN_DIR"/*.sock
    if [[ ${#dead[@]} -eq ${#process_names[@]} ]]; then printf 'started\n'; else printf 'repaired\n'; fi
}

# Says on stderr why the given processes are not ready, as far as their logs tell.
launch_explain() {
    local name log reason pid started boot log_offset
    for name in "$@"; do
        log=$PYGMY_LOG_DIR/$name.log
        if [[ $name == nginx* || $name == frontend* ]]; then log=$PYGMY_LOG_DIR/nginx-error.log; fi
        if ! process_is_alive "$name"; then
            say "$me: $name does not run"
        elif launch_is_dying "$name"; then
            say "$me: $name dies as soon as it starts"
        else
            reason=$(launch_reason "$name")
            say "$me: $name runs but ${reason:+says: }${reason:-does not answer}"
        fi
        say "--- end of $log"
        process_read_record "$name" || log_offset=0
        { tail -c "+$((log_offset + 1))" -- "$log" 2>/dev/null | grep -v ': /readyz answered' || :; } | tail -n 15
        say '---'
    done >&2
}

stop_process() {
    local signal=TERM
    # QUIT lets nginx finish the requests it is working on.
    if [[ $1 == nginx* || $1 == frontend* ]]; then signal=QUIT; fi
    process_end "$1" "$signal" && rm -f -- "$PYGMY_RUN_DIR/$1.sock"
}

# Ends everything: first who takes requests from outside, then the workers, then who is left without a record.
stop_all() {
    local name job jobs=() result=0
    stop_process nginx || result=1
    for name in "${worker_names[@]}"; do
        stop_process "$name" &
        jobs+=("$!")
    done
    for job in "${jobs[@]}"; do wait "$job" || result=1; done
    process_end_lost || result=1
    rm -f -- "$PYGMY_RUN_DIR"/*.sock "$PYGMY_RUN_DIR/nginx.pid" "$PYGMY_RUN_DIR"/*.new
    return "$result"
}

# Whether anything of the store runs.
is_anything_alive() {
    local name
    for name in "${process_names[@]}"; do
        if [[ -n $(process_members "$name") ]]; then return 0; fi
    done
    [[ -n $(process_lost) ]]
}
