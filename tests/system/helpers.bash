# shellcheck shell=bash
# What the system tests share. A test file says in setup: load helpers; store_setup. And in teardown: store_teardown.
#
# Every test (or every file, from setup_file and teardown_file) has a store of its own: a temporary folder for its state,
# six free ports, the clone's own client/store.sh. Nothing of a store that the user runs is touched. store_teardown ends
# the store and deletes the folder also when the test failed, after printing the end of its logs.

tree=${PYGMY_TREE:-$(cd -- "$BATS_TEST_DIRNAME/../.." && pwd -P)}
pygmy_build=.build/release
case ${SAN:-} in
    address) pygmy_build=.build/asan ;;
    thread) pygmy_build=.build/tsan ;;
esac

# ---- the store ---------------------------------------------------------------------------------

# Makes the folder of a store and chooses its ports; starts nothing. Sets store_dir and the PYGMY_* environment.
store_setup() {
    local name
    for name in "${!PYGMY_@}"; do [[ $name == PYGMY_TREE ]] || unset "$name"; done
    # Not below bats' own folder: the store's user must be able to enter, and sockets have short paths.
    store_dir=$(mktemp -d /tmp/pygmy-test.XXXXXX)
    export store_dir
    chmod 0711 "$store_dir"
    export PYGMY_STATE_DIR=$store_dir/state PYGMY_RUN_DIR=$store_dir/run PYGMY_CLIENT_ENV=$store_dir/pygmy.env
    export PYGMY_BUILD=$pygmy_build
    store_choose_ports
}

# Finds six ports nobody listens on, outside the range from which the kernel takes ports for connections.
store_choose_ports() {
    local first taken port free tries
    taken=" $(ss -Hltn | awk '{print $4}' | sed 's/.*://' | tr '\n' ' ') "
    for tries in {1..200}; do
        first=$((20000 + RANDOM % 2000 * 6)) free=yes
        for port in 0 1 2 3 4 5; do
            if [[ $taken == *" $((first + port)) "* ]]; then free=no; fi
        done
        if [[ $free == yes ]]; then break; fi
    done
    [[ $free == yes ]] || { echo "no free ports after $tries tries" && return 1; }
    export PYGMY_PORT_FRONTEND=$first PYGMY_PORT_CATALOG_A=$((first + 1)) PYGMY_PORT_CATALOG_B=$((first + 2))
    export PYGMY_PORT_ORDER_A=$((first + 3)) PYGMY_PORT_ORDER_B=$((first + 4)) PYGMY_PORT_METRICS=$((first + 5))
    export frontend catalog_a catalog_b order_a order_b metrics
    frontend=http://127.0.0.1:$first catalog_a=http://127.0.0.1:$((first + 1)) catalog_b=http://127.0.0.1:$((first + 2)) \
        order_a=http://127.0.0.1:$((first + 3)) order_b=http://127.0.0.1:$((first + 4)) metrics=http://127.0.0.1:$((first + 5))
}

# Runs the clone's store script without what bats has open: store <words...>
store() { "$tree/client/store.sh" "$@" 3>&- </dev/null; }

# Starts the store; takes other ports when somebody took ours in between.
store_start() {
    local tries code
    for tries in 1 2 3; do
        code=0
        store start || code=$?
        if [[ $code -ne 4 ]]; then return "$code"; fi
        echo "ports taken, try $tries"
        store_choose_ports
    done
    return 4
}

store_stop() { store stop; }

store_teardown() {
    local log
    if [[ -z ${store_dir:-} ]]; then return; fi
    if [[ -z ${BATS_TEST_COMPLETED:-} ]]; then
        for log in "$PYGMY_STATE_DIR"/logs/*.log; do
            if [[ -s $log ]]; then
                echo "--- ${log##*/}"
                tail -n 15 "$log"
            fi
        done
    fi
    store stop
    # What a sanitizer found is a failure, also when every answer was right.
    if grep -qE 'ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|: runtime error: ' "$PYGMY_STATE_DIR"/logs/*.log 2>/dev/null; then
        grep -hE -A 25 'Sanitizer|: runtime error: ' "$PYGMY_STATE_DIR"/logs/*.log | head -n 80
        rm -rf -- "$store_dir"
        return 1
    fi
    rm -rf -- "$store_dir"
}

# Copies what a clone needs to start a store: copy_tree <folder>
copy_tree() {
    mkdir -p "$1/.build" "$1/db"
    cp -r "$tree/client" "$tree/nginx" "$tree/Makefile" "$1/"
    cp "$tree/db/catalogue.json" "$1/db/"
    cp -r --parents "$(realpath --relative-to="$tree" "$tree/.build/release")" "$1/" 2>/dev/null ||
        (cd "$tree" && cp -r --parents .build/release/bin .build/release/lib "$1/")
    rm -rf "$1/.build/release/obj" "$1/.build/release/unit" "$1/.build/release/etc"
}

# Prints the pid of the supervisor (multiwatch, or the nginx master): supervisor_pid catalog-A
supervisor_pid() { cut -d ' ' -f 1 "$PYGMY_RUN_DIR/$1.process"; }

# Prints the pid of a worker: worker_pid order-B. Empty while its supervisor has none.
worker_pid() { ps -o pid=,stat= --ppid "$(supervisor_pid "$1")" | awk '$2 !~ /^Z/ {print $1; exit}'; }

# kill -9 of a worker; returns when it is gone: kill_worker order-B
kill_worker() {
    local pid
    pid=$(worker_pid "$1")
    kill -9 "$pid"
    wait_until 5 is_gone "$pid"
}

is_gone() {
    local text=
    { IFS= read -r text <"/proc/$1/stat"; } 2>/dev/null || return 0
    [[ ${text##*) } == [ZX]* ]]
}

# Prints the pids of everything that runs for this store's folder.
# shellcheck disable=SC2062  # the pattern is read from a file
store_processes() {
    local path pid
    {
        for path in /proc/[0-9]*; do
            if [[ $path/cwd -ef $PYGMY_RUN_DIR ]]; then printf '%s\n' "$path"; fi
        done
        # (Some of these files cannot be read, which makes grep fail. The pattern comes from a file, so that grep does not find itself.)
        grep -lzxF -f - /proc/[0-9]*/environ 2>/dev/null <<<"PYGMY_SUPERVISED_IN=$PYGMY_RUN_DIR" || :
        grep -laF -f - /proc/[0-9]*/cmdline 2>/dev/null <<<"-c $PYGMY_RUN_DIR/nginx.conf" || :
    } | cut -d / -f 3 | sort -un | while read -r pid; do is_gone "$pid" || printf '%s\n' "$pid"; done
}

no_store_processes() { [[ -z $(store_processes) ]]; }

# The user's client, told of this store: client buy 1
client() { env -u PYGMY_STATE_DIR -u PYGMY_RUN_DIR PYGMY_CONFIG="$PYGMY_CLIENT_ENV" "$tree/.build/release/bin/pygmy" "$@" </dev/null; }

admin_token() { tr -d '\n' <"$PYGMY_STATE_DIR/secrets/admin.token"; }
peer_token() { tr -d '\n' <"$PYGMY_STATE_DIR/secrets/peer.token"; }

# Asks the store's database: sql "SELECT count(*) FROM orders"
sql() { sqlite3 -readonly -cmd '.timeout 5000' "$PYGMY_STATE_DIR/store.db" "$1"; }

# ---- HTTP --------------------------------------------------------------------------------------

# One request: http GET "$frontend/lookup?id=1" [more words for curl]. Sets code (000: no answer), headers, body.
http() {
    local method=$1 url=$2 status=0
    shift 2
    # (curl leaves the file alone when there is no body.)
    : >"$store_dir/http.body"
    if [[ $method == HEAD ]]; then set -- --head "$@"; else set -- --request "$method" "$@"; fi
    code=$(curl --silent --globoff --noproxy '*' --max-time 20 --dump-header "$store_dir/http.headers" --output "$store_dir/http.body" \
        --write-out '%{http_code}' "$@" -- "$url" </dev/null) || status=$?
    # shellcheck disable=SC2034  # for the tests
    headers=$(<"$store_dir/http.headers") body=$(<"$store_dir/http.body")
    headers=${headers//$'\r'/}
    return $((status == 0 ? 0 : 1))
}

# Prints the value of an answer's header: header Cache-Status
header() {
    local line value=
    while IFS= read -r line; do
        if [[ ${line,,} == "${1,,}:"* ]]; then value=${line#*:}; fi
    done <<<"$headers"
    printf '%s' "${value#"${value%%[! ]*}"}"
}

# Prints a part of the last body, strings without their quotes: json .item[0].count
json() { jq -cer "$1" <<<"$body"; }

# ---- waiting and comparing -----------------------------------------------------------------------

# Polls until the command succeeds: wait_until 5 test -e file
wait_until() {
    local limit=$1 deadline=$((SECONDS + $1 + 1))
    shift
    until "$@"; do
        if ((SECONDS >= deadline)); then
            echo "not within $limit s: $*"
            return 1
        fi
        sleep 0.05
    done
}

assert_equal() {
    [[ $1 == "$2" ]] && return
    printf 'expected: %s\nfound:    %s\n%s\n' "$2" "$1" "${3:-}"
    return 1
}

assert_contains() {
    [[ $1 == *"$2"* ]] && return
    printf 'expected to contain: %s\nfound:               %s\n' "$2" "$1"
    return 1
}

assert_lacks() {
    [[ $1 != *"$2"* ]] && return
    printf 'expected not to contain: %s\nfound:                   %s\n' "$2" "$1"
    return 1
}
