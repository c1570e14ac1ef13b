#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031
# What must not be seen, reached or forged.

load helpers
load shared_store

setup_file() { shared_store_setup; }
teardown() { shared_store_check; }
teardown_file() { shared_store_teardown; }

@test "tokens: 64 hex digits, made on first start, one unlike the other; nobody else's to read" {
    [[ $(cat "$PYGMY_STATE_DIR/secrets/admin.token") =~ ^[0-9a-f]{64}$ && $(cat "$PYGMY_STATE_DIR/secrets/peer.token") =~ ^[0-9a-f]{64}$ ]]
    [[ $(admin_token) != "$(peer_token)" ]]
    assert_equal "$(stat -c %a "$PYGMY_STATE_DIR/secrets" "$PYGMY_STATE_DIR/secrets"/*.token | tr '\n' ' ')" '700 600 600 '
}

@test "no secret in logs, arguments, environments, settings or what operators see" {
    local base file
    # Requests that a careless log would keep.
    admin PUT "$catalog_a/item/1" '{"cost":10}'
    admin PUT "$catalog_a/item/1" '{"cost":-1}'
    admin PUT "$catalog_a/item/propagate/1" '{"cost":1}' -H 'Idempotency-Key: x'
    peer PUT "$order_a/update" '{"item_id":98765,"quantity":1}' -H 'Idempotency-Key: x'
    http GET "$frontend/lookup?id=1&token=x" -H "Authorization: Bearer $(admin_token)"
    http GET "$frontend/nowhere" -H "Authorization: Bearer $(admin_token)"
    raw "$PYGMY_PORT_CATALOG_A" "GET /\\\\x00 HTTP/1.1\r\nAuthorization: Bearer $(admin_token)\r\n\r\n"
    for base in "$catalog_a" "$order_b"; do
        for file in status metrics 'readyz?verbose'; do
            http GET "$base/$file"
            assert_lacks "$body" "$(admin_token)"
            assert_lacks "$body" "$(peer_token)"
        done
    done
    # The access log is written with a delay.
    logged() { grep -q 'GET /nowhere\|/nowhere' "$PYGMY_STATE_DIR/logs/nginx-access.log"; }
    wait_until 5 logged
    printf '%s\n%s\n' "$(admin_token)" "$(peer_token)" >"$store_dir/secrets"
    assert_equal "$(grep -rlF -f "$store_dir/secrets" "$PYGMY_STATE_DIR/logs" "$PYGMY_STATE_DIR/app" "$PYGMY_RUN_DIR" "$PYGMY_CLIENT_ENV" 2>/dev/null)" ''
    for file in $(store_processes); do
        assert_equal "$(cat "/proc/$file/cmdline" "/proc/$file/environ" 2>/dev/null | grep -acF -f "$store_dir/secrets")" 0
    done
}

@test "files and sockets: nothing that group or others could read, write or connect to" {
    http POST "$frontend/buy?id=1"
    wait_until 5 warm '/lookup?id=1'
    assert_equal "$(stat -c %a "$PYGMY_STATE_DIR" "$PYGMY_RUN_DIR" | tr '\n' ' ')" '700 700 '
    # (The installed program is no secret; it lies in a folder that is closed.)
    assert_equal "$(find "$PYGMY_STATE_DIR" "$PYGMY_RUN_DIR" -path "$PYGMY_STATE_DIR/app" -prune -o ! -type l -perm /077 -printf '%m %p\n')" ''
    assert_equal "$(find "$PYGMY_RUN_DIR" -type s -printf '%f %m\n' | sort | tr '\n' ' ')" \
        'catalog-A.sock 600 catalog-B.sock 600 frontend.sock 600 order-A.sock 600 order-B.sock 600 '
    assert_equal "$(find "$PYGMY_STATE_DIR" -name 'store.db*' -printf '%m\n' | sort -u)" 600
    assert_equal "$(find "$PYGMY_STATE_DIR" "$PYGMY_RUN_DIR" -type f -perm /6000)" ''
    if [[ $EUID -eq 0 ]]; then
        run setpriv --reuid=nobody --regid=nogroup --clear-groups cat "$PYGMY_STATE_DIR/secrets/admin.token" "$PYGMY_STATE_DIR/store.db"
        [[ $status -ne 0 && $output == *'Permission denied'* ]]
    fi
}

@test "started by root, nothing runs as root, and nothing can become it" {
    [[ $EUID -eq 0 ]] || skip 'these tests are run by an ordinary user: so is the store'
    local pid count=0
    for pid in $(store_processes); do
        assert_equal "$(awk '/^(Uid|Gid):/ {print $2, $3, $4, $5}' "/proc/$pid/status" | tr ' ' '\n' | sort -u | grep -cx 0)" 0 "process $pid"
        assert_equal "$(awk '/^Groups:/ {$1 = ""; print}' "/proc/$pid/status" | grep -cw 0)" 0
        assert_equal "$(awk '/^CapEff:/ {print $2}' "/proc/$pid/status")" 0000000000000000
        assert_equal "$(awk '/^NoNewPrivs:/ {print $2}' "/proc/$pid/status")" 1
        count=$((count + 1))
    done
    [[ $count -ge 10 ]]
    assert_equal "$(find "$PYGMY_STATE_DIR" "$PYGMY_RUN_DIR" -user root -printf '%p\n')" ''
}

@test "the store listens where it was told, and nowhere else" {
    local pid ports=''
    for pid in $(store_processes); do ports+=$(ss -Hltnp 2>/dev/null | grep "pid=$pid," | awk '{print $4}')$'\n'; done
    assert_equal "$(sort -u <<<"$ports" | grep . | tr '\n' ' ')" \
        "$(printf '127.0.0.1:%s ' "$PYGMY_PORT_FRONTEND" "$PYGMY_PORT_CATALOG_A" "$PYGMY_PORT_CATALOG_B" "$PYGMY_PORT_ORDER_A" "$PYGMY_PORT_ORDER_B" "$PYGMY_PORT_METRICS")"
}

@test "the frontend's private paths do not exist on public ports, however they are spelled" {
    local base path
    for base in "$frontend" "$catalog_a" "$catalog_b" "$order_a" "$order_b"; do
        for path in '/coherence/changes?since=0' /coherence/push /coherence/status //coherence/status /./coherence/status /x/../coherence/changes?since=0 \
            /%63oherence/status /coherence%2Fstatus /coherence/ /coherence /COHERENCE/status; do
            for method in GET POST; do
                http "$method" "$base$path" --path-as-is -H 'Pygmy-Private: 1' -H 'PYGMY_PRIVATE: 1' -H 'HTTP_PYGMY_PRIVATE: 1'
                assert_refused 404 path_not_found || { echo "$method $base$path" && return 1; }
            done
        done
    done
    for path in /.error /@no_answer /../app/nginx/coherence.lua /nginx.conf; do
        http GET "$frontend$path" --path-as-is
        [[ $code == 404 || $code == 400 ]]
    done
}

@test "a push from a client is not taken: what the cache holds stays" {
    wait_until 5 warm '/lookup?id=3'
    http POST "$frontend/coherence/push" -H 'Content-Type: text/plain' --data-binary $'pygmy-changes 1 0000000000000000 push 99999\n99999 1 2 3\n'
    assert_equal "$code" 404
    assert_cached 'hit 200' '/lookup?id=3'
}

@test "forged headers: nginx's own parameters cannot be set from outside, and no answer is changed for others" {
    local before expected forged=(
        -H 'Pygmy-Slot: 1' -H 'PYGMY_SLOT: 1' -H 'Pygmy-Min-Revision: 999999' -H 'Pygmy-Request-Key: forged' -H 'PYGMY_REQUEST_KEY: forged'
        -H 'X-Pygmy-Request-Key: forged' -H 'Idempotency_Key: forged' -H 'X-Accel-Expires: 99999' -H 'X-Accel-Redirect: /coherence/status'
        -H 'X-Pygmy-Changed: 1' -H 'X-Pygmy-Revision: 1' -H 'Document-Uri: /item/7' -H 'Query-String: id=7' -H 'Request-Method: DELETE'
        -H 'X-HTTP-Method-Override: DELETE' -H 'X-Original-URL: /lookup?id=7' -H 'X-Forwarded-Host: evil.example' -H 'Proxy: http://evil.example'
        -H 'Cookie: a=b' -H 'Accept-Encoding: gzip, br' -H 'Range: bytes=0-3' -H 'Host: evil.example' -H 'Cache-Control: no-store' -H 'Pragma: no-cache'
        -H 'Status: 500' -H 'Content-Encoding: gzip'
    )
    http GET "$catalog_b/item/2"
    expected=$body
    admin PUT "$catalog_a/item/2" '{"delta":0}' # so that the next answer is a miss
    http GET "$frontend/lookup?id=2" "${forged[@]}"
    [[ $code == 200 || $code == 206 ]]
    assert_lacks "$headers" evil
    for _ in 1 2; do
        http GET "$frontend/lookup?id=2"
        assert_equal "$code $body" "200 $expected"
    done
    http GET "$catalog_a/item/2" "${forged[@]}"
    [[ $code == 200 || $code == 206 ]]
    # A purchase with forged keys is a new purchase each time, under a key of nginx's.
    before=$(sql 'SELECT count(*) FROM orders')
    http POST "$frontend/buy?id=2" "${forged[@]}"
    [[ $code == 200 && $(header X-Pygmy-Request-Key) != *forged* ]]
    http POST "$frontend/buy?id=2" "${forged[@]}"
    assert_equal "$code $(sql 'SELECT count(*) FROM orders')" "200 $((before + 2))"
    # `Connection` does not take a header away from the worker.
    http POST "$frontend/buy?id=2" -H 'Idempotency-Key: kept' -H 'Connection: Idempotency-Key'
    http POST "$frontend/buy?id=2" -H 'Idempotency-Key: kept' -H 'Connection: Idempotency-Key, X-Pygmy-Min-Revision'
    assert_equal "$code $(sql 'SELECT count(*) FROM orders')" "200 $((before + 3))"
    # An absolute request target names no other host.
    raw "$PYGMY_PORT_FRONTEND" 'GET http://evil.example/lookup?id=2 HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n'
    assert_equal "$code $(json '.item[0].id')" '200 2'
    http GET "$frontend/lookup?id=2"
    assert_equal "$(json '.item[0].id')" 2
}

@test "requests that are smuggled behind others are not carried out" {
    local before
    before=$(sql 'SELECT count(*) FROM orders')
    raw "$PYGMY_PORT_FRONTEND" 'POST /lookup?id=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 52\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\nPOST /buy?id=1 HTTP/1.1\r\nHost: x\r\nX: y\r\n\r\n' 1
    raw "$PYGMY_PORT_ORDER_A" 'GET /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 42\r\nConnection: close\r\n\r\nPOST /buy/1 HTTP/1.1\r\nHost: x\r\nX: yyyy\r\n\r\n' 1
    assert_equal "$(sql 'SELECT count(*) FROM orders')" "$before"
    http GET "$order_a/orders"
    assert_equal "$code" 200 'the connection to the worker is still in step'
}
