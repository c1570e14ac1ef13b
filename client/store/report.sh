# shellcheck shell=bash
# What a store tells about itself: status, logs, and who holds a port that it needs.

# Prints the command line of process $1, shortened.
report_command() { tr -s '\0\n ' ' ' <"/proc/$1/cmdline" | sed -E 's/ +$//; s/^(.{150}).+/\1.../'; } 2>/dev/null

# Prints the filter by which ss finds who listens on TCP port $1 where we want to: on our address, or on all.
report_port_filter() {
    case $PYGMY_LISTEN in
        0.0.0.0 | '*' | '[::]' | *[!0-9.]*) printf 'sport = :%s' "$1" ;;
        *) printf '( src %s or src 0.0.0.0 or src [::] ) and sport = :%s' "$PYGMY_LISTEN" "$1" ;;
    esac
}

# Prints the pid of who listens on TCP port $1, the parent where several share the socket; nothing when nobody does, or
# when it is another user's, which only root is told.
report_port_pid() {
    local stat candidate pids
    pids=" $(ss -Hltnp "$(report_port_filter "$1")" 2>/dev/null | grep -o 'pid=[0-9]*' | sed 's/pid=//' | tr '\n' ' ')"
    for candidate in $pids; do
        if process_read_stat "$candidate" && [[ $pids != *" ${stat[1]} "* ]]; then printf '%s' "$candidate" && return; fi
    done
}

# Prints who listens on TCP port $1, as a part of a sentence; $2 is the pid if it is known.
report_port_holder() {
    local holder
    if [[ -n $2 ]]; then
        holder="process $2 ($(tr -d '\n' <"/proc/$2/comm"): $(report_command "$2"))"
    elif [[ $EUID -eq 0 ]]; then
        holder='a process that cannot be seen from here (in a container?)'
    else
        holder="a process of another user ('sudo ss -ltnp sport = :$1' names it)"
    fi
    if [[ $holder =~ \ -p\ (.*)/nginx\ -e\  && -e ${BASH_REMATCH[1]}/$folder_mark ]] ||
        { curl --silent --globoff --noproxy '*' --max-time 1 "http://$reach:$1/" </dev/null | grep -q 'Pygmy'; }; then
        holder="another Pygmy store, $holder"
    fi
    printf '%s' "$holder"
}

# Prints the pids of what belongs to this store, with a record or without.
report_own_pids() {
    local name
    {
        for name in "${process_names[@]}"; do process_members "$name"; done
        process_lost
    } | cut -d ' ' -f 1
}

# Fails with a message when a port that the store is about to need is taken by somebody else.
report_taken_ports() {
    local name port path holder last='' stat taken=0 own
    own=" $(report_own_pids | tr '\n' ' ')"
    while read -r name port path; do
        [[ -n $(ss -Hltn "$(report_port_filter "$port")") ]] || continue
        holder=$(report_port_pid "$port")
        # What is ours, or of a session of ours, will be repaired.
        if [[ -n $holder ]] && process_read_stat "$holder" && [[ $own == *" $holder "* || $own == *" ${stat[3]} "* ]]; then continue; fi
        if [[ -n $holder && $holder == "$last" ]]; then
            say "$me: port $port, which $name needs, too" >&2
        else
            say "$me: port $port, which $name needs, is taken by $(report_port_holder "$port" "$holder")" >&2
        fi
        taken=1 last=$holder
    done < <(settings_listeners)
    [[ $taken -eq 0 ]] && return
    report_port_advice >&2
    return "$exit_port"
}

report_port_advice() {
    say "store: stop that program, or choose other ports, for example: PYGMY_PORT_FRONTEND=9010 make run"
    say "       (PYGMY_PORT_FRONTEND, PYGMY_PORT_CATALOG_A, PYGMY_PORT_CATALOG_B, PYGMY_PORT_ORDER_A, PYGMY_PORT_ORDER_B, PYGMY_PORT_METRICS)"
}

# Prints how often the worker $1 was started again since its supervisor started. (The supervisor of nginx is nginx.)
report_restarts() {
    local pid started boot log_offset
    process_read_record "$1" || log_offset=0
    { tail -c "+$((log_offset + 1))" -- "$PYGMY_LOG_DIR/$1.log" 2>/dev/null || :; } |
        { grep -cE '^(Child\[[0-9]+\] died|Spawning child\[[0-9]+\] failed)' || :; }
}

# Prints one line per process: name state pid uptime_s pss_kib restarts, separated by tabs.
# States: ready, unready (runs, does not answer), orphaned (its supervisor is dead), down.
report_processes() {
    local name state now_ms unready pss restarts pid started boot log_offset members who stat ticks
    ticks=$(getconf CLK_TCK)
    clock_read
    unready=" $(launch_unready | tr '\n' ' ')"
    for name in "${process_names[@]}"; do
        mapfile -t members < <(process_members "$name")
        pss=0 restarts=0 state=down
        for who in "${members[@]}"; do
            pss=$((pss + $(awk '/^Pss:/ {print $2; exit}' "/proc/${who% *}/smaps_rollup" 2>/dev/null || printf 0)))
        done
        if process_is_alive "$name"; then
            state=ready
            if [[ $unready == *" $name "* ]]; then state=unready; fi
            restarts=$(report_restarts "$name")
        elif [[ ${#members[@]} -gt 0 ]]; then
            state=orphaned
        fi
        if [[ $state == down || $state == orphaned ]]; then pid=0 started=$((now_ms * ticks / 1000)); fi
        printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "$state" "$pid" "$((now_ms / 1000 - started / ticks))" "$pss" "$restarts"
    done
}

# Sets `overall` to up, degraded or down from the states in report_processes's lines on stdin.
report_overall() {
    local states
    states=$(cut -f 2 | sort -u)
    case $states in
        ready) overall=up ;;
        down) overall=down ;;
        *) overall=degraded ;;
    esac
}

report_duration() {
    local s=$1
    if ((s >= 86400)); then printf '%dd%02dh' $((s / 86400)) $((s % 86400 / 3600))
    elif ((s >= 3600)); then printf '%dh%02dm' $((s / 3600)) $((s % 3600 / 60))
    elif ((s >= 60)); then printf '%dm%02ds' $((s / 60)) $((s % 60))
    else printf '%ds' "$s"; fi
}

report_mib() { printf '%d.%d MiB' $(($1 / 1024)) $(($1 % 1024 * 10 / 1024)); }

report_table() {
    local lines=$1 overall=$2 name state pid uptime pss restarts total=0
    say "Pygmy store: $overall"
    printf '\n  %-10s %-9s %8s %8s %11s %9s\n' PROCESS STATE PID UPTIME MEMORY RESTARTS
    while IFS=$'\t' read -r name state pid uptime pss restarts; do
        total=$((total + pss))
        if [[ $pid -eq 0 ]]; then pid=- uptime=- restarts=-; else uptime=$(report_duration "$uptime"); fi
        printf '  %-10s %-9s %8s %8s %11s %9s\n' "$name" "$state" "$pid" "$uptime" "$(report_mib "$pss")" "$restarts"
    done <<<"$lines"
    printf '  %-10s %-9s %8s %8s %11s\n\n' all '' '' '' "$(report_mib "$total")"
    say "  frontend   http://$reach:$PYGMY_PORT_FRONTEND/"
    say "  catalog    http://$reach:$PYGMY_PORT_CATALOG_A/ (A)  http://$reach:$PYGMY_PORT_CATALOG_B/ (B)"
    say "  order      http://$reach:$PYGMY_PORT_ORDER_A/ (A)  http://$reach:$PYGMY_PORT_ORDER_B/ (B)"
    if [[ $PYGMY_PORT_METRICS != off ]]; then say "  metrics    http://$reach:$PYGMY_PORT_METRICS/metrics (frontend; the workers' are on their own ports)"; fi
    say "  data       $PYGMY_STATE_DIR"
    say "  secrets    $PYGMY_SECRETS_DIR"
    say "  logs       $PYGMY_LOG_DIR"
}

report_json_string() {
    local text=${1//\\/\\\\}
    printf '"%s"' "${text//\"/\\\"}"
}

report_json() {
    local lines=$1 overall=$2 name state pid uptime pss restarts total=0 comma=
    printf '{"status":"%s","processes":[' "$overall"
    while IFS=$'\t' read -r name state pid uptime pss restarts; do
        total=$((total + pss))
        printf '%s{"name":"%s","state":"%s","pid":%d,"uptime_s":%d,"pss_kib":%d,"restarts":%d}' \
            "$comma" "$name" "$state" "$pid" "$uptime" "$pss" "$restarts"
        comma=,
    done <<<"$lines"
    printf '],"pss_kib":%d,"frontend":"http://%s:%d/"' "$total" "$reach" "$PYGMY_PORT_FRONTEND"
    for name in STATE_DIR RUN_DIR LOG_DIR; do
        state=PYGMY_$name
        printf ',"%s":' "$(tr '[:upper:]' '[:lower:]' <<<"$name")"
        report_json_string "${!state}"
    done
    printf '}\n'
}

# Prints the status; $1 is table or json. Returns 0 up, 1 degraded, 3 down.
report_status() {
    local lines overall
    lines=$(report_processes)
    report_overall <<<"$lines"
    "report_$1" "$lines" "$overall"
    case $overall in
        up) return 0 ;;
        degraded) return "$exit_failed" ;;
        *) return "$exit_down" ;;
    esac
}

# Prints the last $1 lines of every log; with $2 = follow goes on with what comes.
report_logs() {
    local logs
    cd -- "$PYGMY_LOG_DIR" 2>/dev/null || { say "There are no logs yet ($PYGMY_LOG_DIR)" && return; }
    logs=(*.log)
    if [[ ! -e ${logs[0]} ]]; then say "There are no logs yet ($PYGMY_LOG_DIR)" && return; fi
    if [[ ${2:-} == follow ]]; then exec tail -n "$1" -F -- "${logs[@]}"; fi
    tail -v -n "$1" -- "${logs[@]}"
}
