#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2034
# What one client may do: so many writes per second, so many connections. And that idle or slow connections, however many, take none from
# purchases, pushes and operators.

load helpers
load shared_store

setup() {
    store_setup
    flood_pid=''
}
teardown() {
    local result=0
    if [[ -n $flood_pid ]]; then kill "$flood_pid" 2>/dev/null || :; fi
    shared_store_check || result=1
    store_teardown || result=1
    return "$result"
}

buy_from() { http POST "$1/buy?id=${4:-1}" --interface "$2" --header "Idempotency-Key: $3" "${@:5}"; }
orders_of() { sql "SELECT count(*) FROM orders WHERE request_key LIKE 'buy/0/$1'"; }
rejected() { curl -s "$metrics/metrics" | sed -n "s/^pygmy_frontend_rejected_total{reason=\"$1\"} //p"; }

# Holds connections until the test ends: flood_begin <words of idle_flood>. All have been opened once when it returns.
flood_begin() {
    "$tree/.build/release/tools/idle_flood" --port "${frontend##*:}" --seconds 120 --ready "$store_dir/ready" "$@" >"$store_dir/flood" 3>&- </dev/null &
    flood_pid=$!
    wait_until 30 test -e "$store_dir/ready"
}
flood_end() {
    kill "$flood_pid"
    wait "$flood_pid"
    flood_pid=''
    cat "$store_dir/flood"
}

@test "writes of one client past its rate are refused with 429, changed nothing, and another client notices nothing" {
    local key before
    export PYGMY_TRUSTED_CLIENTS=none PYGMY_WRITE_RATE=1 PYGMY_WRITE_BURST=20
    store_start
    SECONDS=0
    storm --url "$frontend/buy" --item 1 --requests 200 --connections 20
    # As many as the burst holds, and one for each second that it took.
    [[ $(report .acknowledged) -ge 21 && $(report .acknowledged) -le $((22 + SECONDS)) ]]
    assert_equal "$(report .outcomes.rate_limited)" $((200 - $(report .acknowledged)))
    assert_equal "$(report .lost)" 0
    assert_equal "$(order_count 1)" "$(report .acknowledged)"
    assert_equal "$(rejected rate_limited)" "$(report .outcomes.rate_limited)"

    # Another one has all of its burst; so has everybody who reads.
    for key in {1..20}; do
        buy_from "$frontend" 127.0.0.2 "other-$key" 2
        assert_equal "$code" 200
    done
    for key in {1..40}; do
        http GET "$frontend/lookup?id=2"
        assert_equal "$code" 200
    done

    # What a refusal says is true: nothing was changed, and after Retry-After the same key is taken.
    for key in {1..200}; do
        buy_from "$frontend" 127.0.0.1 "again-$key" 3
        if [[ $code == 429 ]]; then break; fi
    done
    assert_refused 429 rate_limited
    assert_equal "$(header Retry-After) $(header X-Pygmy-Request-Key)" "1 again-$key"
    assert_equal "$(orders_of "again-$key")" 0
    sleep "$(header Retry-After)"
    buy_from "$frontend" 127.0.0.1 "again-$key" 3
    assert_equal "$code" 200
    assert_equal "$(orders_of "again-$key")" 1
    assert_books_balance
}

@test "the workers' own ports have the same limit, for writes only, and not for peers" {
    local key
    export PYGMY_TRUSTED_CLIENTS=none PYGMY_WRITE_RATE=1 PYGMY_WRITE_BURST=5
    store_start
    storm --url "$order_a/buy" --url "$order_b/buy" --url "$frontend/buy" --item 1 --requests 60 --connections 6
    [[ $(report .outcomes.rate_limited) -gt 0 ]]
    assert_equal "$(order_count 1)" "$(report .acknowledged)"
    # (A second may have passed meanwhile, so more than one.)
    for key in 1 2 3 4 5 6 7 8 9 10; do
        http PUT "$catalog_b/item/2" --header "Authorization: Bearer $(admin_token)" --json '{"delta":1}'
        if [[ $code == 429 ]]; then break; fi
    done
    assert_refused 429 rate_limited
    for key in {1..10}; do
        http GET "$catalog_a/item/2"
        assert_equal "$code" 200
        http PUT "$order_a/update" --header "Authorization: Bearer $(peer_token)" --header "Idempotency-Key: peer-$key" --json '{"item_id":4}'
        assert_equal "$code" 201
        http PUT "$order_a/update" --header "Idempotency-Key: stranger-$key" --json '{"item_id":4}'
        assert_refused 401 unauthorized
    done
}

@test "who is one client: the address that a trusted proxy names, an IPv6 network, and never what a stranger says" {
    local key
    export PYGMY_TRUSTED_CLIENTS=127.0.0.9 PYGMY_TRUSTED_PROXIES=127.0.0.5/32 PYGMY_WRITE_RATE=1 PYGMY_WRITE_BURST=3
    store_start
    through() { buy_from "$frontend" 127.0.0.5 "$1" 5 --header "X-Forwarded-For: $2"; }
    # Sends until one is refused; prints how many were not.
    exhaust() {
        local taken
        for taken in {0..60}; do
            through "$RANDOM$RANDOM" "$1"
            if [[ $code == 429 ]]; then printf '%s' "$taken" && return; fi
        done
        return 1
    }
    [[ $(exhaust 198.51.100.7) -ge 4 ]]
    through k1 198.51.100.8
    assert_equal "$code" 200
    [[ $(exhaust 2001:db8:0:1::1) -ge 4 ]]
    # (Each is another address, so none of them would ever be refused if it were a client of its own.)
    for key in {1..60}; do
        through "network-$key" "2001:db8:0:1:ffff::$key"
        if [[ $code == 429 ]]; then break; fi
    done
    assert_equal "$code" 429
    through k5 2001:db8:0:2::1
    assert_equal "$code" 200
    # A stranger is who he is, and a proxy's client is whom the proxy saw last.
    for key in {1..60}; do
        buy_from "$frontend" 127.0.0.6 "stranger-$key" 5 --header "X-Forwarded-For: 203.0.113.$key"
        if [[ $code == 429 ]]; then break; fi
    done
    assert_equal "$code" 429
    for key in {1..60}; do
        through "forged-$key" "203.0.113.$key, 198.51.100.9"
        if [[ $code == 429 ]]; then break; fi
    done
    assert_equal "$code" 429
    # Who is trusted is not counted.
    for key in {1..30}; do
        buy_from "$frontend" 127.0.0.9 "known-$key" 6
        assert_equal "$code" 200
    done
}

@test "a client that holds all the connections it may have is told so, and others are served" {
    local manner
    export PYGMY_TRUSTED_CLIENTS=none PYGMY_CLIENT_CONNECTIONS=20
    store_start
    for manner in silent head body idle; do
        rm -f "$store_dir/ready"
        flood_begin --from 127.0.0.3 --connections 200 --manner "$manner"
        http GET "$frontend/lookup?id=1" --interface 127.0.0.2
        assert_equal "$code" 200
        buy_from "$frontend" 127.0.0.2 "beside-$manner"
        assert_equal "$code" 200
        flood_end
        # Each of nginx's workers lets it have 20.
        [[ $(jq .held "$store_dir/flood") -le $((20 * $(pgrep -c -P "$(supervisor_pid nginx)" -f 'worker process'))) ]]
        [[ $(jq .refused_429 "$store_dir/flood") -gt 0 ]]
    done
    [[ $(rejected client_connections) -gt 0 ]]
}

@test "idle connections of everybody's give way to new ones; pushes, leases and purchases go on" {
    local lapses
    # So few that a test can take them all: 288 on the public port at each of nginx's workers.
    ulimit -Sn 2048
    ulimit -Hn 2048
    store_start
    flood_begin --connections 1500 --manner silent
    wait_until 10 evicted
    storm --url "$frontend/buy" --item 1 --requests 100 --connections 4 --patience-ms 20000
    assert_equal "$(report .acknowledged)" 100
    # A push that is lost would have kept a purchase waiting until the lease had lapsed.
    assert_equal "$(lapses)" 0
    flood_end
    assert_books_balance
}
evicted() { [[ $(curl -s "$metrics/metrics" | sed -n 's/^pygmy_frontend_idle_closed_total //p') -gt 0 ]]; }
lapses() {
    local url sum=0
    for url in "$order_a" "$order_b"; do sum=$((sum + $(curl -s "$url/metrics" | sed -n 's/^pygmy_push_lapses_total //p'))); done
    printf '%s' "$sum"
}

@test "slow senders are cut off by their time, and take nothing from pushes, leases and operators meanwhile" {
    local from=() i
    ulimit -Sn 2048
    ulimit -Hn 2048
    store_start
    flood_begin --connections 1000 --manner head
    # All places are taken by requests that never end; who comes now is told.
    wait_until 10 refused_some
    http GET "$order_a/readyz"
    assert_equal "$code" 200
    curl -s "$metrics/metrics" | grep -qxF 'pygmy_coherence_leased 1'
    # Purchases on a worker's own port are pushed to the frontend, which confirms.
    storm --url "$order_a/buy" --item 1 --requests 20 --connections 2 --patience-ms 20000
    assert_equal "$(report .acknowledged)" 20
    assert_equal "$(lapses)" 0
    # Their time is over in 10 s, though others take their places: somebody gets through.
    storm --url "$frontend/buy" --item 2 --requests 10 --connections 2 --patience-ms 60000
    assert_equal "$(report .acknowledged)" 10
    flood_end
    [[ $(jq .closed "$store_dir/flood") -gt 0 ]]
    wait_until 10 can_buy
    assert_books_balance
}
refused_some() { [[ $(rejected connections) -gt 0 ]]; }
can_buy() { http POST "$frontend/buy?id=3" && [[ $code == 200 ]]; }

@test "a setting that is wrong is told, and nothing is written" {
    local wrong
    render() { run env PYGMY_RUN_DIR="$store_dir/r" PYGMY_LOG_DIR="$store_dir/l" PYGMY_STATE_DIR="$store_dir/s" "$@" bash "$tree/nginx/render.sh"; }
    for wrong in PYGMY_WRITE_RATE=0 PYGMY_WRITE_RATE=x PYGMY_WRITE_BURST=0 PYGMY_CLIENT_CONNECTIONS=-1 PYGMY_TRUSTED_CLIENTS=example.org \
        'PYGMY_TRUSTED_CLIENTS=10.0.0.0/8;x' PYGMY_TRUSTED_PROXIES=10.0.0.0/ 'PYGMY_TRUSTED_PROXIES=,'; do
        render "$wrong"
        assert_equal "$status" 2 "$output"
        assert_contains "$output" "render.sh: ${wrong%%=*}"
        [[ ! -e $store_dir/r/nginx.conf ]]
    done
    render PYGMY_WRITE_RATE=off PYGMY_CLIENT_CONNECTIONS=off PYGMY_TRUSTED_CLIENTS='10.0.0.0/8, 2001:db8::/32 ::1' PYGMY_TRUSTED_PROXIES=::1
    assert_equal "$status" 0 "$output"
    grep -qF 'pygmy_known_clients 10.0.0.0/8 2001:db8::/32 ::1 ::1;' "$store_dir/r/nginx.conf"
    run grep -r limit_req_zone "$store_dir/r"
    assert_equal "$output" ''
}
