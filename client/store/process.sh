# shellcheck shell=bash
# The processes of a store: knowing them for certain, and ending them.
#
# Every supervised process (a multiwatch with its worker, the nginx master with its workers) is started as the leader
# of a session of its own and writes $PYGMY_RUN_DIR/<name>.process before it becomes that program:
#     <pid> <start time in clock ticks since boot> <boot id> <length of its log at the start>
# A process is ours if pid, start time and boot id agree, so a pid that was given to somebody else is never signalled.
# What a dead leader left behind is found by its session: the kernel does not hand out a number again while it still
# is somebody's session. Workers can also be found by PYGMY_SUPERVISED_IN in their environment, should the run
# folder have been deleted. Nothing is ever looked up by the name of a program.

# Reads /proc/$1/stat into the array `stat` (from the state on: 0 state, 1 ppid, 3 session, 19 start time).
process_read_stat() {
    local text=
    { IFS= read -r -d '' text <"/proc/$1/stat"; } 2>/dev/null || [[ -n $text ]] || return 1
    # shellcheck disable=SC2206  # numbers only after the program's name
    stat=(${text##*) })
}

# Reads the record of process $1 into `pid`, `started`, `boot` and `log_offset`.
process_read_record() {
    pid='' started='' boot='' log_offset=''
    { read -r pid started boot log_offset <"$PYGMY_RUN_DIR/$1.process"; } 2>/dev/null || return 1
    [[ $pid =~ ^[1-9][0-9]*$ && $started =~ ^[0-9]+$ && $log_offset =~ ^[0-9]+$ ]]
}

# Whether the supervised process $1 runs. Leaves its record in `pid` etc.
process_is_alive() {
    local stat
    process_read_record "$1" && [[ $boot == "$(</proc/sys/kernel/random/boot_id)" ]] || return 1
    process_read_stat "$pid" && [[ ${stat[0]} != [ZX] && ${stat[19]} == "$started" ]]
}

# Whether process $1, which started at $2, still runs.
process_runs() {
    local stat
    process_read_stat "$1" && [[ ${stat[0]} != [ZX] && ${stat[19]} == "$2" ]]
}

# Whether process $1 belongs to the store's user (root, who only looks, need not ask).
process_owned() { [[ -O /proc/$1 || $EUID -eq 0 ]]; }

# Prints "pid start-time" of everybody in process $1's session, its leader included; also when the leader is gone.
process_members() {
    local pid started boot log_offset stat path candidate
    process_read_record "$1" && [[ $boot == "$(</proc/sys/kernel/random/boot_id)" ]] || return 0
    for path in /proc/[0-9]*; do
        candidate=${path#/proc/}
        process_read_stat "$candidate" || continue
        [[ ${stat[3]} == "$pid" && ${stat[0]} != [ZX] && ${stat[19]} -ge $started ]] || continue
        # A leader with another start time: the number was used again after everybody of ours had gone.
        [[ $candidate != "$pid" || ${stat[19]} == "$started" ]] || return 0
        if process_owned "$candidate"; then printf '%s %s\n' "$candidate" "${stat[19]}"; fi
    done
}

# Prints "pid start-time" of this store's workers and nginx masters of which no record is left. Workers are known by
# their environment, nginx (which overwrites its own) by its arguments; both name the run folder.
process_lost() {
    local path stat known=' ' name who
    for name in "${process_names[@]}"; do
        while read -r who _; do known+="$who "; done < <(process_members "$name")
    done
    while IFS=/ read -r _ _ path _; do
        if [[ $known == *" $path "* ]]; then continue; fi
        if process_owned "$path" && process_read_stat "$path"; then printf '%s %s\n' "$path" "${stat[19]}"; fi
    done < <(
        # (Some of these files cannot be read, which makes grep fail whatever it found.)
        grep -lzxF -e "PYGMY_SUPERVISED_IN=$PYGMY_RUN_DIR" /proc/[0-9]*/environ 2>/dev/null || :
        # The pattern comes from a file, so that grep does not find itself.
        grep -laF -f - /proc/[0-9]*/cmdline 2>/dev/null <<<"nginx -p $PYGMY_RUN_DIR/nginx -e " || :
    )
}

# Sets `now_ms`, milliseconds since boot.
clock_read() {
    local up
    read -r up _ </proc/uptime
    now_ms=${up/./}0
}

# Waits until the session of process $1 is gone, at most $2 milliseconds.
process_wait_gone() {
    local now_ms deadline
    clock_read
    deadline=$((now_ms + $2))
    while [[ -n $(process_members "$1") ]]; do
        clock_read
        ((now_ms < deadline)) || return 1
        sleep 0.02
    done
}

# Ends process $1: asks its leader with signal $2, and kills who is left of its session after the limit. Where the
# leader is dead already, everybody else is asked first. Removes the record.
process_end() {
    local pid started boot log_offset signals='TERM KILL'
    if process_is_alive "$1" && kill -s "$2" "$pid" 2>/dev/null; then
        process_wait_gone "$1" "$end_limit_ms" || signals=KILL
    fi
    process_end_listed "$signals" process_members "$1" && rm -f "$PYGMY_RUN_DIR/$1.process"
}

# Ends everybody of this store of whom no record is left.
process_end_lost() { process_end_listed 'TERM KILL' process_lost; }

# Ends, with the signals $1, who is listed by the function that the further words call; asks it again after that,
# because a supervisor may have started somebody new at the last moment.
process_end_listed() {
    local signals=$1 round who
    shift
    for round in 1 2 3; do
        who=$("$@")
        [[ -n $who ]] || return 0
        process_end_all "$signals" <<<"$who" || return 1
    done
    [[ -z $("$@") ]]
}

# Ends the processes given as "pid start-time" lines on stdin with the signals $1, one after the other, each for the
# limit. Returns 1 if somebody is left.
process_end_all() {
    local now_ms deadline signal who left still
    mapfile -t left
    for signal in $1; do
        clock_read
        deadline=$((now_ms + end_limit_ms))
        for who in "${left[@]}"; do
            # shellcheck disable=SC2086  # two words
            if process_runs $who && ! kill -s "$signal" "${who% *}" 2>/dev/null; then continue; fi
        done
        while [[ ${#left[@]} -gt 0 ]] && clock_read && ((now_ms < deadline)); do
            still=()
            for who in "${left[@]}"; do
                # shellcheck disable=SC2086
                if process_runs $who; then still+=("$who"); fi
            done
            left=("${still[@]}")
            if [[ ${#left[@]} -gt 0 ]]; then sleep 0.02; fi
        done
    done
    [[ ${#left[@]} -eq 0 ]] && return
    say "$me: these processes do not end: ${left[*]% *}" >&2
    return 1
}

# Starts a supervised process and waits until it has written its record: process_start <name> <log file> <command...>
process_start() {
    local name=$1 log=$2 now_ms deadline
    shift 2
    rm -f "$PYGMY_RUN_DIR/$name.process"
    # The inner shell lets go of everything that its caller had open (locks, pipes), then becomes the command.
    # shellcheck disable=SC2016,SC2094
    setsid bash -c '
        set -eu
        record=$1 log=$2; shift 2
        for fd in /proc/$$/fd/*; do fd=${fd##*/}; if [[ $fd -gt 2 ]]; then eval "exec $fd>&-"; fi; done
        text=$(cat "/proc/$$/stat"); text=${text##*) }; set -f; fields=($text)
        printf "%s %s %s %s\n" "$$" "${fields[19]}" "$(cat /proc/sys/kernel/random/boot_id)" "$(stat -c %s "$log")" >"$record.new"
        mv -f "$record.new" "$record"
        cd "${record%/*}"
        exec "$@"' store "$PYGMY_RUN_DIR/$name.process" "$log" "$@" \
        </dev/null >>"$log" 2>&1 &
    disown
    clock_read
    deadline=$((now_ms + 5000))
    until [[ -e $PYGMY_RUN_DIR/$name.process ]]; do
        clock_read
        ((now_ms < deadline)) || return 1
        sleep 0.005
    done
}
