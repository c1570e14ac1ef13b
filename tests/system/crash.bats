#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2034
# kill -9 at random moments under load: requests go on, what died is back within a second, every acknowledged order is there once.

load helpers
load shared_store

workers=(catalog-A catalog-B order-A order-B)

setup_file() {
    shared_store_setup
    expect_deaths
    admin PUT "$catalog_a/item/1" '{"count":900000000}'
}
teardown() {
    if [[ -n ${load:-} ]] && kill -0 "$load" 2>/dev/null; then kill "$load"; fi
    shared_store_check
}
teardown_file() { shared_store_teardown; }

base_of() {
    case $1 in
        catalog-A) echo "$catalog_a" ;; catalog-B) echo "$catalog_b" ;; order-A) echo "$order_a" ;; order-B) echo "$order_b" ;;
    esac
}

now_ms() { local t=$EPOCHREALTIME && echo $((${t/[.,]/} / 1000)); }

status_of() { curl --silent --noproxy '*' --max-time 5 "$(base_of "$1")/status"; }

# Whether worker $1 answers as another process than $2.
is_back() { [[ $(status_of "$1" | jq -r '.worker | select(.ready) | .pid') =~ ^[0-9]+$ && ${BASH_REMATCH[0]} != "$2" ]]; }

# Kills worker $1 and waits until it answers again, for a second at most. Appends the milliseconds to `came_back`.
kill_and_await() {
    local pid killed_ms
    pid=$(worker_pid "$1")
    killed_ms=$(now_ms)
    kill -9 "$pid"
    until is_back "$1" "$pid"; do
        (($(now_ms) < killed_ms + 5000)) || { echo "$1 is not back after 5 s" && return 1; }
    done
    came_back+=("$(($(now_ms) - killed_ms))")
    # Load or not: somebody measures this on two busy cores.
    ((${came_back[-1]} < 1000)) || { echo "$1 came back after ${came_back[-1]} ms" && return 1; }
}

# Kills all four workers one after the other in a random order, some times, at random moments.
kill_rounds() {
    local round name
    came_back=()
    for ((round = 0; round < $1; round++)); do
        while read -r name; do
            sleep "0.0$((RANDOM % 10))" # a random moment, not a wait
            kill_and_await "$name"
        done < <(printf '%s\n' "${@:2}" | shuf)
    done
    echo "came back after (ms): ${came_back[*]}"
}

# Every "key order" line of the file must be an order, once, and keys and orders one to one.
assert_orders_are_there() {
    local seed=$1 acks=$2
    sql "SELECT substr(request_key, 7) || ' ' || id FROM orders WHERE request_key LIKE 'buy/0/storm-$seed-%'" | sort >"$store_dir/orders"
    assert_equal "$(sort -u "$acks" | comm -23 - "$store_dir/orders" | head -n 5)" '' 'acknowledged, but not there'
    assert_equal "$(cut -d ' ' -f 1 "$store_dir/orders" | uniq -d | head -n 5)" '' 'a key with two orders'
    assert_equal "$(sort "$acks" | uniq | cut -d ' ' -f 2 | sort | uniq -d | head -n 5)" '' 'an order with two keys'
}

@test "kill -9 of every worker, again and again, under purchases through the frontend: no failed request" {
    # The buyers send no keys: nginx makes one for each request, and repeats it with the request.
    storm --url "$frontend/buy" --item 1 --requests 200000 --seconds 4 --connections 16 --keyless 1 --acks "$store_dir/acks" &
    load=$!
    kill_rounds 2 "${workers[@]}"
    wait "$load"
    cat "$store_dir/report"
    assert_equal "$(report '[.failed_tries, .lost, .refused]')" '[{},0,0]'
    [[ $(report .acknowledged) -gt 200 ]]
    assert_equal "$(sql 'SELECT id FROM orders' | sort | comm -3 - <(cut -d ' ' -f 2 "$store_dir/acks" | sort) | head -n 5)" '' \
        'only an order (left), or only an acknowledgement (right)'
    assert_books_balance
}

@test "the same on the workers' own ports: their requests wait for the restart" {
    storm --url "$order_a/buy" --url "$order_b/buy" --item 1 --requests 200000 --seconds 4 --connections 16 --acks "$store_dir/acks" &
    load=$!
    kill_rounds 3 order-A order-B
    wait "$load"
    cat "$store_dir/report"
    assert_equal "$(report '[.failed_tries, .lost, .refused]')" '[{},0,0]'
    assert_equal "$(sql "SELECT count(*) FROM orders WHERE request_key LIKE 'buy/0/storm-$(report .seed)-%'")" "$(report .acknowledged)"
    assert_orders_are_there "$(report .seed)" "$store_dir/acks"
    assert_books_balance
}

@test "readers and writers of everything while workers die: none fails, none sees anything old" {
    coherence_check --seconds 5 --readers 4 --writers 3 --things 12 >"$store_dir/check" 2>&1 &
    load=$!
    kill_rounds 2 "${workers[@]}"
    wait "$load" || { cat "$store_dir/check" && return 1; }
    cat "$store_dir/check"
    assert_equal "$(report '[.verdict, .read_failures, .write_retries, .writes_given_up]')" '["coherent",0,0,0]'
    [[ $(report .writes) -gt 50 && $(report .reads) -gt 500 ]]
    assert_books_balance
}

strict_reads() {
    local i
    for ((i = 0; i < 8; i++)); do
        curl --silent --noproxy '*' --output "$store_dir/read-$i" --write-out '%{http_code} %{time_total}\n' \
            --header 'X-Pygmy-Consistency: strict' "$frontend/lookup?id=1" &
        sleep 0.05
    done
    wait
}

@test "a worker that hangs costs a purchase one try, and none is made twice" {
    local frozen before
    before=$(sql "SELECT count(*) FROM orders")
    frozen=$(worker_pid order-A)
    kill -STOP "$frozen"
    for _ in 1 2 3; do
        curl -sS -o /dev/null -w '%{http_code}\n' -X POST "$frontend/buy?id=2"
    done >"$store_dir/codes"
    kill -CONT "$frozen"
    assert_equal "$(sort "$store_dir/codes" | uniq -c | tr -s ' ')" ' 3 200'
    assert_equal "$(sql "SELECT count(*) FROM orders")" "$((before + 3))"
}

@test "a worker that hangs costs a read one try, since the next one goes to the other" {
    local frozen
    # Tries that failed mix up whose turn it is.
    for _ in 1 2 3; do
        strict_reads >/dev/null &
        load=$!
        kill_and_await catalog-A
        wait "$load"
    done
    frozen=$(worker_pid catalog-B)
    kill -STOP "$frozen"
    run strict_reads
    kill -CONT "$frozen"
    echo "$output"
    assert_equal "$(grep -c '^200 [0-2][.]' <<<"$output")" 8
}

@test "kill -9 of everything in the middle of writes, then start: every acknowledged order is there, once" {
    local round seed pids
    for round in 1 2 3; do
        # The supervisors first: they would start again what they see die.
        pids=$(store_processes | xargs ps -o comm=,pid= -p | awk '$1 == "multiwatch" {print $2} $1 != "multiwatch" {rest = rest " " $2} END {print rest}')
        [[ $(wc -w <<<"$pids") -ge 10 ]]
        seed=$((RANDOM * 32768 + RANDOM + 1))
        storm --url "$frontend/buy" --url "$order_a/buy" --url "$order_b/buy" --item 1 --requests 6000 --connections 24 \
            --acks "$store_dir/acks" --seed "$seed" &
        load=$!
        orders_grow() { [[ $(sql "SELECT count(*) FROM orders WHERE request_key LIKE 'buy/0/storm-$seed-%'") -gt $1 ]]; }
        wait_until 10 orders_grow $((RANDOM % 1500))
        # shellcheck disable=SC2086
        kill -9 $pids
        wait "$load"
        cat "$store_dir/report"
        wait_until 5 no_store_processes || { ps -o pid,ppid,stat,args -p "$(store_processes | paste -sd ,)" && echo "killed: $pids" && return 1; }
        assert_equal "$(report '.acknowledged + .lost')" 6000 'the kill came too late, or something was refused'
        [[ $(report .lost) -gt 0 ]]
        store_start
        for name in "${workers[@]}"; do assert_equal "$(status_of "$name" | jq -r .worker.how_started)" after_crash "$name"; done
        assert_orders_are_there "$seed" "$store_dir/acks"
        assert_books_balance
        # Who got no answer asks again under the same key; who got one gets the same.
        cp "$store_dir/acks" "$store_dir/acks.before"
        storm --url "$frontend/buy" --item 1 --requests 6000 --connections 24 --acks "$store_dir/acks" --seed "$seed"
        assert_equal "$(report '[.acknowledged, .failed_tries]')" '[6000,{}]'
        assert_equal "$(sort "$store_dir/acks.before" | comm -23 - <(sort "$store_dir/acks") | head -n 5)" '' 'another answer than before'
        assert_equal "$(sql "SELECT count(*) FROM orders WHERE request_key LIKE 'buy/0/storm-$seed-%'")" 6000
        assert_books_balance
    done
}

@test "the store itself tells a first start, a clean restart and a restart after a crash apart" {
    how() { status_of "$1" | jq -c '.worker | [.how_started, .restarts, .crashes]'; }
    local name
    store reset
    store_start
    shared_store_names
    for name in "${workers[@]}"; do assert_equal "$(how "$name")" '["first_start",0,0]' "$name"; done
    store_stop
    store_start
    for name in "${workers[@]}"; do assert_equal "$(how "$name")" '["after_stop",1,0]' "$name"; done
    came_back=()
    kill_and_await order-A
    assert_equal "$(how order-A)" '["after_crash",2,1]'
    assert_equal "$(how order-B)" '["after_stop",1,0]'
    store_stop
    store_start
    assert_equal "$(how order-A)" '["after_stop",3,1]'
    http GET "$order_a/metrics"
    assert_contains "$body" $'\npygmy_worker_crashes_total 1\n'
}
