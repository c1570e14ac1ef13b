#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2086,SC2046
# Requests that are wrong: each gets the right status and code in the envelope, and changes nothing.

load helpers
load shared_store

setup_file() { shared_store_setup; }
setup() { before=$(store_content); }
teardown() {
    if [[ -n ${stopped:-} ]]; then kill -CONT $stopped; fi
    shared_store_check
    assert_equal "$(store_content)" "$before" 'a bad request changed something'
}
teardown_file() { shared_store_teardown; }

# One row: refuses <status> <code> <method> <url> [more words for curl]
refuses() {
    http "$3" "$4" --path-as-is "${@:5}" || { echo "no answer to $3 ${4:0:150}" && return 1; }
    assert_refused "$1" "$2" || { printf 'for: %s %s %s\n' "$3" "${4:0:150}" "${*:5:4}" && return 1; }
}

json_type='Content-Type: application/json'

# The rows of a body: refuses_body <status> <code> <method> <url> <body>, as administrator
refuses_body() { refuses "$1" "$2" "$3" "$4" -H "Authorization: Bearer $(admin_token)" -H "$json_type" --data-binary "$5"; }

@test "parameters: missing, empty, repeated, unknown" {
    local base
    for base in "$frontend" "$catalog_a"; do
        refuses 400 missing_parameter GET "$base/lookup"
        refuses 400 missing_parameter GET "$base/lookup?"
        refuses 400 empty_parameter GET "$base/lookup?id="
        refuses 400 empty_parameter GET "$base/lookup?id"
        refuses 400 repeated_parameter GET "$base/lookup?id=1&id=1"
        refuses 400 repeated_parameter GET "$base/lookup?id=1&%69d=2"
        refuses 400 unknown_parameter GET "$base/lookup?id=1&color=red"
        refuses 400 unknown_parameter GET "$base/lookup?ID=1"
        refuses 400 missing_parameter GET "$base/search"
        refuses 400 empty_parameter GET "$base/search?topic="
        refuses 400 repeated_parameter GET "$base/search?topic=a&topic=a"
        refuses 400 unknown_parameter GET "$base/search?topic=a&id=1"
        refuses 400 invalid_parameter GET "$base/search?topic=a&=1"
        refuses 400 empty_parameter GET "$base/search?topic=a&limit="
    done
    for base in "$frontend" "$order_a"; do
        refuses 400 missing_parameter GET "$base/buy"
        refuses 400 missing_parameter POST "$base/buy?quantity=1"
        refuses 400 empty_parameter POST "$base/buy?id="
        refuses 400 repeated_parameter POST "$base/buy?id=1&id=2"
        refuses 400 repeated_parameter POST "$base/buy?id=1" -H "$json_type" --data-binary '{"id":1}'
        refuses 400 unknown_parameter POST "$base/buy?id=1&price=0"
        refuses 400 empty_parameter POST "$base/buy?id=1&quantity="
    done
    refuses 400 unknown_parameter GET "$order_a/orders?page=1"
    refuses 400 invalid_parameter GET "$order_a/orders?after=1&before=3"
    refuses 400 repeated_parameter POST "$order_b/buy/1" -H "$json_type" --data-binary '{"id":1}'
    refuses 400 unknown_parameter GET "$order_b/orders/1?x=1"
    refuses 400 unknown_parameter GET "$catalog_a/livez?x=1"
    refuses 400 unknown_parameter GET "$catalog_a/item/1?x=1"
}

@test "parameters: numbers that are none, negative, too large, with leading zeros" {
    local base number
    for number in 0 -1 +1 1.0 1e3 0x1 01 00 ' ' '%201' 1%20 '١' abc 1a 999999999999999999999999999999 9223372036854775808 1000000000000000000 1%2C000; do
        number=${number// /%20}
        for base in "$frontend" "$catalog_b"; do refuses 400 invalid_parameter GET "$base/lookup?id=$number"; done
        for base in "$frontend" "$order_b"; do refuses 400 invalid_parameter POST "$base/buy?id=$number"; done
        refuses 400 invalid_parameter GET "$order_a/buy/${number}"
        refuses 400 invalid_parameter GET "$catalog_a/item/${number}"
        refuses 400 invalid_parameter GET "$order_b/orders/${number}"
        refuses 400 invalid_parameter POST "$frontend/buy?id=1&quantity=$number"
    done
    for number in 0 -1 1001 99999999999999999999 ten; do
        refuses 400 invalid_parameter GET "$frontend/search?topic=x&limit=$number"
        refuses 400 invalid_parameter GET "$catalog_a/item?limit=$number"
        refuses 400 invalid_parameter GET "$order_a/orders?limit=$number"
    done
    for number in -1 x 00 1000000000000000000; do
        refuses 400 invalid_parameter GET "$frontend/search?topic=x&after=$number"
        refuses 400 invalid_parameter GET "$order_a/orders?after=$number"
        refuses 400 invalid_parameter GET "$order_a/orders?before=$number"
    done
    refuses 400 invalid_parameter GET "$order_a/orders?before=0"
    refuses 400 invalid_parameter POST "$frontend/buy?id=1&quantity=1000001"
}

@test "encoding: broken percent signs, UTF-8 and NUL" {
    local text base
    for text in % %1 %zz %G0 %00 a%00b %ff %c3 %c3%28 %c0%80 %ed%a0%80 %f4%90%80%80 %f0%82%82%ac %e2%82; do
        for base in "$frontend" "$catalog_a"; do
            refuses 400 bad_encoding GET "$base/search?topic=$text"
            refuses 400 bad_encoding GET "$base/lookup?id=1$text"
            refuses 400 bad_encoding GET "$base/lookup?id=1&$text=1"
        done
        refuses 400 bad_encoding POST "$frontend/buy?id=1&quantity=1$text"
    done
    # Raw bytes that are no UTF-8.
    refuses 400 bad_encoding GET "$frontend/search?topic="$'\xff'
    refuses 400 invalid_parameter GET "$frontend/search?topic=$(printf 'x%.0s' {1..101})"
    # Control characters are text that no topic has; nothing may come of them but an empty list.
    http GET "$frontend/search?topic=a%0d%0aX-Injected:%201"
    assert_equal "$code $(header X-Injected) $(json .item)" '200  []'
    refuses 400 unknown_parameter GET "$frontend/lookup?id=1&a%0d%0aX-Injected=1"
    assert_equal "$(header X-Injected)" ''
}

@test "methods: 405 names those that are allowed; paths that do not exist are 404" {
    local base method
    allows() { # <method> <url> <allowed...>
        refuses 405 method_not_allowed "$1" "$2"
        assert_equal "$(header Allow | tr -d ' ' | tr ',' '\n' | sort | tr '\n' ' ')" "$(printf '%s\n' "${@:3}" | sort | tr '\n' ' ')" "$1 $2"
    }
    for method in POST PUT DELETE PATCH OPTIONS BREW; do
        allows "$method" "$frontend/lookup?id=1" GET HEAD
        allows "$method" "$frontend/search?topic=x" GET HEAD
        allows "$method" "$catalog_a/lookup?id=1" GET HEAD
        allows "$method" "$order_a/orders" GET HEAD
    done
    for method in PUT DELETE PATCH; do
        allows "$method" "$frontend/buy?id=1" GET POST
        allows "$method" "$order_b/buy/1" GET POST
    done
    allows GET "$order_a/update" PUT
    allows GET "$catalog_a/item/propagate/1" PUT
    allows GET "$catalog_b/item/import" POST
    allows POST "$catalog_a/item/1" GET HEAD PUT DELETE
    allows DELETE "$catalog_a/item" GET HEAD POST
    for base in "$frontend" "$catalog_a" "$catalog_b" "$order_a" "$order_b"; do
        refuses 404 path_not_found GET "$base/nowhere"
        refuses 404 path_not_found GET "$base/lookup/"
        refuses 404 path_not_found GET "$base/buy/1/2"
        refuses 404 path_not_found DELETE "$base/nowhere"
        refuses 400 bad_request GET "$base/%2e%2e/secrets/admin.token"
        refuses 404 path_not_found GET "$base/coherence/changes?since=0"
        refuses 404 path_not_found POST "$base/coherence/push" --data-binary 'pygmy-changes 1 0000000000000000 push 1'
    done
}

@test "a HEAD request never buys" {
    local url
    for url in "$order_a/buy/1" "$order_b/buy?id=1" "$frontend/buy?id=1"; do
        http HEAD "$url"
        assert_equal "$code $(header Allow)" '405 GET, POST'
    done
}

@test "bodies: no JSON, broken JSON, the wrong JSON" {
    local item="$catalog_a/item/1" text deep
    refuses 400 body_required PUT "$item" -H "Authorization: Bearer $(admin_token)"
    refuses_body 400 body_required PUT "$item" ' '
    for text in '{' '{"cost":1' '{"cost":1}}' '{"cost":1} x' '{cost:1}' "{'cost':1}" '[1,2' 'nul' '{"cost":01}' '{"cost":1,}' '{"cost":.5}' \
        '{"cost":NaN}' '{"cost":+1}' '[]' '"text"' '1' 'null' '{"cost":1,"cost":2}' '{"count":1,"c\u006funt":2}' '{"cost":1e999}' \
        '{"count":99999999999999999999999}' $'{"cost":1,"\xff":2}' $'\xef\xbb\xbf{"cost":1}' '{"x":"\ud800"}' '{"x":"\u0000"}'; do
        refuses_body 400 bad_json PUT "$item" "$text"
    done
    printf '{"cost":1\0}' >"$store_dir/nul"
    refuses_body 400 bad_json PUT "$item" "@$store_dir/nul"
    deep=$(printf '[%.0s' {1..3000})
    refuses_body 400 bad_json PUT "$item" "{\"cost\":$deep"
    refuses_body 400 bad_json POST "$catalog_b/item/import" "{\"items\":$deep"
    refuses 400 bad_json POST "$frontend/buy" -H "$json_type" --data-binary '{"id":1,"id":2}'
    refuses 400 bad_json POST "$frontend/buy" -H "$json_type" --data-binary '{"id":1'
    refuses 400 body_not_allowed GET "$frontend/buy?id=1" -H "$json_type" --data-binary '{"quantity":1}'
    refuses 400 body_not_allowed DELETE "$item" -H "Authorization: Bearer $(admin_token)" -H "$json_type" --data-binary '{}'
}

@test "bodies: fields that are unknown, missing or not allowed" {
    local item="$catalog_b/item/1" text
    refuses_body 400 unknown_field PUT "$item" '{"cost":1,"title":"no"}'
    refuses_body 400 missing_field PUT "$item" '{}'
    refuses_body 400 invalid_field PUT "$item" '{"count":1,"delta":1}'
    for text in '"cost":-1' '"cost":"1"' '"cost":null' '"cost":1.999' '"cost":1e30' '"cost":true' '"count":-1' '"count":1.5' '"count":"7"' \
        '"count":1000000001' '"count":[]' '"delta":0.5' '"delta":null' '"delta":-1000000001'; do
        refuses_body 400 invalid_field PUT "$item" "{$text}"
    done
    refuses_body 400 missing_field POST "$catalog_a/item" '{"title":"t","topic":"t","cost":1}'
    refuses_body 400 unknown_field POST "$catalog_a/item" '{"id":7,"title":"t","topic":"t","cost":1,"count":1}'
    for text in '"title":"","topic":"t"' '"title":1,"topic":"t"' '"title":"t","topic":""' "\"title\":\"$(printf 'x%.0s' {1..501})\",\"topic\":\"t\"" \
        "\"title\":\"t\",\"topic\":\"$(printf 'x%.0s' {1..101})\"" '"title":"a\nb","topic":"t"' '"title":"t","topic":"a\u007fb"'; do
        refuses_body 400 invalid_field POST "$catalog_a/item" "{$text,\"cost\":1,\"count\":1}"
    done
    refuses_body 400 missing_field POST "$catalog_a/item/import" '{}'
    refuses_body 400 invalid_field POST "$catalog_a/item/import" '{"items":[]}'
    refuses_body 400 invalid_field POST "$catalog_a/item/import" '{"items":{}}'
    refuses_body 400 invalid_field POST "$catalog_a/item/import" '{"items":[1]}'
    refuses_body 400 missing_field POST "$catalog_a/item/import" '{"items":[{"id":9}]}'
    local one='{"id":9,"title":"t","topic":"t","cost":1,"count":1}'
    refuses_body 400 invalid_field POST "$catalog_a/item/import" "{\"items\":[$one,$one]}"
    refuses_body 400 invalid_field POST "$catalog_a/item/import" "{\"items\":[$one],\"replace\":true}"
    refuses_body 400 unknown_field POST "$catalog_a/item/import" "{\"items\":[$one],\"when\":0}"
    for text in '"id":0' '"id":-1' '"id":"1"' '"id":1.0' '"id":null' '"id":1,"quantity":0' '"id":1,"quantity":-1' '"id":1,"quantity":"2"'; do
        refuses 400 invalid_field POST "$frontend/buy" -H "$json_type" --data-binary "{$text}"
    done
    refuses 400 unknown_field POST "$frontend/buy" -H "$json_type" --data-binary '{"id":1,"cost":0}'
    refuses 400 missing_parameter POST "$frontend/buy" -H "$json_type" --data-binary '{"quantity":1}'
    for text in '{}' '{"item_id":1,"id":1}' '{"quantity":1}'; do
        http PUT "$order_a/update" -H "Authorization: Bearer $(peer_token)" -H "$json_type" -H 'Idempotency-Key: k' --data-binary "$text"
        assert_equal "$code" 400 "$text"
    done
}

@test "media types: only JSON in UTF-8" {
    local type
    for type in text/plain application/x-www-form-urlencoded application/jsonp application/xml 'application/json; charset=latin1' ''; do
        refuses 415 unsupported_media_type PUT "$catalog_a/item/1" -H "Authorization: Bearer $(admin_token)" -H "Content-Type: $type" --data-binary '{"cost":1}'
        refuses 415 unsupported_media_type POST "$frontend/buy" -H "Content-Type: $type" --data-binary '{"id":1}'
    done
}

@test "sizes: bodies, query strings, URIs and headers that are too large" {
    head -c 70000 /dev/zero | tr '\0' ' ' >"$store_dir/large"
    head -c 1100000 /dev/zero | tr '\0' ' ' >"$store_dir/larger"
    head -c 70000 /dev/zero >"$store_dir/zeros"
    refuses 413 body_too_large POST "$frontend/buy" -H "$json_type" --data-binary "@$store_dir/large"
    refuses 413 body_too_large POST "$frontend/buy" -H "$json_type" --data-binary "@$store_dir/larger"
    refuses 413 body_too_large POST "$order_a/buy/1" -H "$json_type" --data-binary "@$store_dir/larger"
    refuses_body 413 body_too_large PUT "$catalog_a/item/1" "@$store_dir/large"
    refuses_body 413 body_too_large POST "$catalog_b/item/import" "@$store_dir/larger"
    refuses_body 400 body_required POST "$catalog_b/item/import" "@$store_dir/large"
    refuses 414 query_too_long GET "$catalog_a/item?topic=$(printf 'x%.0s' {1..5000})"
    refuses 414 query_too_long GET "$frontend/search?topic=$(printf 'x%.0s' {1..5000})"
    http GET "$frontend/search?topic=$(printf 'x%.0s' {1..40000})"
    assert_envelope 414
    http GET "$frontend/$(printf 'x%.0s' {1..40000})"
    assert_envelope 414
    http GET "$frontend/lookup?id=1" -H "X-Large: $(printf 'x%.0s' {1..40000})"
    assert_envelope 431
    http GET "$frontend/lookup?id=1" -H "Idempotency-Key: $(printf 'x%.0s' {1..40000})"
    assert_envelope 431
    refuses 400 invalid_parameter GET "$catalog_a/item?$(printf 'topic&%.0s' {1..16})limit"
}

# nginx's own errors: the status and an envelope, whatever the code is called.
assert_envelope() { assert_refused "$1" '[a-z_]+'; }

@test "headers: keys, tags and lengths that are not allowed" {
    local key
    for key in 'with space' 'sl/ash' 'ümlaut' "$(printf 'x%.0s' {1..129})" 'a,b' '"quoted"'; do
        refuses 400 invalid_header POST "$frontend/buy?id=1" -H "Idempotency-Key: $key"
        refuses 400 invalid_header POST "$order_b/buy/1" -H "Idempotency-Key: $key"
    done
    refuses 400 invalid_header POST "$frontend/buy?id=1" -H 'Idempotency-Key;'
    refuses 400 invalid_header POST "$frontend/buy?id=1" -H 'Idempotency-Key: a' -H 'Idempotency-Key: a'
    refuses 400 invalid_header PUT "$catalog_a/item/1" -H "Authorization: Bearer $(admin_token)" -H "$json_type" -H 'If-Match: naked' --data-binary '{"cost":1}'
    refuses 400 invalid_header PUT "$catalog_a/item/1" -H "Authorization: Bearer $(admin_token)" -H "$json_type" -H 'If-Match: "a", "b"' --data-binary '{"cost":1}'
}

@test "raw HTTP that is none is refused by nginx, in the envelope" {
    local port text
    for port in "$PYGMY_PORT_FRONTEND" "$PYGMY_PORT_CATALOG_A" "$PYGMY_PORT_ORDER_B"; do
        for text in 'GARBAGE\r\n\r\n' '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n' 'GET  HTTP/1.1\r\n\r\n' 'get / HTTP/1.1\r\nHost: x\r\n\r\n' \
            'GET /lookup?id=1 HTTP/1.1\r\n\r\n' 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n' 'GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n' \
            'GET /%%00 HTTP/1.1\r\nHost: x\r\n\r\n' 'GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n' 'GET /lookup%%zz HTTP/1.1\r\nHost: x\r\n\r\n' \
            'POST /buy?id=1 HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n' 'POST /buy?id=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1e3\r\n\r\n' \
            'POST /buy?id=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}}' \
            'POST /buy?id=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' \
            'POST /buy?id=1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n'; do
            raw "$port" "$text"
            assert_envelope 400 || { echo "for: $text" && return 1; }
        done
        raw "$port" 'GET / HTTP/9.9\r\nHost: x\r\n\r\n'
        assert_envelope 505
        raw "$port" 'POST /buy?id=1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n\r\n'
        assert_envelope 501
        raw "$port" 'TRACE /buy?id=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
        assert_envelope 405
    done
    # A body that never comes must not be a purchase.
    exec {half}<>"/dev/tcp/127.0.0.1/$PYGMY_PORT_FRONTEND"
    printf 'POST /buy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{"id":1' >&"$half"
    exec {half}>&-
    http GET "$frontend/healthz"
    assert_equal "$code" 200
}

@test "a chunked body is a body like any other" {
    refuses 400 unknown_field POST "$frontend/buy" -H "$json_type" -H 'Transfer-Encoding: chunked' --data-binary '{"id":1,"cost":0}'
    refuses 413 body_too_large POST "$frontend/buy" -H "$json_type" -H 'Transfer-Encoding: chunked' \
        --data-binary "{\"id\":1,\"pad\":\"$(printf 'x%.0s' {1..66000})\"}"
}

@test "workers that do not answer: 504 within the deadline, in the envelope" {
    stopped="$(worker_pid order-A) $(worker_pid order-B)"
    kill -STOP $stopped
    http GET "$order_a/orders" || :
    assert_envelope 504
    kill -CONT $stopped
    stopped=
    wait_until 5 worker_answers "$order_a"
}

worker_answers() { http GET "$1/readyz" && [[ $code == 200 ]]; }

@test "workers that are not there: 502 in the envelope; the cache goes on; a start makes it whole" {
    local name
    warm '/lookup?id=1'
    expect_deaths
    kill -9 "$(supervisor_pid order-A)" "$(supervisor_pid order-B)" "$(worker_pid order-A)" "$(worker_pid order-B)"
    for name in order-A order-B; do wait_until 5 no_worker "$name"; done
    http POST "$frontend/buy?id=1"
    assert_envelope 502
    http GET "$order_a/orders"
    assert_envelope 502
    http GET "$frontend/lookup?id=1"
    assert_equal "$code" 200
    store start
    wait_until 5 worker_answers "$order_b"
}

no_worker() { [[ -z $(worker_pid "$1" 2>/dev/null) ]]; }
