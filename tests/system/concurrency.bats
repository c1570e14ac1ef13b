#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031
# Many buyers at once: nothing is sold that is not there, and nothing twice.

load helpers
load shared_store

setup_file() { shared_store_setup; }
teardown() { shared_store_check; }
teardown_file() { shared_store_teardown; }

@test "1,000 simultaneous buys of an item with 100 left: exactly 100 orders, count 0, 900 refusals" {
    storm --url "$frontend/buy" --item 1 --requests 1000 --connections 1000
    cat "$store_dir/report"
    assert_equal "$(report '.outcomes')" '{"ok":100,"sold_out":900}'
    assert_equal "$(report '[.failed_tries, .lost]')" '[{},0]'
    assert_equal "$(item_count 1) $(order_count 1)" '0 100'
    assert_equal "$(sql 'SELECT count(*) FROM orders WHERE item_id = 1')" 100
    http GET "$frontend/lookup?id=1"
    assert_equal "$(json '.item[0].count')" 0
    assert_books_balance
}

@test "each of 1,000 requests sent twice at once under its key, to different workers: still exactly 100" {
    storm --url "$order_a/buy" --url "$order_b/buy" --item 2 --requests 1000 --copies 2 --connections 1000 --acks "$store_dir/acks"
    cat "$store_dir/report"
    assert_equal "$(report '.outcomes')" '{"ok":200,"sold_out":1800}'
    assert_equal "$(report '[.failed_tries, .lost, .different]')" '[{},0,0]'
    assert_equal "$(sort -u "$store_dir/acks" | wc -l)" 100
    assert_equal "$(item_count 2) $(order_count 2)" '0 100'
    assert_books_balance
}

@test "buys of several at a time never overshoot: what is left is less than what was asked for" {
    storm --url "$frontend/buy" --url "$order_a/buy" --url "$order_b/buy" --item 3 --quantity 7 --requests 200 --connections 200
    cat "$store_dir/report"
    assert_equal "$(report '.outcomes')" '{"insufficient_stock":186,"ok":14}'
    assert_equal "$(report '[.failed_tries, .lost]')" '[{},0]'
    assert_equal "$(item_count 3) $(order_count 3)" '2 98'
    assert_books_balance
}

@test "buyers while the administrator restocks: what was added is sold, no more" {
    local n
    storm --url "$frontend/buy" --item 4 --requests 1500 --connections 50 &
    local buying=$!
    for n in {1..20}; do
        admin PUT "$catalog_a/item/4" '{"delta":10}' -H "Idempotency-Key: restock-$n"
        assert_equal "$code" 201
    done
    wait "$buying"
    cat "$store_dir/report"
    assert_equal "$(report '[.failed_tries, .lost]')" '[{},0]'
    assert_equal $(($(item_count 4) + $(order_count 4))) 300
    assert_equal "$(report .acknowledged)" "$(order_count 4)"
    assert_books_balance
}
