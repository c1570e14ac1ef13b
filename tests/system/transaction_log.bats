#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031
# The order workers' transaction logs: a line per purchase or refusal, and what happens when a log has become large.

load helpers
load shared_store

setup_file() { shared_store_setup; }
teardown() { shared_store_check; }
teardown_file() { shared_store_teardown; }

log_of() { printf '%s/logs/order-%s.transactions.log' "$PYGMY_STATE_DIR" "$1"; }

# The last line of a log, without its time, which must be from the last minute, and without its trace, which must be one.
last_line() {
    local line time
    line=$(tail -n 1 "$(log_of "$1")")
    time=${line%% *}
    [[ $time =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$ ]] || { echo "no time: $line" && return 1; }
    local age=$(($(date +%s) - $(date -d "$time" +%s)))
    ((age >= -1 && age <= 60)) || { echo "not from now: $line" && return 1; }
    [[ $line =~ \ trace=[0-9a-f]{32}$ ]] || { echo "no trace: $line" && return 1; }
    line=${line% trace=*}
    printf '%s' "${line#* }"
}

@test "a line per purchase, refusal and repetition, on the worker that decided" {
    http POST "$order_a/buy/2?quantity=3" -H 'Idempotency-Key: log-1'
    assert_equal "$(last_line A)" "key=log-1 item=2 quantity=3 result=ok order=$(json .order.id) repeated=no"
    http POST "$order_b/buy/2?quantity=3" -H 'Idempotency-Key: log-1'
    assert_equal "$(last_line B)" "key=log-1 item=2 quantity=3 result=ok order=$(json .order.id) repeated=yes"
    http POST "$order_b/buy/2?quantity=4" -H 'Idempotency-Key: log-1'
    assert_equal "$(last_line B)" 'key=log-1 item=2 quantity=4 result=key_reused order=- repeated=no'
    http GET "$order_a/buy/98765" -H 'Idempotency-Key: log-2'
    assert_equal "$(last_line A)" 'key=log-2 item=98765 quantity=1 result=item_not_found order=- repeated=no'
    http POST "$order_b/buy/2?quantity=1000" -H 'Idempotency-Key: log-3'
    assert_equal "$(last_line B)" 'key=log-3 item=2 quantity=1000 result=insufficient_stock order=- repeated=no'
    admin PUT "$catalog_a/item/2" '{"count":0}'
    http POST "$order_a/buy/2" -H 'Idempotency-Key: log-4'
    assert_equal "$(last_line A)" 'key=log-4 item=2 quantity=1 result=sold_out order=- repeated=no'
    peer PUT "$order_a/update" '{"item_id":3,"quantity":2}' -H 'Idempotency-Key: log-5'
    assert_equal "$(last_line A)" "key=log-5 item=3 quantity=2 result=ok order=$(sql 'SELECT max(id) FROM orders') repeated=no"
    # Without a key, the line names the one that nginx made.
    http POST "$order_b/buy/3"
    assert_equal "$(last_line B)" "key=$(header X-Pygmy-Request-Key) item=3 quantity=1 result=ok order=$(json .order.id) repeated=no"
    # What was not understood is no transaction.
    local before
    before=$(cat "$(log_of A)" "$(log_of B)" | wc -l)
    http POST "$order_a/buy/x"
    http POST "$order_b/buy/1?quantity=0"
    assert_equal "$(cat "$(log_of A)" "$(log_of B)" | wc -l)" "$before"
}

@test "many buyers at once: as many whole lines as answers, each order in one" {
    local before
    before=$(cat "$(log_of A)" "$(log_of B)" | wc -l)
    admin PUT "$catalog_a/item/4" '{"count":700}'
    storm --url "$frontend/buy" --url "$order_b/buy" --item 4 --requests 1000 --connections 60
    assert_equal "$(report .outcomes)" '{"ok":700,"sold_out":300}'
    assert_equal "$(($(cat "$(log_of A)" "$(log_of B)" | wc -l) - before))" 1000
    assert_equal "$(cat "$(log_of A)" "$(log_of B)" | grep -cvE '^[0-9T:.Z-]{24} key=[A-Za-z0-9._:-]+ item=[0-9]+ quantity=[0-9]+ result=[a-z_]+ order=([0-9]+|-) repeated=(yes|no) trace=[0-9a-f]{32}$')" 0
    assert_equal "$(cat "$(log_of A)" "$(log_of B)" | sed -nE 's/.* item=4 .* result=ok order=([0-9]+) repeated=no trace=.*$/\1/p' | sort -n)" \
        "$(sql 'SELECT id FROM orders WHERE item_id = 4 ORDER BY id')"
    # Each of the two had its part: the frontend's purchases go to one of them.
    [[ $(grep -c 'item=4 ' "$(log_of A)") -gt 200 && $(grep -c 'item=4 ' "$(log_of B)") -gt 200 ]]
}

@test "past 8 MiB a log is put aside, the last five are kept, and no line is lost" {
    local log n
    log=$(log_of A)
    store_stop
    yes "2026-01-31T12:00:00.123Z key=old item=1 quantity=1 result=ok order=1 repeated=no" | head -c 8388600 >"$store_dir/large" || :
    cat "$store_dir/large" >"$log"
    for n in 1 2 3 4; do
        printf 'part %d\n' "$n" >"$log.$n"
        chown --reference="$log" "$log.$n"
    done
    store_start
    shared_store_names
    for n in {1..5}; do http POST "$order_a/buy/5" -H "Idempotency-Key: rotate-$n"; done
    assert_equal "$(head -n 1 "$log.2") $(head -n 1 "$log.3") $(head -n 1 "$log.4")" 'part 1 part 2 part 3'
    [[ ! -e $log.5 ]]
    # The log ended in the middle of a line, as after a power cut: the new lines are whole all the same.
    assert_equal "$(cat "$log.1" "$log" | grep -cE '^[0-9T:.Z-]{24} key=rotate-[1-5] item=5 quantity=1 result=ok order=[0-9]+ repeated=no trace=[0-9a-f]{32}$')" 5
    [[ $(stat -c %s "$log.1") -ge 8388600 && $(stat -c %s "$log") -lt 1000 && $(stat -c %s "$log") -gt 50 ]]
    assert_equal "$(stat -c %a "$log")" 600
}

@test "a log that cannot be written costs lines, not purchases, and readyz?verbose says so" {
    local log before
    log=$(log_of B)
    [[ $EUID -eq 0 ]] || skip 'needs root: the log is made unwritable for its owner'
    chattr +i "$log" 2>/dev/null || skip 'the file system of /tmp has no immutable files'
    store_restart_b() { kill -TERM "$(worker_pid order-B)"; }
    before=$(sql 'SELECT count(*) FROM orders')
    expect_deaths
    store_restart_b
    comes_back() { http GET "$order_b/readyz" && [[ $code == 200 ]]; }
    wait_until 5 comes_back
    http POST "$order_b/buy/6"
    local bought=$code
    http GET "$order_b/readyz?verbose"
    local verbose=$body
    chattr -i "$log"
    assert_equal "$bought $(sql 'SELECT count(*) FROM orders')" "200 $((before + 1))"
    assert_equal "$(jq -c '.checks[] | select(.name == "transaction_log") | .ok' <<<"$verbose")" false
    http POST "$order_b/buy/6" -H 'Idempotency-Key: again'
    assert_contains "$(last_line B)" 'key=again item=6'
}
