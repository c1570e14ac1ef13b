#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2034,SC2086,SC2046
# The frontend's cache: what nginx answers alone, and that it never answers with something older than an acknowledged write.

load helpers
load shared_store

topic1='/search?topic=distributed%20systems'
topic2='/search?topic=graduate%20school'

setup_file() { shared_store_setup; }
teardown() {
    if [[ -n ${stopped:-} ]]; then kill -CONT $stopped 2>/dev/null || :; fi
    if [[ -n ${load:-} ]] && kill -0 "$load" 2>/dev/null; then kill "$load"; fi
    shared_store_check
}
teardown_file() { shared_store_teardown; }

catalog_pids() { worker_pid catalog-A && worker_pid catalog-B; }
worker_pids() { catalog_pids && worker_pid order-A && worker_pid order-B; }
nginx_pids() { supervisor_pid nginx && ps -o pid= --ppid "$(supervisor_pid nginx)"; }

# Puts the answer of a path into the cache, for which the frontend must hold its lease.
warmed() { wait_until 5 warm "$1" >/dev/null || warm "$1"; }

# What the cache's lease is: lease .leased
lease() { curl --silent --max-time 2 --unix-socket "$PYGMY_RUN_DIR/frontend.sock" http://frontend/coherence/status | jq -r "$1"; }

# Starts coherence_check in the background; its words are appended.
checking() {
    began_at=$(position)
    coherence_check "$@" >"$store_dir/check" 2>&1 &
    load=$!
}

# Waits for it. It must have found nothing, and have had work: assert_coherent <reads at least> <writes at least>
assert_coherent() {
    local code=0
    wait "$load" || code=$?
    cat "$store_dir/check"
    assert_equal "$code $(report '[.verdict, .violations, .unexpected, .writes_given_up]')" '0 ["coherent",0,0,0]'
    [[ $(report .reads) -ge $1 && $(report .writes) -ge $2 ]] || { echo 'too little was tried' && return 1; }
}

@test "Cache-Status tells a miss from a hit, and what goes past the cache" {
    warmed '/lookup?id=6'
    admin PUT "$catalog_a/item/6" '{"delta":-1}'
    http GET "$frontend/lookup?id=6"
    assert_equal "$(header Cache-Status)" 'pygmy; fwd=uri-miss'
    http GET "$frontend/lookup?id=6"
    assert_equal "$(header Cache-Status)" 'pygmy; hit'
    http GET "$frontend/lookup?id=6" -H 'X-Pygmy-Consistency: strict'
    assert_equal "$code $(header Cache-Status)" '200 pygmy; fwd=bypass'
    http GET "$frontend/lookup?id=6" -H 'X-Pygmy-Min-Revision: 1'
    assert_equal "$code $(header Cache-Status)" '200 pygmy; fwd=bypass'
    # Two ways to write the same request are one entry.
    warmed "$topic1"
    assert_cached 'hit 200' '/search?topic=distributed+systems'
    assert_cached 'hit 200' '/search?topic=%64istributed+systems'
    # Errors but the unknown item's are never kept.
    assert_cached 'miss 400' '/lookup?id=x'
    assert_cached 'miss 400' '/lookup?id=x'
    assert_cached 'miss 400' '/search?topic='
    assert_cached 'miss 400' '/search?topic='
    # What was bought, nobody else gets.
    http POST "$frontend/buy?id=6"
    is_hit && return 1
    assert_equal "$(header Cache-Control)" no-cache
}

@test "hits are answered by nginx alone, with every worker stopped" {
    warmed '/lookup?id=3'
    warmed "$topic2"
    stopped=$(worker_pids)
    kill -STOP $stopped
    assert_cached 'hit 200' '/lookup?id=3'
    assert_cached 'hit 200' "$topic2"
    assert_cached 'hit 200' '/lookup?id=3'
    http GET "$frontend/lookup?id=3" -H "If-None-Match: $(header ETag)"
    assert_equal "$code" 304
    kill -CONT $stopped
    stopped=
}

@test "each kind of write is seen by the next read, and only what it changed is fetched again" {
    local id path revision
    everything_else() { for path in "$@"; do assert_cached 'hit 200' "$path"; done; }
    for path in '/lookup?id='{1..7} "$topic1" "$topic2"; do warmed "$path"; done
    # A purchase, on each way.
    for path in "$frontend/buy?id=1" "$order_a/buy/1" "$order_b/buy/1"; do
        id=$(item_count 1)
        http POST "$path"
        assert_equal "$code" 200
        assert_cached 'miss 200' '/lookup?id=1'
        assert_equal "$(json '.item[0].count')" "$((id - 1))"
        assert_cached 'miss 200' "$topic1"
        assert_equal "$(json '.item[0].count')" "$((id - 1))"
        everything_else '/lookup?id='{1..7} "$topic1" "$topic2"
    done
    # A change of the price and of the stock.
    admin PUT "$catalog_a/item/4" '{"cost":8.25}'
    assert_cached 'miss 200' '/lookup?id=4'
    assert_equal "$(json '.item[0].cost')" '8.25'
    assert_cached 'miss 200' "$topic2"
    assert_equal "$(json '.item[1].cost')" '8.25'
    everything_else '/lookup?id='{1..7} "$topic1" "$topic2"
    admin PUT "$catalog_b/item/4" '{"count":7}'
    assert_cached 'miss 200' '/lookup?id=4'
    assert_equal "$(json '.item[0].count')" '7'
    everything_else '/lookup?id='{1..7} "$topic1"
    peer PUT "$catalog_a/item/propagate/4" '{"delta":3}' -H "Idempotency-Key: $RANDOM$RANDOM"
    assert_cached 'miss 200' '/lookup?id=4'
    assert_equal "$(json '.item[0].count')" '10'
    # A refused purchase changes nothing.
    http POST "$frontend/buy?id=4&quantity=1000"
    assert_equal "$code" 404
    warmed "$topic2"
    everything_else '/lookup?id='{1..7} "$topic1" "$topic2"
}

@test "a cached 404 and a cached empty list end with the item's creation, and come back with its end" {
    local id
    id=$(($(sql 'SELECT max(id) FROM items') + 1))
    assert_cached 'miss 404' "/lookup?id=$id"
    assert_cached 'hit 404' "/lookup?id=$id"
    assert_cached 'miss 200' '/search?topic=new'
    assert_cached 'hit 200' '/search?topic=new'
    assert_equal "$(json .item)" '[]'
    warmed '/lookup?id=5'
    admin POST "$catalog_a/item" '{"title":"New","topic":"new","cost":1,"count":5}'
    assert_equal "$code $(json '.item[0].id')" "201 $id"
    assert_cached 'miss 200' "/lookup?id=$id"
    assert_equal "$(json '.item[0].title')" 'New'
    assert_cached 'miss 200' '/search?topic=new'
    assert_equal "$(json '.item | length')" '1'
    assert_cached 'hit 200' "/lookup?id=$id"
    assert_cached 'hit 200' '/lookup?id=5'
    admin DELETE "$catalog_b/item/$id"
    assert_equal "$code" 200
    assert_cached 'miss 404' "/lookup?id=$id"
    assert_cached 'hit 404' "/lookup?id=$id"
    assert_cached 'miss 200' '/search?topic=new'
    assert_equal "$(json .item)" '[]'
    assert_cached 'hit 200' '/lookup?id=5'
    admin POST "$catalog_b/item/import" "{\"items\":[{\"id\":$id,\"title\":\"Again\",\"topic\":\"newer\",\"cost\":1,\"count\":5}]}"
    assert_cached 'miss 200' "/lookup?id=$id"
    assert_equal "$(json '.item[0].title')" 'Again'
    assert_cached 'miss 200' '/search?topic=newer'
    assert_equal "$(json '.item | length')" '1'
    # It moves to another topic: both lists change.
    warmed '/search?topic=newer'
    warmed '/search?topic=new'
    admin POST "$catalog_b/item/import" "{\"items\":[{\"id\":$id,\"title\":\"Again\",\"topic\":\"new\",\"cost\":1,\"count\":5}]}"
    http GET "$frontend/search?topic=newer"
    assert_equal "$(json .item)" '[]'
    http GET "$frontend/search?topic=new"
    assert_equal "$(json '.item | length')" 1
}

@test "a repeated answer acknowledges as much as the first" {
    warmed '/lookup?id=7'
    local n
    n=$(item_count 7)
    http POST "$order_a/buy/7" -H 'Idempotency-Key: repeated-purchase'
    http POST "$order_b/buy/7" -H 'Idempotency-Key: repeated-purchase'
    http GET "$frontend/lookup?id=7"
    assert_equal "$(json '.item[0].count')" $((n - 1))
}

@test "slow fills race with writes: workers stopped and continued at random; no read misses an acknowledged write" {
    local pid words=()
    for pid in $(worker_pids); do words+=(--pause-pid "$pid"); done
    checking --seconds 5 --readers 6 --writers 3 --things 9 --rest-ms 20 "${words[@]}"
    assert_coherent 1000 50
    assert_equal "$(report .read_failures)" 0
    [[ $(report .hits) -gt 200 && $(report .pauses) -gt 15 ]]
}

@test "at full speed: no read misses an acknowledged write, and most reads are hits" {
    checking --seconds 3 --readers 8 --writers 2 --things 24 --rest-ms 30
    assert_coherent 2000 50
    assert_equal "$(report '[.read_failures, .write_retries]')" '[0,0]'
    [[ $(report '.hit_ratio * 100 | floor') -ge 40 ]]
}

@test "reloads and a killed nginx worker in between: still nothing old" {
    expect_deaths
    local n master
    master=$(supervisor_pid nginx)
    checking --seconds 4 --readers 6 --writers 3 --things 9
    for n in 1 2 3; do
        kill -HUP "$master"
        sleep "0.$((RANDOM % 10))" # a random moment, not a wait
        kill -9 "$(ps -o pid= --ppid "$master" | shuf -n 1)"
        sleep "0.$((RANDOM % 10))"
    done
    assert_coherent 1000 50
}

@test "nginx killed and started again in between: still nothing old, and the cache fills again" {
    expect_deaths
    checking --seconds 4 --readers 6 --writers 3 --things 9
    wait_until 5 writes_are_under_way
    kill -9 $(nginx_pids)
    store start
    assert_coherent 500 20
    warmed '/lookup?id=2'
}

position() { sql 'SELECT log_index FROM store'; }
writes_are_under_way() { [[ $(position) -gt $((began_at + 20)) ]]; }

@test "nginx stopped for longer than its lease, and continued: what it held is not served" {
    checking --seconds 7 --readers 6 --writers 3 --things 9
    wait_until 5 writes_are_under_way
    stopped=$(nginx_pids)
    kill -STOP $stopped
    sleep 3 # this is the fault, not a wait for something
    kill -CONT $stopped
    # And a single one of nginx's workers: the others go on.
    stopped=$(ps -o pid= --ppid "$(supervisor_pid nginx)" | head -n 1)
    kill -STOP $stopped
    sleep 2.2
    kill -CONT $stopped
    stopped=
    assert_coherent 500 20
}

@test "no lease, no hit: with the catalog workers stopped cached answers end, and come back fresh" {
    local n
    served_from_cache() { local how=; how=$(curl --silent --max-time 0.6 --dump-header - --output /dev/null "$frontend/lookup?id=2") && [[ $how == *'; hit'* ]]; }
    not_served() { ! served_from_cache; }
    warmed '/lookup?id=2'
    n=$(item_count 2)
    stopped=$(catalog_pids)
    kill -STOP $stopped
    served_from_cache
    wait_until 4 not_served
    http POST "$frontend/buy?id=2"
    assert_equal "$code" 200
    not_served
    kill -CONT $stopped
    stopped=
    http GET "$frontend/lookup?id=2"
    assert_equal "$code $(json '.item[0].count')" "200 $((n - 1))"
    warmed '/lookup?id=2'
    assert_equal "$(lease .leased)" true
}

@test "pushes that never arrive: writes wait out the lease, and nothing is old" {
    store_stop
    PYGMY_LEASE_MS=600 PYGMY_FRONTENDS="unix:$store_dir/nobody.sock" store_start
    shared_store_names
    warmed '/lookup?id=2'
    local started=${EPOCHREALTIME/[.,]/}
    http POST "$frontend/buy?id=2"
    assert_equal "$code" 200
    [[ $((${EPOCHREALTIME/[.,]/} - started)) -ge 550000 ]] || { echo 'it did not wait' && return 1; }
    assert_cached 'miss 200' '/lookup?id=2'
    checking --seconds 4 --readers 6 --writers 8 --things 24
    assert_coherent 1000 20
    [[ $(report .hits) -gt 100 ]]
    http GET "$order_a/metrics"
    [[ $(sed -n 's/^pygmy_push_lapses_total //p' <<<"$body") -gt 0 ]]
}
