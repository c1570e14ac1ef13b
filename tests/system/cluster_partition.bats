#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2034
# A node that the others can't reach, in network namespaces: a bridge, and each node behind a cable of its own. Who is cut off says so and
# serves nothing that may be old; the others go on; when the cable is back, all are the same.

load helpers
load cluster

rounds=${CLUSTER_TEST_ROUNDS:-1}

# The hub is the machine of the frontend and of the customers.
setup_file() {
    [[ $EUID -eq 0 ]] || skip 'this needs the right to make network namespaces (root)'
    cluster_setup
    export hub=pygmy$$-hub
    ip netns add "$hub" 2>"$store_dir/netns" || {
        rm -rf -- "$store_dir"
        skip "this needs the right to make network namespaces: $(head -n 1 "$store_dir/netns")"
    }
    net_words=(ip netns exec "$hub")
    export PYGMY_CLUSTER_NET=10.$((RANDOM % 200 + 20)).$((RANDOM % 250 + 1))
    export PYGMY_LISTEN=$PYGMY_CLUSTER_NET.100
    make_hub
    # Made in one place, then each node moves behind its cable, with its address.
    cluster_start
    cluster stop node-A node-B node-C
    for node in A B C; do make_cable "$node"; done
    for node in A B C; do start_node "$node"; done
    whole
}
setup() {
    net_words=(ip netns exec "$hub")
    cluster_names
}
teardown() {
    heal
    cluster_check
}
teardown_file() {
    local node result=0
    [[ -n ${hub:-} ]] || return 0
    net_words=(ip netns exec "$hub")
    cluster_teardown || result=1
    for node in A B C; do if [[ -e /run/netns/$(space_of "$node") ]]; then ip netns del "$(space_of "$node")" || result=1; fi; done
    ip netns del "$hub" || result=1
    return "$result"
}

# helpers.bash's http, from where the customers are.
curl() { command "${net_words[@]}" curl "$@"; }

space_of() { printf '%s-%s' "${hub%-hub}" "$1"; }

make_hub() {
    local node
    ip -n "$hub" link set lo up
    ip -n "$hub" link add br0 type bridge
    ip -n "$hub" addr add "$PYGMY_LISTEN/24" dev br0
    for node in A B C; do ip -n "$hub" addr add "$(address_of "$node")/24" dev br0; done
    ip -n "$hub" link set br0 up
}

make_cable() {
    local space
    space=$(space_of "$1")
    ip -n "$hub" addr del "$(address_of "$1")/24" dev br0
    ip netns add "$space"
    ip -n "$space" link set lo up
    ip -n "$hub" link add "to-$1" type veth peer name eth0 netns "$space"
    ip -n "$hub" link set "to-$1" master br0 up
    ip -n "$space" addr add "$(address_of "$1")/24" dev eth0
    ip -n "$space" link set eth0 up
}

start_node() { ip netns exec "$(space_of "$1")" "$tree/client/cluster.sh" start --no-wait "node-$1" 3>&- </dev/null; }

# ---- cuts ----------------------------------------------------------------------------------------

# The cable of node $1 is pulled.
unplug() { ip -n "$hub" link set "to-$1" down; }
# Nothing from machine $1 gets to machine $2.
block() { ip -n "$(machine_of "$1")" route replace blackhole "$(address_at "$2")/32"; }
machine_of() { if [[ $1 == frontend ]]; then printf '%s' "$hub"; else space_of "$1"; fi; }
address_at() { if [[ $1 == frontend ]]; then printf '%s' "$PYGMY_LISTEN"; else address_of "$1"; fi; }
others_of() { printf '%s\n' A B C | grep -vx "$1"; }
cut_from_peers() {
    local other
    for other in $(others_of "$1"); do block "$1" "$other" && block "$other" "$1"; done
}

# All that was cut works again.
heal() {
    local machine
    for machine in frontend A B C; do
        ip -n "$(machine_of "$machine")" route flush type blackhole
        if [[ $machine != frontend ]]; then ip -n "$hub" link set "to-$machine" up; fi
    done
}

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
