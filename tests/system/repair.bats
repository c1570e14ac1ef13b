#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2016,SC2153
# Stores that are only half alive, and starts that fail: what client/store.sh finds, ends and starts again.

load helpers

setup() { store_setup; }
teardown() {
    if [[ -n ${bystander:-} ]]; then kill "$bystander"; fi
    # A start that still goes on would outlive the test.
    if [[ -n ${other_start:-} ]]; then wait "$other_start" || echo "the other start failed"; fi
    store_teardown
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
    other_start=$!
    run store start
    assert_equal "$status" 0 "$output"
    wait "$other_start" || { cat "$store_dir/first" && return 1; }
    assert_equal "$(store_processes | xargs -n 1 ps -o comm= -p | grep -cE '^(catalog|order)$')" 4
    assert_contains "$output$(cat "$store_dir/first")" "runs already"
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
