#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031
# nginx as a node and as a frontend: who is believed, what is cached, whom it asks when a node does not answer.

load helpers
load shared_store
load roles

setup_file() {
    store_setup
    roles_setup
    export store_dir frontend
    store_start
    # (Other ports may have been chosen.)
    frontend=http://$net.100:$PYGMY_PORT_FRONTEND push_port=$PYGMY_PORT_CATALOG_B
    export frontend push_port
    node_start A
    node_start B
    script_start
    frontend_start "A B"
    wait_until 10 frontend_is_leased
}

setup() {
    script_set ok
    script_set_ready ok
    peer=(-H "Authorization: Bearer $(peer_token)")
    as_frontend=(-H "X-Pygmy-Peer: $(peer_token)")
}

teardown_file() {
    roles_teardown
    shared_store_teardown
}

# The frontend with other nodes or settings, until its cache works again.
frontend_with() {
    role_end frontend
    frontend_start "$@"
}

access_log() { cat "$store_dir/$1/logs/nginx-access.log"; }

# ---- the node ------------------------------------------------------------------------------------

@test "a node answers for its workers" {
    http GET "$(node_url A)/item/1"
    assert_equal "$code $(header Content-Type)" "200 application/json"
    http GET "$(order_url B)/readyz"
    assert_equal "$code" 200
    http POST "$(order_url A)/buy/5"
    assert_equal "$code" 200
    http GET "$(node_url B)/item/5"
    assert_equal "$(json '.item[0].count')" 99
}

@test "a node's own paths for peers need the peer token" {
    local changes
    changes="$(node_url A)/coherence/changes?since=0&log=0000000000000000"
    http GET "$changes"
    assert_refused 401 unauthorized
    assert_equal "$(header WWW-Authenticate)" 'Bearer realm="pygmy"'
    http GET "$changes" -H 'Authorization: Bearer 0000000000000000000000000000000000000000000000000000000000000000'
    assert_refused 401 unauthorized
    http GET "$changes" "${as_frontend[@]}"
    assert_refused 401 unauthorized
    http GET "$changes" "${peer[@]}"
    assert_equal "$code" 200
    [[ $body == 'pygmy-changes 1 '*' reset '* ]]
    http GET "$(order_url A)/coherence/changes?since=0" "${peer[@]}"
    assert_equal "$code" 404
    http POST "$changes" "${peer[@]}"
    assert_equal "$code" 403
    http GET "$(node_url A)/coherence/status" "${peer[@]}"
    assert_equal "$code" 404
    http PUT "$(order_url A)/update" -H 'Idempotency-Key: x' -H 'Content-Type: application/json' -d '{"item_id":1,"quantity":1}'
    assert_refused 401 unauthorized
}

@test "what a frontend says of a request is believed with the peer token only" {
    local id=0123456789abcdef0123456789abcdef key=1700000000.123-0123456789abcdef0123456789abcdef given slot
    given=(-H "X-Request-Id: $id" -H "X-Pygmy-New-Key: $key" -H 'X-Pygmy-Client: 9.8.7.6' -H 'X-Pygmy-Needs-Revision: 999999')
    http POST "$(order_url A)/buy/4" "${given[@]}"
    assert_equal "$code" 200
    [[ $(header X-Request-Id) != "$id" && $(header X-Pygmy-Request-Key) != "$key" ]]
    assert_equal "$(header X-Pygmy-Request-Key)" "$(header X-Pygmy-Request-Key | grep -E "^[0-9.]+-$(header X-Request-Id)$")"
    http POST "$(order_url A)/buy/4" "${given[@]}" -H 'X-Pygmy-Peer: 0000000000000000000000000000000000000000000000000000000000000000'
    [[ $(header X-Request-Id) != "$id" && $(header X-Pygmy-Request-Key) != "$key" ]]
    http POST "$(order_url A)/buy/4" "${given[@]}" "${as_frontend[@]}"
    assert_equal "$code $(header X-Request-Id) $(header X-Pygmy-Request-Key)" "200 $id $key"
    wait_until 5 grep -q "\"request_id\":\"$id\",\"client\":\"9.8.7.6\"" "$store_dir/node-A/logs/nginx-access.log"
    # The cache's terms: which slot the answer is cached for, and from which position on.
    slot=(-H 'X-Pygmy-Slot: 1')
    http GET "$(node_url A)/item/1" "${slot[@]}" -H 'X-Pygmy-Needs-Revision: 999999'
    assert_equal "$code $(header X-Accel-Expires)" '200 0'
    http GET "$(node_url A)/item/1" -H 'X-Pygmy-Needs-Revision: 999999' "${as_frontend[@]}"
    assert_refused 503 behind
    # The token names nobody who may change something.
    http PUT "$(node_url A)/item/1" "${as_frontend[@]}" -H 'Content-Type: application/json' -d '{"cost":1}'
    assert_refused 401 unauthorized
}

@test "the logs beside a node's nginx are cut when they get too long" {
    local log=$store_dir/node-A/logs/etcd-A.log
    (yes 'a line of etcd' || :) | head -c $((17 * 1024 * 1024)) >"$log"
    if [[ $EUID -eq 0 ]]; then chown pygmy:pygmy "$log"; fi
    is_cut() { [[ $(stat -c %s "$log") -lt 1000 && $(stat -c %s "$log.1") -eq $((17 * 1024 * 1024)) ]]; }
    wait_until 10 is_cut
    rm -f "$log"*
}

# ---- the frontend --------------------------------------------------------------------------------

@test "a frontend caches what nodes answer, and shows each acknowledged write" {
    local i
    warm '/lookup?id=1'
    warm '/search?topic=distributed%20systems'
    warm '/lookup?id=4711'
    assert_equal "$code" 404
    for i in 1 2 3 4; do
        http POST "$frontend/buy?id=1"
        assert_equal "$code" 200
        assert_cached 'miss 200' '/lookup?id=1'
        assert_equal "$(json '.item[0].count')" $((100 - i))
        assert_cached 'hit 200' '/lookup?id=1'
        assert_cached 'miss 200' '/search?topic=distributed%20systems'
    done
    http HEAD "$frontend/lookup?id=1"
    is_hit
    http GET "$frontend/lookup?id=1" -H "If-None-Match: $(header ETag)"
    assert_equal "$code" 304
    assert_equal "$(grep -ci '^X-Request-Id:' <<<"$headers")$(grep -ci '^X-Accel' <<<"$headers")" 00
}

@test "a frontend passes on who asks for a position, or for the newest" {
    http GET "$frontend/lookup?id=1" -H 'X-Pygmy-Consistency: strict'
    assert_equal "$code $(header Cache-Status)" '200 pygmy; fwd=bypass'
    http GET "$frontend/lookup?id=1" -H 'X-Pygmy-Min-Revision: 2'
    assert_equal "$code $(header Cache-Status)" '200 pygmy; fwd=bypass'
    http GET "$frontend/lookup?id=1" -H 'X-Pygmy-Min-Revision: 999999'
    assert_refused 503 behind
    assert_equal "$(header Retry-After)" 1
    # That says nothing about the nodes: both are asked as before.
    http GET "$frontend/lookup?id=2"
    assert_equal "$code $(header Cache-Status)" '200 pygmy; fwd=uri-miss'
    http GET "$frontend/lookup" # what the cache has no key for
    assert_refused 400 missing_parameter
    http GET "$frontend/lookup?id=1" -H 'Transfer-Encoding: chunked' -H 'Content-Type: text/plain' --data-binary x
    assert_refused 400 bad_request
}

@test "one id and one key from the frontend to the worker" {
    local id key
    http POST "$frontend/buy?id=3"
    id=$(header X-Request-Id) key=$(header X-Pygmy-Request-Key)
    assert_equal "$key" "$(grep -E "^[0-9]+\.[0-9]+-$id$" <<<"$key")"
    wait_until 5 grep -q "\"request_id\":\"$id\"" "$store_dir/frontend/logs/nginx-access.log"
    wait_until 5 grep -rq "\"request_id\":\"$id\"" "$store_dir"/node-*/logs/nginx-access.log
    grep -q "$key" "$PYGMY_STATE_DIR"/logs/order-*.transactions.log
    # The client may ask again with it, at whichever node.
    http POST "$(order_url A)/buy/3" -H "Idempotency-Key: $key"
    assert_equal "$code" 200
    http POST "$frontend/buy?id=3" -H "Idempotency-Key: $key"
    assert_equal "$code $(order_count 3)" '200 1'
}

@test "what a client says in the headers between machines does not leave the frontend" {
    local name
    frontend_with C
    http GET "$frontend/lookup?id=1" -H 'X-Request-Id: 0123456789abcdef0123456789abcdef' -H 'X-Pygmy-Peer: forged' -H 'X-Pygmy-Slot: 5' \
        -H 'X-Pygmy-Needs-Revision: 7' -H 'X-Pygmy-Needs-Newest: 0' -H 'X-Pygmy-New-Key: forged' -H 'X-Pygmy-Allow-Stale: 1' -H 'X-Pygmy-Client: forged'
    assert_equal "$code" 200
    for name in X-Pygmy-Slot X-Pygmy-Needs-Revision X-Pygmy-New-Key X-Pygmy-Allow-Stale; do
        assert_equal "$(script_header 'GET /lookup' "$name")" '' "$name"
    done
    assert_equal "$(script_header 'GET /lookup' X-Pygmy-Needs-Newest)" 1
    assert_equal "$(script_header 'GET /lookup' X-Pygmy-Peer)" "$(peer_token)"
    assert_equal "$(script_header 'GET /lookup' X-Request-Id)" "$(header X-Request-Id)"
    assert_equal "$(script_header 'GET /lookup' X-Pygmy-Client)" 127.0.0.1
    http POST "$frontend/buy?id=1" -H 'X-Pygmy-New-Key: forged'
    assert_equal "$(script_header 'POST /buy' X-Pygmy-New-Key)" "$(script_header 'POST /buy' X-Pygmy-New-Key | grep -E '^[0-9.]+-[0-9a-f]{32}$')"
    assert_equal "$(script_header 'POST /buy' Authorization)" ''
    assert_equal "$(script_header 'GET /coherence/changes' Authorization)" "Bearer $(peer_token)"
}

@test "the port for pushes: peers only" {
    local port=http://$net.100:$push_port text
    frontend_with "A B"
    wait_until 10 frontend_is_leased
    text="pygmy-changes 1 $(frontend_status | jq -r .log_id) push 1"$'\n''1 100'$'\n'
    http POST "$port/coherence/push" --data-binary "$text"
    assert_refused 401 unauthorized
    http POST "$port/coherence/push" --data-binary "$text" "${as_frontend[@]}"
    assert_refused 401 unauthorized
    http POST "$port/coherence/push" --data-binary "$text" "${peer[@]}"
    assert_equal "$code" 204
    http POST "$port/coherence/push" --data-binary nonsense "${peer[@]}"
    assert_equal "$code" 400
    http GET "$port/coherence/push" "${peer[@]}"
    assert_equal "$code" 403
    http GET "$port/coherence/status" "${peer[@]}"
    assert_equal "$code $(json .leased)" '200 true'
    http GET "$port/coherence/status"
    assert_refused 401 unauthorized
    http GET "$port/lookup?id=1" "${peer[@]}"
    assert_equal "$code" 404
    # Not on the public port.
    http GET "$frontend/coherence/status" "${peer[@]}"
    assert_equal "$code" 404
    http POST "$frontend/coherence/push" --data-binary "$text" "${peer[@]}"
    assert_equal "$code" 404
}

# ---- nodes that fail -----------------------------------------------------------------------------

@test "a dead node costs no request; when it is back it is asked again" {
    local i before
    frontend_with "A B"
    wait_until 10 frontend_is_leased
    role_end node-B KILL
    for i in {1..20}; do
        http POST "$frontend/buy?id=6"
        assert_equal "$code" 200
        http GET "$frontend/lookup?id=6"
        assert_equal "$code $(json '.item[0].count')" "200 $((100 - i))"
        http GET "$frontend/search?topic=none-$i"
        assert_equal "$code" 200
    done
    node_start B
    before=$(access_log node-B | wc -l)
    asked_again() { http GET "$frontend/search?topic=again-$RANDOM$RANDOM" && [[ $(access_log node-B | wc -l) -gt $before ]]; }
    wait_until 20 asked_again
}

@test "a killed worker costs no request" {
    local i
    expect_deaths
    for i in {1..10}; do
        kill_worker "order-$([[ $((i % 2)) == 0 ]] && echo A || echo B)"
        http POST "$frontend/buy?id=2"
        assert_equal "$code" 200
        kill_worker "catalog-$([[ $((i % 2)) == 0 ]] && echo A || echo B)"
        http GET "$frontend/lookup?id=2" -H 'If-Match: *'
        assert_equal "$code" 200
    done
    assert_equal "$(order_count 2)" 10
}

@test "a node that hangs, drops or refuses: the other one is asked, a write under the same key" {
    local manner id=1000
    frontend_with "C A"
    for manner in drop 503 hang; do
        script_set "$manner"
        asked_both() {
            local before
            before=$(script_requests 'POST /buy')
            http POST "$frontend/buy?id=5"
            assert_equal "$code" 200
            [[ $(script_requests 'POST /buy') -gt $before ]]
        }
        # (One that has just failed is left out until a probe finds it ready.)
        wait_until 20 asked_both
        assert_equal "$(script_header 'POST /buy' X-Pygmy-New-Key)" "$(header X-Pygmy-Request-Key)"
        read_both() {
            local before
            before=$(script_requests 'GET /search')
            http GET "$frontend/search?topic=$manner-$((++id))"
            assert_equal "$code" 200
            [[ $(script_requests 'GET /search') -gt $before ]]
        }
        wait_until 20 read_both
    done
    # All orders were made by A, one for each request that was answered.
    assert_equal "$(sql 'SELECT count(*) FROM orders WHERE item_id = 5')" "$(sql 'SELECT count(DISTINCT request_key) FROM orders WHERE item_id = 5')"
}

@test "a node that says that it is not ready is not asked, whatever it would answer" {
    local before i
    frontend_with "C A"
    script_set_ready 503
    is_unready() { [[ $(curl -s "$frontend/nodes" | jq -c '[.nodes[0] | .catalog, .order]') == '["unready","unready"]' ]]; }
    wait_until 10 is_unready
    before=$(script_requests /buy)+$(script_requests /search)
    for i in {1..10}; do
        http POST "$frontend/buy?id=7"
        assert_equal "$code" 200
        http GET "$frontend/search?topic=unready-$i"
        assert_equal "$code" 200
    done
    assert_equal "$(script_requests /buy)+$(script_requests /search)" "$before"
    # When there is no other one, it is.
    frontend_with C
    wait_until 10 is_unready
    http POST "$frontend/buy?id=7"
    assert_equal "$code" 200
    script_set_ready ok
    is_in() { [[ $(curl -s "$frontend/nodes" | jq -c '[.nodes[0] | .catalog, .order]') == '["in","in"]' ]]; }
    wait_until 10 is_in
}

@test "a last answer that says 'nothing was changed' does not hide an earlier unknown outcome" {
    local manner
    frontend_with C
    for manner in unknown-once unknown; do
        script_set "$manner"
        http POST "$frontend/buy?id=1"
        assert_refused 503 outcome_unknown
        assert_equal "$(header Retry-After)" 1
        assert_equal "$(header X-Pygmy-Request-Key)" "$(script_header 'POST /buy' X-Pygmy-New-Key)"
    done
    # When every try said that nothing was changed, that is what the client is told.
    script_set 503
    http POST "$frontend/buy?id=1"
    assert_refused 503 no_quorum
}

@test "no node can answer a read: a stale one is asked for, says so and is not kept" {
    local i
    frontend_with C
    script_set stale
    for i in 1 2 3; do
        http GET "$frontend/lookup?id=1"
        assert_equal "$code $(header X-Pygmy-Stale-Ms) $(header Cache-Status)" '200 1234 pygmy; fwd=bypass'
        assert_equal "$(script_header 'GET /lookup' X-Pygmy-Allow-Stale)" 1
    done
    # A node that is well again meanwhile answers as on its own port: maybe a lease's time behind the newest.
    script_set late
    http GET "$frontend/lookup?id=1"
    assert_equal "$code $(header X-Pygmy-Stale-Ms)" '200 2000'
    script_set stale
    # Not for who asks for a position or for the newest; that one gets what the node says.
    http GET "$frontend/lookup?id=1" -H 'X-Pygmy-Consistency: strict'
    assert_refused 503 no_quorum
    assert_equal "$(header Retry-After) $(header X-Pygmy-Stale-Ms)" '1 '
    # A node that can't do even that has the last word.
    script_set 503
    http GET "$frontend/lookup?id=1"
    assert_refused 503 no_quorum
    assert_equal "$(header Retry-After)" 1
    # Writes are answered by the node as ever.
    for i in 1 2 3; do
        http POST "$frontend/buy?id=1"
        assert_refused 503 no_quorum
        assert_equal "$(header Retry-After)" 1
    done
    # No node at all.
    role_end script
    http GET "$frontend/lookup?id=1"
    assert_refused 502 no_worker
    http POST "$frontend/buy?id=1"
    assert_refused 502 outcome_unknown
    script_start
}

@test "stale answers can be turned off" {
    local i
    frontend_with C PYGMY_STALE_READS=off
    script_set stale
    for i in 1 2 3; do
        http GET "$frontend/lookup?id=1"
        assert_refused 503 no_quorum
        assert_equal "$(header Retry-After) $(script_header 'GET /lookup' X-Pygmy-Allow-Stale)" '1 '
    done
}

@test "a frontend takes on another node without losing a request" {
    local i before
    frontend_with A
    wait_until 10 frontend_is_leased
    before=$(access_log node-B | wc -l)
    for i in {1..30}; do
        if [[ $i == 10 ]]; then frontend_reload "A B"; fi
        http GET "$frontend/search?topic=reload-$i"
        assert_equal "$code" 200
    done
    asked_b() { http GET "$frontend/search?topic=asked-$RANDOM$RANDOM" && [[ $(access_log node-B | wc -l) -gt $before ]]; }
    wait_until 10 asked_b
    frontend_is_leased
}

# ---- taking a machine out of service ---------------------------------------------------------------

@test "a machine that is drained says so at /readyz, and goes on answering everything" {
    local url mark
    for url in "$(node_url A)" "$(order_url A)" "$frontend"; do
        mark=$store_dir/node-A/run/draining
        if [[ $url == "$frontend" ]]; then mark=$store_dir/frontend/run/draining; fi
        http GET "$url/readyz"
        assert_equal "$code $(json .status)" '200 Success'
        # (Twice: what was found once must not be remembered.)
        for _ in 1 2; do
            as_owner touch "$mark"
            http GET "$url/readyz"
            assert_refused 503 draining
            assert_equal "$(header Retry-After)" 1
            [[ $(header X-Request-Id) =~ ^[0-9a-f]{32}$ ]]
            http GET "$url/readyz?verbose"
            assert_equal "$code" 200
            http GET "$(node_url B)/readyz"
            assert_equal "$code" 200
            rm "$mark"
            http GET "$url/readyz"
            assert_equal "$code" 200
        done
    done
    as_owner touch "$store_dir/node-A/run/draining" "$store_dir/frontend/run/draining"
    http GET "$(node_url A)/item/1"
    assert_equal "$code" 200
    http POST "$(order_url A)/buy/1"
    assert_equal "$code" 200
    http POST "$frontend/buy?id=1"
    assert_equal "$code" 200
    http POST "$frontend/readyz"
    assert_refused 405 method_not_allowed
    rm "$store_dir/node-A/run/draining" "$store_dir/frontend/run/draining"
}

@test "before nginx stops, every answer ends its connection" {
    local path mark=$store_dir/frontend/run/closing
    warm '/lookup?id=1'
    is_kept() { http "${2:-GET}" "$frontend$1" && [[ $(header Connection) == keep-alive ]]; }
    is_closed() { http "${2:-GET}" "$frontend$1" && [[ $(header Connection) == close ]]; }
    is_kept '/lookup?id=1'
    as_owner touch "$mark"
    wait_until 2 is_closed '/lookup?id=1'
    is_hit
    for path in / '/search?topic=x&limit=1' /nothing /healthz '/lookup?id=x'; do is_closed "$path"; done
    is_closed '/buy?id=1' POST
    rm "$mark"
    wait_until 2 is_kept '/lookup?id=1'
}

@test "a frontend without its public port finishes what it has begun, and still takes pushes" {
    local asked
    frontend_with C
    script_set slow
    curl -s --max-time 10 -o "$store_dir/begun" -w '%{http_code}' "$frontend/lookup?id=3&x=1" >"$store_dir/begun.code" 3>&- &
    asked=$!
    is_asked() { [[ $(script_requests 'GET /lookup?id=3') -gt 0 ]]; }
    wait_until 5 is_asked
    frontend_reload C PYGMY_PUBLIC=off
    is_refused() { ! curl -s --max-time 2 -o /dev/null "$frontend/healthz"; }
    wait_until 5 is_refused
    http GET "http://$net.100:$push_port/coherence/status" "${peer[@]}"
    assert_equal "$code" 200
    wait "$asked"
    assert_equal "$(cat "$store_dir/begun.code")" 200
    script_set ok
    frontend_with 'A B'
    wait_until 10 frontend_is_leased
}

@test "the peer token is in no log, on no command line, and in files for their owner alone" {
    local token
    token=$(peer_token)
    assert_equal "$(grep -rlF "$token" "$store_dir"/*/logs)" ''
    assert_equal "$(grep -rlF "$token" "$store_dir"/*/run | sed "s|^$store_dir/||" | sort | tr '\n' ' ')" \
        "$(printf '%s ' frontend/run/nginx/conf/peer/{bearer,credentials,header}.conf node-{A,B}/run/nginx/conf/peer/{bearer,credentials,header}.conf)"
    assert_equal "$(grep -rlF "$token" "$store_dir"/*/run | xargs stat -c %a | sort -u)" 600
    for role in frontend node-A node-B; do
        assert_equal "$(grep -lF "$token" "/proc/$(cat "$store_dir/$role/run/nginx.pid")"/{cmdline,environ})" ''
    done
}

@test "settings that make no sense are refused with a sentence" {
    local wrong
    for wrong in PYGMY_ROLE=nonsense PYGMY_CATALOG_URL= PYGMY_CATALOG_URL=ftp://x:1 PYGMY_CATALOG_URL='http://x:1;' PYGMY_CATALOG_URL=https://x:1 \
        PYGMY_STALE_READS=maybe PYGMY_PEER_CA=/etc/hostname PYGMY_PORT_PUSH=0 PYGMY_SECRETS_DIR=/nonexistent; do
        run role_render wrong frontend PYGMY_CATALOG_URL=http://x:1 PYGMY_ORDER_URL=http://x:2 "$wrong"
        assert_equal "$status" 2 "$wrong: $output"
        assert_contains "$output" "render.sh: "
    done
    run role_render wrong node PYGMY_NODE='a b'
    assert_equal "$status" 2 "$output"
    rm -rf "$store_dir/wrong"
}
