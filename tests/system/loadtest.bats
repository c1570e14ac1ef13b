#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031
# The load test: its generator against a server that stalls, and the script against a store.

bats_require_minimum_version 1.5.0
load helpers
load shared_store

setup_file() { shared_store_setup; }
teardown() {
    if [[ -n ${server_pid:-} ]]; then kill "$server_pid" 2>/dev/null || :; fi
    if [[ -n ${test_pid:-} ]]; then kill "$test_pid" 2>/dev/null || :; fi
    shared_store_check
}
teardown_file() { shared_store_teardown; }

pygmy_load() { "$tree/.build/release/bin/pygmy-load" "$@" 3>&- </dev/null; }

# The script, told of this file's store: loadtest <words...>
loadtest() { PYGMY_CONFIG=$PYGMY_CLIENT_ENV "$tree/client/loadtest.sh" --out "$store_dir/out.$BATS_TEST_NUMBER" "$@" 3>&- </dev/null; }

# Waits for a background process; sets status.
ended() {
    status=0
    wait "$1" || status=$?
}

# A server that answers nothing for a while: start_stalling_server <after-ms> <stall-ms>
start_stalling_server() {
    mkfifo "$store_dir/stdin"
    "$tree/.build/release/tools/stalling_server" --after-ms "$1" --stall-ms "$2" <"$store_dir/stdin" >"$store_dir/port" 3>&- &
    server_pid=$!
    exec 7>"$store_dir/stdin"
    rm "$store_dir/stdin"
    wait_until 5 test -s "$store_dir/port"
    stalling=http://127.0.0.1:$(cat "$store_dir/port")
}

# ---- the generator -------------------------------------------------------------------------------

@test "open loop: requests that a stalling server would have kept waiting are not left out" {
    start_stalling_server 1000 2000
    pygmy_load --url "$stalling" --rate 200 --seconds 4 --connections 4 >"$store_dir/report"
    assert_equal "$(report '[.requests, .failures]')" '[800,0]'
    # 400 of the 800 were meant to start in the two seconds, evenly: half of them waited for more than one. What was under way when it began
    # is 4 requests, and that is all that counting from the sending would tell.
    report '.operations.lookup | [.latency.p90_us, .latency.mean_us, .service.mean_us]'
    [[ $(report '.operations.lookup.latency | .p90_us > 1400000 and .mean_us > 400000') == true ]]
    [[ $(report '.operations.lookup | .latency.mean_us > 4 * .service.mean_us') == true ]]
}

@test "open loop: what could not be sent in time, or got no answer, counts as long as it waited" {
    start_stalling_server 0 4000
    pygmy_load --url "$stalling" --rate 100 --seconds 2 --connections 2 --timeout-ms 500 >"$store_dir/report"
    report .
    assert_equal "$(report .requests)" 200
    [[ $(report '.failures > 100') == true ]]
    [[ $(report '.operations.lookup.ends | .unsent > 0 and .timeout > 0') == true ]]
    [[ $(report '.operations.lookup.latency.p90_us >= 500000') == true ]]
}

@test "closed loop and mix against the store: every answer right, each purchase acknowledged once" {
    printf '%s\n' 1 2 3 >"$store_dir/items"
    printf '%s\n' 'distributed systems' 'graduate school' >"$store_dir/topics"
    local before
    before=$(sql 'SELECT count(*) FROM orders')
    pygmy_load --url "$frontend" --mix search=2,lookup=5,buy=1 --seconds 1 --connections 8 --items "$store_dir/items" --topics "$store_dir/topics" \
        --acks "$store_dir/acks" --keys test --series "$store_dir/series" --latency "$store_dir/latency" >"$store_dir/report"
    assert_equal "$(report .failures)" 0
    assert_equal "$(report '.operations.buy.ends.done')" "$(wc -l <"$store_dir/acks")"
    assert_equal "$(($(sql 'SELECT count(*) FROM orders') - before))" "$(wc -l <"$store_dir/acks")"
    assert_equal "$(cut -d ' ' -f 1 "$store_dir/acks" | sort -n)" "$(sql "SELECT id FROM orders ORDER BY id LIMIT -1 OFFSET $before")"
    [[ $(report '.operations | .lookup.hits > 0 and .search.hits > 0 and .lookup.requests > 0') == true ]]
    # The files say the same as the report.
    assert_equal "$(awk -F, '$1 == "lookup" && $2 == "sent" {sum += $4} END {print sum}' "$store_dir/latency")" "$(report .operations.lookup.requests)"
    assert_equal "$(awk -F, 'NR > 1 {sum += $2 * 0.25} END {print sum}' "$store_dir/series")" "$(report .answers)"
}

@test "generator: https, believed only with its authority; a prefix of the path; several frontends" {
    local dir=$store_dir/tls port=$((PYGMY_PORT_METRICS - 9000))
    mkdir "$dir"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=shop -addext subjectAltName=IP:127.0.0.1 \
        -keyout "$dir/key" -out "$dir/cert" 2>"$dir/openssl"
    cat >"$dir/conf" <<CONF
daemon off; user root; pid $dir/pid; error_log $dir/log; events {}
http {
    access_log off; client_body_temp_path $dir/1; proxy_temp_path $dir/2; fastcgi_temp_path $dir/3; uwsgi_temp_path $dir/4; scgi_temp_path $dir/5;
    server {
        listen 127.0.0.1:$port ssl; ssl_certificate $dir/cert; ssl_certificate_key $dir/key;
        location /shop/ { proxy_pass $frontend/; }
    }
}
CONF
    PATH=$PATH:/usr/sbin nginx -p "$dir" -e "$dir/log" -c "$dir/conf" 3>&- &
    server_pid=$!
    wait_until 5 curl -sf --cacert "$dir/cert" -o "$dir/answer" "https://127.0.0.1:$port/shop/healthz"
    pygmy_load --url "https://127.0.0.1:$port/shop/" --url "$frontend" --ca-file "$dir/cert" --seconds 1 --connections 4 --rate 200 >"$store_dir/report"
    assert_equal "$(report '[.requests, .failures, .operations.lookup.ends.done]')" '[200,0,200]'
    run pygmy_load --url "https://127.0.0.1:$port/shop" --seconds 1
    assert_equal "$status" 3
}

@test "generator: Ctrl-C prints what was measured; no server, a wrong word: codes and messages" {
    "$tree/.build/release/bin/pygmy-load" --url "$frontend" --seconds 60 --rate 50 --progress >"$store_dir/report" 2>"$store_dir/progress" 3>&- &
    test_pid=$!
    wait_until 10 test -s "$store_dir/progress"
    kill -INT "$test_pid"
    ended "$test_pid"
    assert_equal "$status" 130
    assert_equal "$(report .interrupted)" true
    run pygmy_load --url http://127.0.0.1:1 --seconds 1
    assert_equal "$status" 3
    for word in '--url' '--url ftp://x' "--url $frontend --seconds 0" "--url $frontend --mix eat=1" "--url $frontend --mix lookup=0" \
        "--url $frontend --rate -1" "--url $frontend --mix search=1" "--url $frontend word" "--url $frontend --connections 1e9"; do
        # shellcheck disable=SC2086  # words
        run pygmy_load $word
        assert_equal "$status" 2 "$word"
    done
}

# ---- the script ----------------------------------------------------------------------------------

@test "script: tables of every tier, CSV, plots and books" {
    run loadtest --seconds 1 --clients 1,3 --stock 1000000
    assert_equal "$status" 0 "$output"
    local dir=$store_dir/out.$BATS_TEST_NUMBER word file
    for word in SEARCH LOOKUP BUY 'cache, 3 clients' 'no cache, 1 client' 'mix: cache' frontend worker 'The books balance'; do assert_contains "$output" "$word"; done
    # Two clients' numbers, three reading operations with and without cache, and buy; a mix gives three rows.
    assert_equal "$(awk 'END {print NR - 1}' "$dir/results.csv")" $((2 * (2 * 2 + 1 + 2 * 3)))
    # What the client saw, the frontend counted; what went past the cache, a worker.
    awk -F, 'NR == 1 {for (i = 1; i <= NF; i++) c[$i] = i; next}
        $c["run"] !~ /mix/ && ($c["frontend_requests"] < $c["requests"] || $c["frontend_requests"] > $c["requests"] + $c["clients"]) {print "frontend: " $0; bad = 1}
        $c["cache"] == "strict" && $c["worker_requests"] < $c["requests"] && $c["run"] !~ /mix/ {print "worker: " $0; bad = 1}
        $c["failures"] + $c["frontend_failures"] + $c["worker_failures"] > 0 {print "failures: " $0; bad = 1}
        END {exit bad}' "$dir/results.csv"
    for file in latency-search latency-lookup latency-buy clients-lookup clients-buy time-14-mix-strict-3; do
        [[ -s $dir/$file.svg ]]
        assert_equal "$(file -b --mime-type "$dir/$file.png")" image/png
    done
    assert_equal "$(cat "$dir/plots.log")" ''
    assert_books_balance
}

@test "script: a fixed rate, JSON, a fault that is run and marked" {
    run --separate-stderr loadtest --json --quiet --no-plots --seconds 2 --rate 100 --clients 4 --cache on --fault 'echo hello' --fault-at 0.5 mix
    assert_equal "$status" 0 "$stderr"
    assert_equal "$(jq -r '[.books.verdict, .failures, (.runs | length), .runs[0].loop, .runs[0].rate] | join(" ")' <<<"$output")" 'balanced 0 3 open 100'
    assert_equal "$(jq '[.runs[].requests] | add' <<<"$output")" 200
    local dir=$store_dir/out.$BATS_TEST_NUMBER
    assert_equal "$(cat "$dir"/runs/*/fault.log)" hello
    awk -v began="$(cat "$dir"/runs/*/began)" '{exit !($1 - began >= 0.4 && $2 == "fault")}' "$dir"/runs/*/marks
}

@test "script: killed workers cost no request, and what happened is drawn" {
    expect_deaths
    run loadtest --seconds 3 --rate 200 --clients 16 --cache on --fault "$tree/client/loadtest/crash.sh $catalog_a $order_a" mix
    assert_equal "$status" 0 "$output"
    assert_contains "$output" 'The books balance'
    local dir=$store_dir/out.$BATS_TEST_NUMBER
    assert_equal "$(jq .failures "$dir"/runs/*/load.json)" 0
    grep -q 'all workers ready' "$dir"/runs/*/fault.log
    grep -q fault "$dir/time-01-mix-cached-16-200ps.svg"
}

@test "script: books that do not add up are told" {
    mkdir "$store_dir/books"
    cd "$store_dir/books"
    books() { awk -v unknown="${1:-0}" -v own="${2:-}" -f "$tree/client/loadtest/books.awk" stock.before stock.after orders acks; }
    printf '1 10 a\n2 10 b\n' >stock.before
    printf '1 8 a\n2 9 b\n' >stock.after
    printf '11 1 1\n12 1 1\n13 2 1\n' >orders
    printf '11 1\n12 1\n13 2\n' >acks
    books
    printf '1 7 a\n2 9 b\n' >stock.after
    run books
    assert_equal "$status" 1
    assert_contains "$output" 'item 1: 3 copies are gone, and 2 were ordered'
    printf '1 8 a\n2 9 b\n' >stock.after
    printf '11 1\n12 1\n13 2\n14 2\n' >acks
    run books
    assert_equal "$status" 1
    assert_contains "$output" 'order 14 was acknowledged and is not in the books'
    printf '11 1\n11 1\n13 1\n' >acks
    run books
    assert_contains "$output" 'order 11 was acknowledged twice'
    assert_contains "$output" 'order 13 is of item 2, but item 1 was bought'
    # An order without acknowledgement is an answer that was lost, or somebody else's, but nobody else buys in our own store.
    printf '11 1\n12 1\n' >acks
    books 1 yes
    run books 0 ''
    assert_equal "$status" 0
    assert_contains "$output" "1 are others' orders"
    run books 0 yes
    assert_equal "$status" 1
}

@test "script: Ctrl-C shows what was measured, and ends what it started" {
    PYGMY_CONFIG=$PYGMY_CLIENT_ENV "$tree/client/loadtest.sh" --out "$store_dir/out.$BATS_TEST_NUMBER" --no-plots --seconds 60 --clients 2 \
        --stock 1000000 buy >"$store_dir/shown" 2>&1 3>&- </dev/null &
    test_pid=$!
    wait_until 20 grep -q '1 s of 60' "$store_dir/shown"
    kill -TERM "$test_pid"
    ended "$test_pid"
    cat "$store_dir/shown"
    assert_equal "$status" 130
    assert_contains "$(cat "$store_dir/shown")" 'The books balance'
    run pgrep -f "pygmy-load.*$store_dir/out.$BATS_TEST_NUMBER"
    assert_equal "$output" ''
}

@test "script: help, wrong words, and no store" {
    run loadtest --help
    assert_equal "$status" 0
    assert_contains "$output" '--fault COMMAND'
    local word
    for word in '--cache perhaps' '--rate x' '--seconds 0' 'dance' '--url nowhere' '--mix a=b' '--own --url http://x' '--driver wrk --rate 5' '--clients'; do
        # shellcheck disable=SC2086  # words
        run loadtest $word
        assert_equal "$status" 2 "$word"
    done
    run loadtest --url http://127.0.0.1:1
    assert_equal "$status" 3
    assert_contains "$output" 'there is no store'
}

@test "script: a store known by its frontend alone" {
    run loadtest --url "$frontend" --seconds 1 --clients 2 --no-plots lookup
    assert_equal "$status" 0 "$output"
    assert_contains "$output" 'The books will not be checked'
    assert_contains "$output" 'no cache, 2 clients'
}

@test "report: one command writes the three answers" {
    expect_deaths
    run loadtest --url "$frontend" --catalog-url "$catalog_a,$catalog_b" --order-url "$order_a,$order_b" --metrics-url "$metrics" \
        --token-file "$PYGMY_STATE_DIR/secrets/admin.token" --stock 1000000 --seconds 1 --report-file "$store_dir/REPORT.md" --quiet
    assert_equal "$status" 0 "$output"
    local text word
    text=$(<"$store_dir/REPORT.md")
    for word in 'What does caching bring?' '| lookup | 64 |' 'What does consistency of the cache cost?' 'first read after it' 'costs the push to the frontends' \
        'What do a crash' '| during |' 'all workers ready' 'The books balance'; do assert_contains "$text" "$word"; done
    assert_lacks "$text" '|  |'
    while IFS= read -r word; do [[ -s $store_dir/$word ]]; done < <(sed -nE 's/^!\[.*\]\((.*)\)$/\1/p' "$store_dir/REPORT.md")
}
