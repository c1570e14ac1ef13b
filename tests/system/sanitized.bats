#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2034
# The workers under AddressSanitizer and UndefinedBehaviorSanitizer (or SAN=thread): many requests at once, and workers that
# die. (tests/run.sh also runs other files with such workers.) What a sanitizer reports, also at the end, fails the test that finds it in a log.

: "${SAN:=address}"
load helpers
load shared_store

setup_file() { shared_store_setup; }
teardown() {
    if [[ -n ${load:-} ]] && kill -0 "$load" 2>/dev/null; then kill "$load"; fi
    shared_store_check
}
teardown_file() { shared_store_teardown; }

@test "the workers are built with the sanitizer" {
    local name
    for name in catalog-A order-B; do
        grep -qE 'lib(a|t)san' "/proc/$(worker_pid "$name")/maps" || { echo "$name is not" && return 1; }
    done
}

@test "readers, writers and buyers at once, while a worker of each kind is killed" {
    expect_deaths
    admin PUT "$catalog_a/item/1" '{"count":300}'
    coherence_check --seconds 4 --readers 4 --writers 3 --things 12 >"$store_dir/check" 2>&1 &
    load=$!
    tool storm --url "$frontend/buy" --item 1 --requests 600 --connections 60 --copies 2 >"$store_dir/storm"
    kill_worker catalog-A
    kill_worker order-B
    wait "$load" || { cat "$store_dir/check" && return 1; }
    assert_equal "$(report '[.verdict, .read_failures, .writes_given_up]')" '["coherent",0,0]'
    assert_equal "$(jq -c '[.outcomes, .lost, .different]' "$store_dir/storm")" '[{"ok":600,"sold_out":600},0,0]'
    assert_books_balance
}
