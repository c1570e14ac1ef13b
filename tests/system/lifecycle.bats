#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2016,SC2153
# Starting, stopping, repairing and forgetting a store: what client/store.sh promises.

load helpers

setup() { store_setup; }
teardown() {
    if [[ -n ${other_nginx:-} ]]; then kill "$other_nginx"; fi
    if [[ -n ${bystander:-} ]]; then kill "$bystander"; fi
    store_teardown
}

records() { cat "$PYGMY_RUN_DIR"/*.process; }

# Copies what a clone needs to start a store: copy_tree <folder>
copy_tree() {
    mkdir -p "$1/.build" "$1/db"
    cp -r "$tree/client" "$tree/nginx" "$tree/Makefile" "$1/"
    cp "$tree/db/catalogue.json" "$1/db/"
    cp -r --parents "$(realpath --relative-to="$tree" "$tree/.build/release")" "$1/" 2>/dev/null ||
        (cd "$tree" && cp -r --parents .build/release/bin .build/release/lib "$1/")
    rm -rf "$1/.build/release/obj" "$1/.build/release/unit" "$1/.build/release/etc"
}

@test "start brings up four workers and nginx, and everything is ready" {
    run store_start
    assert_equal "$status" 0 "$output"
    assert_contains "$output" "The store is up: $frontend/"
    local url
    for url in "$frontend/healthz" "$catalog_a/readyz" "$catalog_b/readyz" "$order_a/readyz" "$order_b/readyz"; do
        http GET "$url"
        assert_equal "$code" 200 "$url"
    done
}

@test "a second start says that the store runs, and leaves every process alone" {
    store_start
    local before
    before=$(records)
    run store start
    assert_equal "$status" 0 "$output"
    assert_contains "$output" "runs already"
    assert_equal "$(records)" "$before"
}

@test "data survives stop and start; secrets stay the same" {
    store_start
    client buy 1
    local count token
    count=$(sql 'SELECT count(*) FROM orders')
    token=$(admin_token)
    assert_equal "$count" 1
    store_stop
    store_start
    assert_equal "$(sql 'SELECT count(*) FROM orders')" 1
    assert_equal "$(admin_token)" "$token"
    http GET "$order_a/orders"
    assert_equal "$(json '.order | length')" 1
}

@test "stop leaves no process, no socket and no record" {
    store_start
    [[ -n $(store_processes) ]]
    run store_stop
    assert_equal "$status" 0 "$output"
    assert_equal "$(store_processes)" ''
    assert_equal "$(find "$PYGMY_RUN_DIR" -name '*.sock' -o -name '*.process' -o -name '*.pid')" ''
    run store_stop
    assert_equal "$status" 0 "$output"
    assert_contains "$output" "not running"
}

@test "reset deletes the data, also while the store runs; the next start is a first start" {
    store_start
    client buy 1
    run store reset
    assert_equal "$status" 0 "$output"
    [[ ! -e $PYGMY_STATE_DIR && ! -e $PYGMY_RUN_DIR ]]
    no_store_processes
    run store reset
    assert_equal "$status" 0 "$output"
    store_start
    assert_equal "$(sql 'SELECT count(*) FROM orders')" 0
}

@test "status: a table for people, JSON for programs, and a meaningful exit code" {
    run store status
    assert_equal "$status" 3 "$output"
    assert_contains "$output" "Pygmy store: down"
    store_start
    run store status
    assert_equal "$status" 0 "$output"
    assert_contains "$output" "Pygmy store: up"
    assert_contains "$output" "$frontend/"
    run store status --json
    assert_equal "$(jq -r '.status, (.processes | length), .processes[0].name, .state_dir' <<<"$output" | tr '\n' ' ')" \
        "up 5 catalog-A $PYGMY_STATE_DIR "
    assert_equal "$(jq '[.processes[] | select(.state == "ready" and .pid > 1 and .pss_kib > 100)] | length' <<<"$output")" 5
    kill -STOP "$(worker_pid order-A)"
    run store status --json
    kill -CONT "$(worker_pid order-A)"
    assert_equal "$status" 1 "$output"
    assert_equal "$(jq -r '.status, (.processes[] | select(.name == "order-A") | .state)' <<<"$output" | tr '\n' ' ')" 'degraded unready '
}

@test "a worker that is killed comes back by itself, and status counts it" {
    store_start
    local before
    before=$(worker_pid order-B)
    kill_worker order-B
    answers_again() { http GET "$order_b/readyz" && [[ $code == 200 ]]; }
    wait_until 5 answers_again
    [[ $(worker_pid order-B) != "$before" ]]
    assert_equal "$(store status --json | jq '.processes[] | select(.name == "order-B") | .restarts')" 1
}

@test "start repairs a store whose supervisor and nginx master were killed" {
    store_start
    local orphan
    orphan=$(worker_pid catalog-A)
    kill -9 "$(supervisor_pid catalog-A)" "$(supervisor_pid nginx)"
    run store status --json
    assert_equal "$status" 1 "$output"
    assert_equal "$(jq -r '.processes[] | select(.name == "catalog-A") | .state' <<<"$output")" orphaned
    run store start
    assert_equal "$status" 0 "$output"
    assert_contains "$output" "whole again"
    is_gone "$orphan"
    run store status
    assert_equal "$status" 0 "$output"
    assert_equal "$(store_processes | xargs -n 1 ps -o comm= -p | grep -c '^catalog$')" 2
}

@test "start replaces a worker that runs but does not answer" {
    store_start
    local frozen
    frozen=$(worker_pid order-A)
    kill -STOP "$frozen"
    run store start
    assert_equal "$status" 0 "$output"
    is_gone "$frozen"
    http GET "$order_a/readyz"
    assert_equal "$code" 200
}

@test "stop ends an orphan whose supervisor was killed, also without a record" {
    store_start
    kill -9 "$(supervisor_pid order-A)" "$(supervisor_pid catalog-B)"
    rm "$PYGMY_RUN_DIR/order-A.process"
    store_stop
    assert_equal "$(store_processes)" ''
}

@test "a run folder that was deleted under a running store does not keep it from starting or stopping" {
    store_start
    rm -rf "$PYGMY_RUN_DIR"
    run store start
    assert_equal "$status" 0 "$output"
    http GET "$catalog_a/readyz"
    assert_equal "$code" 200
    rm -rf "$PYGMY_RUN_DIR"
    store_stop
    wait_until 5 no_store_processes
}

@test "a process that has a pid of ours by chance is not touched" {
    store_start
    sleep 300 3>&- &
    bystander=$!
    store_stop
    printf '%s %s %s 0\n' "$bystander" 1 "$(cat /proc/sys/kernel/random/boot_id)" >"$PYGMY_RUN_DIR/order-A.process"
    printf '%s %s %s 0\n' "$bystander" "$(awk '{print $22}' "/proc/$bystander/stat")" another-boot >"$PYGMY_RUN_DIR/nginx.process"
    store_stop
    store_start
    store_stop
    run is_gone "$bystander"
    assert_equal "$status" 1
}

@test "two starts at once are one start" {
    store start >"$store_dir/first" 2>&1 3>&- &
    local first=$!
    run store start
    assert_equal "$status" 0 "$output"
    wait "$first"
    assert_equal "$(store_processes | xargs -n 1 ps -o comm= -p | grep -cE '^(catalog|order)$')" 4
    assert_contains "$output$(cat "$store_dir/first")" "runs already"
}

@test "a port that is taken: the message names it, its owner and a way out; nothing is left running" {
    local other=$store_dir/other
    mkdir "$other"
    chmod 0755 "$other"
    cat >"$other/conf" <<CONF
pid $other/pid; error_log $other/log; events {}
http {
    access_log off; client_body_temp_path $other/1; proxy_temp_path $other/2; fastcgi_temp_path $other/3;
    uwsgi_temp_path $other/4; scgi_temp_path $other/5;
    server { listen 127.0.0.1:$PYGMY_PORT_ORDER_A; return 200 hello; }
}
CONF
    PATH=$PATH:/usr/sbin nginx -p "$other" -e "$other/log" -c "$other/conf" 3>&-
    wait_until 5 test -s "$other/pid"
    other_nginx=$(cat "$other/pid")
    run store start
    assert_equal "$status" 4 "$output"
    assert_contains "$output" "port $PYGMY_PORT_ORDER_A, which order-A needs, is taken by process $other_nginx"
    assert_contains "$output" "nginx"
    assert_contains "$output" "PYGMY_PORT_FRONTEND="
    no_store_processes
    # With another port both run side by side.
    export PYGMY_PORT_ORDER_A=$((PYGMY_PORT_ORDER_B + 1))
    store start
    kill -0 "$other_nginx"
    assert_equal "$(curl -s "http://127.0.0.1:$((PYGMY_PORT_ORDER_B - 1))/")" hello
}

@test "a port taken by another Pygmy store: the message says so" {
    store_start
    PYGMY_STATE_DIR=$store_dir/second PYGMY_RUN_DIR=$store_dir/second-run run store start
    assert_equal "$status" 4 "$output"
    assert_contains "$output" "another Pygmy store, process $(supervisor_pid nginx)"
    assert_equal "$(store status --json | jq -r .status)" up
}

@test "new settings restart the store with them" {
    store_start
    local old=$PYGMY_PORT_FRONTEND
    store_choose_ports
    run store start
    assert_equal "$status" 0 "$output"
    assert_contains "$output" "The settings are new"
    http GET "$frontend/healthz"
    assert_equal "$code" 200
    run curl -s "http://127.0.0.1:$old/healthz"
    assert_equal "$status" 7
}

@test "a new build restarts the store with it" {
    copy_tree "$store_dir/clone"
    tree=$store_dir/clone
    store_start
    printf '\n' >>"$tree/db/catalogue.json"
    run store start
    assert_equal "$status" 0 "$output"
    assert_contains "$output" "The program is new"
    cmp "$tree/db/catalogue.json" "$PYGMY_STATE_DIR/app/catalogue.json"
}

@test "a worker that cannot start: the end of its log is shown and everything is stopped again" {
    printf 'not a catalogue' >"$store_dir/broken.json"
    chmod 0644 "$store_dir/broken.json"
    PYGMY_CATALOGUE=$store_dir/broken.json run store start
    assert_equal "$status" 1 "$output"
    assert_contains "$output" "catalog-"
    assert_contains "$output" "end of $PYGMY_STATE_DIR/logs/catalog-"
    no_store_processes
    store_start
}

@test "a clone path with spaces, unreadable for others, works" {
    copy_tree "$store_dir/a clone (of mine)"
    chmod 0700 "$store_dir/a clone (of mine)"
    tree="$store_dir/a clone (of mine)"
    store_start
    http GET "$catalog_a/readyz"
    assert_equal "$code" 200
    assert_equal "$(make --no-print-directory -C "$tree" status | head -n 1)" "Pygmy store: up"
    make --no-print-directory -C "$tree" stop
    no_store_processes
}

@test "a clone that was moved still finds its store" {
    copy_tree "$store_dir/before"
    tree=$store_dir/before
    # The default folders, below a home of our own: they depend on the path of the clone.
    unset PYGMY_STATE_DIR PYGMY_RUN_DIR PYGMY_CLIENT_ENV
    as_owner() { env HOME="$store_dir/home" XDG_STATE_HOME= "$@"; }
    mkdir -m 0777 "$store_dir/home"
    as_owner "$tree/client/store.sh" start 3>&-
    local state
    state=$(as_owner "$tree/client/store.sh" env | sed -n 's/^PYGMY_STATE_DIR="\(.*\)"$/\1/p')
    mv "$store_dir/before" "$store_dir/after"
    tree=$store_dir/after
    assert_equal "$(as_owner "$tree/client/store.sh" status --json | jq -r '.status, .state_dir' | tr '\n' ' ')" "up $state "
    as_owner "$tree/client/store.sh" reset
    [[ ! -e $state ]]
}

@test "folders, sockets and secrets are private, whatever the umask" {
    (umask 0 && store_start)
    assert_equal "$(stat -c %a "$PYGMY_STATE_DIR" "$PYGMY_RUN_DIR" | sort -u)" 700
    assert_equal "$(find "$PYGMY_STATE_DIR/secrets" -type f -printf '%f %m %s\n' | sort | tr '\n' ' ')" 'admin.token 600 65 peer.token 600 65 '
    assert_equal "$(find "$PYGMY_RUN_DIR" -type s -name '[co]*.sock' | wc -l)" 4
    assert_equal "$(find "$PYGMY_RUN_DIR" -type s ! -perm 0600)" ''
    assert_equal "$(find "$PYGMY_STATE_DIR" "$PYGMY_RUN_DIR" ! -type l -perm /0022)" ''
}

@test "no secret reaches a log, a configuration file or a command line" {
    store_start
    local token
    curl -s -o /dev/null -X PUT -H "Authorization: Bearer $(admin_token)" -H 'Content-Type: application/json' -d '{"cost":10}' "$catalog_a/item/1"
    curl -s -o /dev/null -X PUT -H "Authorization: Bearer wrong" -H 'Content-Type: application/json' -d '{"cost":10}' "$catalog_a/item/1"
    for token in "$(admin_token)" "$(peer_token)"; do
        [[ ${#token} -eq 64 ]]
        assert_equal "$(grep -rlF "$token" "$PYGMY_STATE_DIR" "$PYGMY_RUN_DIR" "$PYGMY_CLIENT_ENV" | grep -v '/secrets/')" ''
        assert_equal "$(store_processes | while read -r pid; do grep -lF "$token" "/proc/$pid/cmdline" "/proc/$pid/environ"; done)" ''
    done
}

@test "started by root, nothing of the store runs as root" {
    [[ $EUID -eq 0 ]] || skip "needs root"
    store_start
    local users
    users=$(store_processes | xargs -n 1 ps -o user= -p | sort | uniq -c | awk '{print $2}')
    assert_equal "$users" pygmy
    [[ $(store_processes | wc -l) -ge 10 ]]
    assert_equal "$(find "$PYGMY_STATE_DIR" "$PYGMY_RUN_DIR" -user root)" ''
}

@test "an ordinary user starts, uses and stops a store without root" {
    [[ $EUID -eq 0 ]] || skip "the whole file runs as an ordinary user"
    copy_tree "$store_dir/clone"
    mkdir "$store_dir/home"
    chown -R nobody:nogroup "$store_dir/clone" "$store_dir/home"
    as_nobody() {
        (cd "$store_dir/clone" && setpriv --reuid=nobody --regid=nogroup --clear-groups env -i PATH=/usr/bin:/bin HOME="$store_dir/home" \
            PYGMY_PORT_FRONTEND="$PYGMY_PORT_FRONTEND" PYGMY_PORT_CATALOG_A="$PYGMY_PORT_CATALOG_A" \
            PYGMY_PORT_CATALOG_B="$PYGMY_PORT_CATALOG_B" PYGMY_PORT_ORDER_A="$PYGMY_PORT_ORDER_A" \
            PYGMY_PORT_ORDER_B="$PYGMY_PORT_ORDER_B" "$@" 3>&- </dev/null)
    }
    run as_nobody client/store.sh start
    assert_equal "$status" 0 "$output"
    run as_nobody .build/release/bin/pygmy buy 1
    assert_equal "$status" 0 "$output"
    assert_equal "$(as_nobody client/store.sh status --json | jq -r .status)" up
    as_nobody client/store.sh stop
    as_nobody client/store.sh reset
    assert_equal "$(find "$store_dir/home/.local/state/pygmy" -mindepth 1)" ''
}

@test "a folder that holds other things is neither used nor deleted" {
    mkdir "$PYGMY_STATE_DIR"
    echo precious >"$PYGMY_STATE_DIR/thesis"
    [[ $EUID -ne 0 ]] || chown -R pygmy:pygmy "$PYGMY_STATE_DIR"
    run store start
    assert_equal "$status" 1 "$output"
    assert_contains "$output" "holds other things"
    run store reset
    assert_equal "$(cat "$PYGMY_STATE_DIR/thesis")" precious
}

@test "wrong words and wrong settings are told as such" {
    run store dance
    assert_equal "$status" 2 "$output"
    run store status --xml
    assert_equal "$status" 2 "$output"
    PYGMY_PORT_ORDER_A=70000 run store start
    assert_equal "$status" 2 "$output"
    assert_contains "$output" PYGMY_PORT_ORDER_A
    PYGMY_PORT_ORDER_A=$PYGMY_PORT_ORDER_B run store start
    assert_equal "$status" 2 "$output"
    PYGMY_RUN_DIR=/tmp/$(printf 'x%.0s' {1..100}) run store start
    assert_equal "$status" 2 "$output"
    assert_contains "$output" "too long"
    PYGMY_CONFIG=$store_dir/none run store start
    assert_equal "$status" 2 "$output"
    run store --help
    assert_equal "$status" 0
    assert_contains "$output" "status [--json]"
}

@test "settings come from the environment, then from PYGMY_CONFIG, then from the defaults" {
    printf 'PYGMY_LEASE_MS="1500"\nPYGMY_THREADS=8\nOTHER=1\nPYGMY_LOG_LEVEL='"'debug'"'\n' >"$store_dir/config"
    PYGMY_THREADS=9 PYGMY_CONFIG=$store_dir/config run store env
    assert_equal "$status" 0 "$output"
    assert_contains "$output" 'PYGMY_LEASE_MS="1500"'
    assert_contains "$output" 'PYGMY_THREADS="9"'
    assert_contains "$output" 'PYGMY_LOG_LEVEL="debug"'
    assert_contains "$output" 'PYGMY_LISTEN="127.0.0.1"'
}

@test "logs shows the end of every log" {
    run store logs
    assert_equal "$status" 0 "$output"
    store_start
    run store logs -n 3
    assert_equal "$status" 0 "$output"
    assert_contains "$output" "==> catalog-A.log <=="
    assert_contains "$output" "==> nginx-error.log <=="
}
