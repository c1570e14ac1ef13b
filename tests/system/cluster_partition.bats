#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2034
# A node that the others can't reach, in network namespaces: a bridge, and each node behind a cable of its own. Who is cut off says so and
# serves nothing that may be old; the others go on; when the cable is back, all are the same.

load helpers
load cluster
load namespaces

rounds=${CLUSTER_TEST_ROUNDS:-1}

setup_file() { namespaces_setup; }
setup() {
    namespaces_names
}
teardown() {
    heal
    cluster_check
}
teardown_file() { namespaces_teardown; }

only_unknown_outcomes() {
    no_read_failed
    assert_equal "$(report '[.writes.failures | keys[] | select(. != "outcome_unknown" and . != "no_quorum")]')" '[]'
}

@test "a follower node is unplugged: no failed request, and it comes back by itself" {
    local round node
    for ((round = 0; round < rounds; round++)); do
        node=$(followers | shuf -n 1)
        traffic_begin
        random_moment 20
        unplug "$node"
        sleep 4
        heal
        wait_until 20 is_ready "$node"
        traffic_end
        no_request_failed
        replicas_are_same
    done
}

@test "the node with etcd's leader is unplugged: reads go on, purchases wait for the election" {
    local round node
    for ((round = 0; round < rounds; round++)); do
        node=$(leader)
        traffic_begin
        random_moment 20
        unplug "$node"
        sleep 4
        heal
        wait_until 20 is_ready "$node"
        traffic_end
        only_unknown_outcomes
        [[ $(report .writes.longest_stall_ms) -lt 5000 ]]
        replicas_are_same
    done
}

# Whether node $1 gives an answer to a plain read.
reads_at() { [[ $(ask "${catalog_of[$1]}/lookup?id=${items[0]}" -o /dev/null -w '%{http_code}') == 200 ]]; }

@test "a node is cut off from its peers, but not from its customers: it serves nothing that may be old" {
    local node=A until began
    traffic_begin
    sleep 1
    cut_from_peers "$node"
    sleep 3
    for _ in {1..20}; do
        if reads_at "$node"; then echo 'a cut-off node answers as if it were fresh' && return 1; fi
        sleep 0.05
    done
    # It says how old what it has is, when that is wanted.
    http GET "${catalog_of[$node]}/lookup?id=${items[0]}" -H 'X-Pygmy-Allow-Stale: 1'
    assert_equal "$code" 200
    [[ $(header X-Pygmy-Stale-Ms) -gt 2000 ]]
    began=$SECONDS
    http POST "${order_of[$node]}/buy?id=${items[0]}" -H 'Idempotency-Key: while-cut-off'
    assert_equal "$code" 503 "$body"
    [[ $((SECONDS - began)) -le 2 ]]
    heal
    wait_until 20 is_ready "$node"
    traffic_end
    only_unknown_outcomes
    assert_equal "$(report .reads.stale)" 0 'there were nodes that could be fresh'
    buy "${items[0]}" "${order_of[B]}" while-cut-off
    replicas_are_same
}

@test "a node hears the others, but they do not hear it; and the other way round" {
    local node other
    for node in B C; do
        traffic_begin
        sleep 1
        for other in $(others_of "$node"); do
            if [[ $node == B ]]; then block "$node" "$other"; else block "$other" "$node"; fi
        done
        sleep 4
        heal
        wait_until 20 is_ready "$node"
        traffic_end
        only_unknown_outcomes
        replicas_are_same
    done
}

@test "the frontend can't reach a node: no failed request" {
    traffic_begin
    sleep 1
    block frontend B
    sleep 4
    heal
    wait_until 20 is_ready B
    traffic_end
    only_unknown_outcomes
    replicas_are_same
}

@test "nobody hears anybody: purchases answer 503, reads say how old they are; then all is well" {
    traffic_begin --settle-seconds 60
    sleep 1
    for node in A B C; do cut_from_peers "$node"; done
    sleep 5
    http GET "$frontend/lookup?id=${items[1]}"
    assert_equal "$code" 200
    [[ $(header X-Pygmy-Stale-Ms) -gt 2000 ]]
    heal
    whole
    traffic_end
    only_unknown_outcomes
    [[ $(report .reads.stale) -gt 0 ]]
    replicas_are_same
}
