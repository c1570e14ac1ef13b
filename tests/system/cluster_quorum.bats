#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2034
# etcd without a majority, without space, and with a long log: the store says what it can't do, goes on reading, and is well again by
# itself.

load helpers
load cluster

# etcd with the words in $store_dir/etcd.options behind those that the cluster gives it.
setup_file() {
    cluster_setup
    cat >"$store_dir/bin/etcd" <<TEXT
#!/bin/bash
exec $(command -v etcd) "\$@" \$(cat $store_dir/etcd.options)
TEXT
    chmod 0755 "$store_dir/bin/etcd"
    : >"$store_dir/etcd.options"
    chmod 0644 "$store_dir/etcd.options"
    export PATH=$store_dir/bin:$PATH
    cluster_start
}
setup() { cluster_names; }
teardown() { cluster_check; }
teardown_file() { cluster_teardown; }

# Prints the pids of all workers, to see that nobody was restarted.
workers() { for node in "${nodes[@]}"; do worker_of "catalog-$node" && echo && worker_of "order-$node" && echo; done; }

# A try without an answer may have been a purchase: the next one asks for the same.
waits=$RANDOM$RANDOM
can_buy() { buy "${items[0]}" '' "can-buy-$waits" >/dev/null && waits=$((waits + 1)); }

@test "quorum lost: purchases answer 503 within 2 s, reads go on and say how old they are; it returns, and all is well" {
    local pids took i
    pids=$(workers)
    traffic_begin --settle-seconds 60
    sleep 1
    cluster kill etcd-B etcd-C
    # What is asked now finds no quorum: at once or when etcd's own patience is over, never later than 2 s.
    for i in 1 2 3 4 5 6 7 8; do
        took=$(now_ms)
        http POST "$frontend/buy?id=${items[0]}" -H "Idempotency-Key: no-quorum-$waits-$i"
        took=$(($(now_ms) - took))
        echo "$code in $took ms: $body"
        [[ $took -lt 2300 ]]
        assert_equal "$code" 503
        [[ $(header Retry-After) -ge 1 ]]
        assert_contains 'no_quorum outcome_unknown' "$(json .code)"
        sleep 0.3
    done
    assert_equal "$(json .code)" no_quorum 'soon nobody sends what must fail'
    http GET "$frontend/lookup?id=${items[1]}"
    assert_equal "$code" 200
    [[ $(header X-Pygmy-Stale-Ms) -gt 1000 ]]
    assert_lacks "$(header Cache-Status)" '; hit'
    http GET "$frontend/search?topic=traffic"
    assert_equal "$code $(json '.item | length')" "200 $cluster_items"
    [[ $(header X-Pygmy-Stale-Ms) -gt 1000 ]]
    # On a node's own port, too, when it is allowed; else it says that it can't know.
    http GET "${catalog_of[A]}/lookup?id=${items[1]}"
    assert_equal "$code" 503
    http GET "${catalog_of[A]}/lookup?id=${items[1]}" -H 'X-Pygmy-Allow-Stale: 1'
    assert_equal "$code" 200
    [[ $(header X-Pygmy-Stale-Ms) -gt 1000 ]]
    cluster start --no-wait etcd-B etcd-C
    # Whatever became of those: asked again, each is one order.
    for i in 1 2 3 4 5 6 7 8; do wait_until 15 buy "${items[0]}" '' "no-quorum-$waits-$i"; done
    http GET "$frontend/lookup?id=${items[1]}"
    assert_equal "$code $(header X-Pygmy-Stale-Ms)" '200 '
    traffic_end
    no_read_failed
    [[ $(report .reads.stale) -gt 0 ]]
    [[ $(report .reads.longest_stall_ms) -lt 3000 ]]
    assert_equal "$(report '[.writes.failures | keys[] | select(. != "no_quorum" and . != "outcome_unknown")]')" '[]'
    assert_equal "$(workers)" "$pids" 'somebody was restarted'
    whole
    replicas_are_same
}

now_ms() { local t=$EPOCHREALTIME && echo $((${t/[.,]/} / 1000)); }

etcd_alarms() { ask "${etcd_of[A]}/v3/maintenance/alarm" --data '{"action":"GET"}' | jq -c '[.alarms[]?.alarm]'; }
etcd_db_bytes() { ask "${etcd_of[$1]}/v3/maintenance/status" --data '{}' | jq -r '.dbSize | tonumber'; }
has_alarm() { [[ $(etcd_alarms) == *NOSPACE* ]]; }
has_no_alarm() { [[ $(etcd_alarms) == '[]' ]]; }
restart_etcd() { cluster stop etcd-A etcd-B etcd-C && cluster start etcd-A etcd-B etcd-C; }

# Something else fills etcd: key $1 gets values of 1 MiB until it is full.
fill_etcd() {
    local i
    head -c 1000000 /dev/urandom | base64 -w 0 >"$store_dir/megabyte"
    printf '{"key":"%s","value":"%s"}' "$(printf %s "$1" | base64)" "$(cat "$store_dir/megabyte")" >"$store_dir/put"
    for ((i = 0; i < 40; i++)); do
        if has_alarm; then return; fi
        ask "${etcd_of[A]}/v3/kv/put" --data-binary "@$store_dir/put" >/dev/null
    done
    has_alarm
}

@test "etcd runs out of space: purchases answer 503, reads go on, and the alarm clears itself" {
    printf -- '--quota-backend-bytes 16777216\n' >"$store_dir/etcd.options"
    restart_etcd
    wait_until 15 can_buy
    traffic_begin --settle-seconds 90
    fill_etcd /other
    wait_until 60 has_no_alarm
    wait_until 15 can_buy
    traffic_end
    no_read_failed
    echo "etcd's database: $(etcd_db_bytes A) bytes"
    : >"$store_dir/etcd.options"
    restart_etcd
    whole
    replicas_are_same
}

# One purchase after the other on each of a few connections, so that there are many batches.
@test "the log's growth: etcd's database stays below 64 MB while batch after batch comes" {
    local batches=${CLUSTER_TEST_BATCHES:-6000} before at node words=() item
    before=$(status_of A .worker.revision)
    for item in "${items[@]}"; do words+=(--item "$item"); done
    for node in A B C; do words+=(--buy-url "${order_of[$node]}"); done
    traffic_begin --buy-url "${order_of[A]}" --buy-url "${order_of[B]}" --buy-url "${order_of[C]}" --rate 0 --connections 3 --keepalive 1 \
        --seconds 3600 --verify 0
    log_is_longer() { at=$(status_of A .worker.revision) && [[ $((at - before)) -ge $batches ]]; }
    wait_until $((60 + batches / 100)) log_is_longer
    traffic_end
    no_request_failed
    for node in A B C; do
        echo "after $((at - before)) batches: etcd $node $(etcd_db_bytes "$node") bytes, folder $(du -sm "$PYGMY_STATE_DIR/$node/etcd" | cut -f 1) MB"
        [[ $(etcd_db_bytes "$node") -lt $((64 * 1024 * 1024)) ]]
    done | tee /dev/fd/3
    replicas_are_same
}
