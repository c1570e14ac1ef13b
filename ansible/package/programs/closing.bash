# shellcheck shell=bash
# What stop-frontend and reload-nginx share: letting clients go before their connections are closed.

readonly closing_limit_ms=1000 workers_limit_ms=12000      # the second: more than nginx's worker_shutdown_timeout

# Sets `now_ms`, milliseconds since boot.
clock_read() {
    local up
    read -r up _ </proc/uptime
    now_ms=${up/./}0
}

# From now on each answer says "Connection: close" (nginx/module/closing.c). Returns when no client of the public port is connected, or
# after a second: who is connected then has not asked for anything meanwhile.
closing_begin() {
    local now_ms deadline
    touch -- "$PYGMY_RUN_DIR/closing"
    clock_read
    deadline=$((now_ms + closing_limit_ms))
    while clock_read && [[ $now_ms -lt $deadline ]] && closing_is_connected; do sleep 0.02; done
}

closing_end() { rm -f -- "$PYGMY_RUN_DIR/closing"; }

# (The files have addresses as hex digits; 01: established.)
closing_is_connected() {
    local port
    printf -v port '%04X' "${PYGMY_PORT_FRONTEND:-8010}"
    grep -qsE "^ *[0-9]+: [0-9A-F]+:$port [0-9A-F]+:[0-9A-F]{4} 01 " /proc/net/tcp /proc/net/tcp6
}

# Prints the pids of nginx's workers. (The parent's number is the second word behind the program's name.)
workers() {
    local path text words
    for path in /proc/[0-9]*; do
        { IFS= read -r text <"$path/stat"; } 2>/dev/null || continue
        read -r -a words <<<"${text##*) }"
        if [[ ${words[1]} == "$MAINPID" && ${words[0]} != [ZX] ]]; then printf '%s\n' "${path#/proc/}"; fi
    done
}

# Makes nginx read what was rendered, and waits until the workers of before have answered what they were asked, and are gone.
workers_replace() {
    local now_ms deadline before pid
    before=$(workers)
    kill -s HUP "$MAINPID"
    clock_read
    deadline=$((now_ms + workers_limit_ms))
    for pid in $before; do
        while clock_read && [[ $now_ms -lt $deadline ]] && [[ " $(workers | tr '\n' ' ') " == *" $pid "* ]]; do sleep 0.02; done
    done
}
