#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2034
# Frontends and nodes of a cluster: an overload is told at once and asked of nobody else; a node counts a client by what the frontend says.

load helpers
load shared_store
load roles

setup() {
    store_setup
    roles_setup
}
teardown() {
    local result=0
    roles_teardown
    shared_store_check || result=1
    store_teardown || result=1
    return "$result"
}

@test "a node that is overloaded is a 503 to the client, stays in the rotation, and no other one is asked" {
    local i
    store_start
    script_start
    node_start A
    frontend_start "C A"
    wait_until 10 frontend_is_leased
    script_set overloaded
    for i in 1 2 3; do
        http POST "$frontend/buy?id=1" --header "Idempotency-Key: over-$i"
        assert_refused 503 overloaded
        assert_equal "$(header Retry-After)" 1
    done
    assert_equal "$(script_requests 'POST /buy') $(order_count 1)" '3 0'
    # A read, too: no stale answer is asked for instead.
    http GET "$frontend/lookup?id=1" --header 'X-Pygmy-Consistency: strict'
    [[ $code == 200 ]] || assert_refused 503 overloaded
    # It is asked again as soon as it has time.
    script_set ok
    http POST "$frontend/buy?id=1"
    assert_equal "$(json .message)" 'Said by the node.'
}

@test "nodes count a client's writes, whoever passes them on, and believe only a frontend who it is" {
    local i taken=0
    export PYGMY_TRUSTED_CLIENTS=none PYGMY_WRITE_RATE=1 PYGMY_WRITE_BURST=5
    store_start
    node_start A
    frontend_start A PYGMY_WRITE_RATE=off
    wait_until 10 frontend_is_leased
    for i in {1..60}; do
        http POST "$frontend/buy?id=2" --interface 127.0.0.2 --header "Idempotency-Key: one-$i"
        if [[ $code == 429 ]]; then break; fi
        taken=$i
    done
    assert_refused 429 rate_limited
    assert_equal "$(header Retry-After) $(header X-Pygmy-Request-Key)" "1 one-$i"
    assert_equal "$(order_count 2)" "$taken"
    # Another client through the same frontend, and nobody by saying that he is one.
    for i in 1 2 3; do
        http POST "$frontend/buy?id=2" --interface 127.0.0.3 --header "Idempotency-Key: two-$i"
        assert_equal "$code" 200
    done
    for i in {1..60}; do
        http POST "$(order_url A)/buy?id=2" --interface 127.0.0.4 --header "Idempotency-Key: three-$i" --header "X-Pygmy-Client: 127.0.1.$i"
        if [[ $code == 429 ]]; then break; fi
    done
    assert_refused 429 rate_limited
}
