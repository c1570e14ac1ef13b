# shellcheck shell=bash
# shellcheck disable=SC2154  # what helpers.bash and http set
# One store for all tests of a file, and what such tests say often. Load it after helpers.
#
#     setup_file() { shared_store_setup; }
#     teardown() { shared_store_check; }
#     teardown_file() { shared_store_teardown; }

# Makes and starts the store of a file; its names are exported, since every test is a process of its own.
shared_store_setup() {
    store_setup
    export store_dir
    store_start
    shared_store_names
}

# (Ports may have been chosen again when the store started.)
shared_store_names() { export frontend catalog_a catalog_b order_a order_b metrics; }

# After each test: no worker may have reported a sanitizer's finding or died unasked. A test that kills says so: expect_deaths.
# The end of the logs explains a failure.
shared_store_check() {
    local log
    if [[ -z ${BATS_TEST_COMPLETED:-} ]]; then
        for log in "$PYGMY_STATE_DIR"/logs/*.log; do
            grep -aE ' (error|warning) |\[(warn|error|crit|alert|emerg)\]|^Child|exited' -- "$log" | tail -n 6 | cut -c 1-300 | sed "s/^/${log##*/}: /"
        done
    fi
    assert_clean_logs
}

# (What a sanitizer says of leaks, it says at the end.)
shared_store_teardown() {
    local result=0
    store_stop || result=1
    assert_clean_logs || result=1
    rm -rf -- "$store_dir"
    return "$result"
}

expect_deaths() { : >"$store_dir/deaths_expected"; }

assert_clean_logs() {
    local found
    found=$(grep -lE 'ERROR: (Address|Thread|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:' "$PYGMY_STATE_DIR"/logs/*.log 2>/dev/null) || :
    if [[ -n $found ]]; then
        printf 'a sanitizer reports:\n'
        grep -hE -A 25 'Sanitizer|runtime error:' "$found" | head -n 60
        return 1
    fi
    # A test may kill; nobody may crash.
    found=$(grep -HE 'exited on signal (4|6|7|8|11)' "$PYGMY_STATE_DIR"/logs/*.log 2>/dev/null) || :
    assert_equal "$found" '' 'nginx crashed' || return
    if [[ -e $store_dir/deaths_expected ]]; then return 0; fi
    found=$(grep -HE '^Child\[[0-9]+\] died|worker process [0-9]+ exited on signal' "$PYGMY_STATE_DIR"/logs/*.log 2>/dev/null) || :
    assert_equal "$found" '' 'a process died'
}

# ---- requests ------------------------------------------------------------------------------------

# A request with a token and a JSON body: send PUT "$catalog_a/item/1" "$(admin_token)" '{"cost":3}' [more words for curl]
send() {
    local method=$1 url=$2 token=$3 text=$4
    shift 4
    if [[ -n $token ]]; then set -- -H "Authorization: Bearer $token" "$@"; fi
    if [[ -n $text ]]; then set -- -H 'Content-Type: application/json' --data-binary "$text" "$@"; fi
    http "$method" "$url" "$@"
}

# The administrator's requests: admin PUT "$catalog_a/item/1" '{"cost":3}'
admin() {
    local method=$1 url=$2 text=${3:-}
    shift $(($# < 3 ? $# : 3))
    send "$method" "$url" "$(admin_token)" "$text" "$@"
}

peer() {
    local method=$1 url=$2 text=${3:-}
    shift $(($# < 3 ? $# : 3))
    send "$method" "$url" "$(peer_token)" "$text" "$@"
}

is_hit() { [[ $(header Cache-Status) == *'; hit'* ]]; }

# Asks the frontend and compares how that was answered: assert_cached 'hit 200' '/lookup?id=1'
assert_cached() {
    local how=miss
    http GET "$frontend$2"
    if is_hit; then how=hit; fi
    assert_equal "$how $code" "$1" "$2"
}

# The first of two must be a miss or a hit, the second a hit: puts the answer of a path into the cache.
warm() {
    http GET "$frontend$1"
    http GET "$frontend$1"
    is_hit || { printf 'not cached: %s\n%s\n' "$1" "$headers" && return 1; }
}

# The last answer was a success with this body: assert_answer 200 '{"item":...}'
assert_answer() {
    assert_equal "$code" "$1" "$body"
    assert_equal "$(header Content-Type)" application/json
    printf '%s\n' "$2" >"$store_dir/expected"
    cmp -s "$store_dir/expected" "$store_dir/http.body" || assert_equal "$body" "$2"
    assert_equal "$(header Content-Length)" "$(stat -c %s "$store_dir/expected")"
}

# The last answer was an error in the envelope, whose code is $2 (a pattern): assert_refused 404 item_not_found
assert_refused() {
    local type
    type=$(header Content-Type)
    [[ $code == "$1" && $type == application/json ]] || assert_equal "$code $type" "$1 application/json" "$body" || return
    [[ $body =~ ^\{\"code\":\"($2)\",\"message\":\"([^\"\\[:cntrl:]]|\\.)+\",\"status\":\"Failed\",\"validation_code\":$1\}$ ]] ||
        assert_equal "$body" "{\"code\":\"$2\",\"message\":\"...\",\"status\":\"Failed\",\"validation_code\":$1}"
}

# Everything that a request can change.
store_content() { sql 'SELECT * FROM items ORDER BY id; SELECT * FROM orders ORDER BY id; SELECT count(*) FROM results;'; }

item_count() { sql "SELECT count FROM items WHERE id = $1"; }
order_count() { sql "SELECT coalesce(sum(quantity), 0) FROM orders WHERE item_id = $1"; }

# Whether stock and orders add up, for every item.
assert_books_balance() {
    assert_equal "$(sql 'PRAGMA integrity_check; PRAGMA foreign_key_check;')" ok || return
    assert_equal "$(sql 'SELECT id, supplied, count, sold FROM items WHERE supplied <> count + sold OR count < 0')" '' || return
    assert_equal "$(sql 'SELECT items.id, sold, coalesce(sum(quantity), 0) AS ordered FROM items LEFT JOIN orders ON item_id = items.id
        GROUP BY items.id HAVING sold <> ordered')" ''
}

# Runs a tool of tests/tools; its words are appended.
tool() { "$tree/.build/release/tools/$1" "${@:2}" 3>&- </dev/null; }

# Prints a value of the JSON that a tool printed last into the file $store_dir/report: report .lost
report() { jq -cr "$1" "$store_dir/report"; }

storm() { tool storm "$@" >"$store_dir/report" || { cat "$store_dir/report" && return 1; }; }

# All arguments but the tool's own: coherence_check --seconds 3
coherence_check() {
    tool coherence_check --frontend "$frontend" --catalog "$catalog_a" --catalog "$catalog_b" --order "$order_a" --order "$order_b" \
        --token-file "$PYGMY_STATE_DIR/secrets/admin.token" "$@" >"$store_dir/report" || { cat "$store_dir/report" && return 1; }
    cat "$store_dir/report"
}

# Sends bytes to a port, keeps the answer as http does: raw 8010 'GET / HTTP/1.1\r\n\r\n' (with printf's escapes)
# nginx closes the connection after its answer; with a third word, so many seconds are waited for that at most.
raw() {
    local connection ended=yes
    exec {connection}<>"/dev/tcp/127.0.0.1/$1"
    # shellcheck disable=SC2059
    printf "$2" >"$store_dir/raw.request"
    cat "$store_dir/raw.request" 1>&"$connection" 2>"$store_dir/raw.error" || : # refused before it was all read
    # (Who closes before it has read everything resets the connection.)
    timeout "${3:-8}" cat <&"$connection" >"$store_dir/raw" 2>"$store_dir/raw.error" || grep -q reset "$store_dir/raw.error" || ended=${3:-no}
    exec {connection}>&-
    [[ $ended != no ]] || { echo 'no end of the answer' && return 1; }
    headers=$(sed '/^\r$/,$d' "$store_dir/raw" | tr -d '\r')
    sed '1,/^\r$/d' "$store_dir/raw" >"$store_dir/http.body"
    body=$(cat "$store_dir/http.body")
    code=$(sed -nE '1s/^HTTP\/[0-9.]+ ([0-9]+).*/\1/p' <<<"$headers")
}
