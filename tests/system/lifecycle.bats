#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2016,SC2153
# Starting, stopping, showing and forgetting a store: what client/store.sh promises.

load helpers

setup() { store_setup; }
teardown() { store_teardown; }

records() { cat "$PYGMY_RUN_DIR"/*.process; }

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
