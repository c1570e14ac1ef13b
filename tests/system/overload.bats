#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2034
# Several times more purchases than the store can make: it makes as many as ever, says so early to the others, keeps nobody waiting, and
# is as before when it is over. Nothing is said of times but by comparison.

load helpers
load shared_store

# Each commit takes 100 ms, and each order worker has two threads: so the store, not the machine, is the limit.
setup() {
    store_setup
    mkdir -m 0755 "$store_dir/bin"
    cat >"$store_dir/bin/multiwatch" <<TEXT
#!/bin/bash
if [[ \${PYGMY_NAME:-} == order-* ]]; then export LD_PRELOAD=$store_dir/bin/slow_sync.so SLOW_SYNC_MS=100; fi
exec $(command -v multiwatch) "\$@"
TEXT
    install -m 0755 "$tree/.build/release/preload/slow_sync.so" "$store_dir/bin/"
    chmod 0755 "$store_dir/bin/multiwatch"
    export PATH=$store_dir/bin:$PATH PYGMY_THREADS=2
    store_start
    http PUT "$catalog_a/item/1" --header "Authorization: Bearer $(admin_token)" --json '{"count":1000000}'
    assert_equal "$code" 201
}
teardown() {
    local result=0
    shared_store_check || result=1
    store_teardown || result=1
    return "$result"
}

# pygmy-load into $store_dir/report: offer <words>. nginx lets nobody wait for longer than 8.5 s.
offer() { "$tree/.build/release/bin/pygmy-load" --url "$frontend" --mix buy=1 --timeout-ms 9000 "$@" >"$store_dir/report" 3>&- </dev/null; }
bought() { report '.operations.buy.ends.done'; }
rejected() { curl -s "$1/metrics" | sed -n 's/^pygmy_rejected_total{reason="overloaded"} //p'; }

@test "overload: purchases go on at full speed, the others are refused early, nobody waits long, and nothing piles up" {
    local capacity rate made told failed
    offer --connections 4 --seconds 4
    assert_equal "$(report .failures)" 0
    capacity=$(($(bought) / 4))
    # Eight times as much for ten seconds, whatever the answers are.
    rate=$((8 * capacity))
    offer --rate "$rate" --connections 400 --seconds 10 --acks "$store_dir/acks"
    made=$(bought)
    told=$(report '.operations.buy.ends.overloaded') failed=$(report '.operations.buy.ends.server_error')
    # Whoever was not served was told so, and that nothing was done. (A worker whose turn with the slow disk does not come may leave few in doubt.)
    assert_equal "$(report '[.operations.buy.ends | .rate_limited, .broken, .timeout, .unconnected, .unsent, .refused]')" '[0,0,0,0,0,0]'
    [[ $told -gt $made && $((20 * failed)) -le $((10 * rate)) ]]
    # As much is done as without the others; (one machine does all of it here, so not quite).
    [[ $made -ge $((10 * capacity * 6 / 10)) ]]
    # No worker was asked after another one had said that it has no time.
    [[ $(($(rejected "$order_a") + $(rejected "$order_b"))) -ge $told ]]
    [[ $(($(rejected "$order_a") + $(rejected "$order_b"))) -le $((told + failed)) ]]
    assert_equal "$(curl -s "$metrics/metrics" | sed -n 's/^pygmy_frontend_rejected_total{reason="overloaded"} //p')" "$told"
    # Nothing is left of it.
    http POST "$frontend/buy?id=2"
    assert_equal "$code" 200
    offer --connections 4 --seconds 4
    assert_equal "$(report .failures)" 0
    [[ $(bought) -ge $((4 * capacity * 5 / 10)) ]]
    assert_equal "$(sql 'SELECT id FROM orders ORDER BY id' | grep -cxF -f <(cut -d ' ' -f 1 "$store_dir/acks"))" "$made"
    assert_books_balance
}
