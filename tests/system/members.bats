#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031
# /members and the commands for members and replicas, on a store of one machine. (Those of clusters are in cluster_*.bats.)

load helpers
load shared_store

setup_file() { shared_store_setup; }
teardown() { shared_store_check; }
teardown_file() { shared_store_teardown; }

@test "the frontend and every worker show the store as the one member" {
    local url
    for url in "$frontend" "$catalog_a" "$order_b"; do
        http GET "$url/members"
        assert_equal "$code" 200 "$body"
        assert_equal "$(json '[.members[] | [.name, .phase, .role, .agrees]]')" '[["A","ready","member",true]]'
        assert_equal "$(json '[.log.kind, .log.quorum]')" '["embedded",true]'
        assert_equal "$(json .members[0].index)" "$(json .log.end)"
    done
    http HEAD "$frontend/members"
    assert_equal "$code" 200
}

@test "the frontend takes no other method there" {
    http POST "$frontend/members"
    assert_equal "$code" 405
    http PUT "$frontend/members/B" --data '{}'
    assert_equal "$code" 404
}

@test "a store of one machine has no list to change" {
    run client member add B --catalog-url http://127.0.1.2:8011 --order-url http://127.0.1.2:8013
    assert_equal "$status" 1 "$output"
    assert_contains "$output" 'single node'
    run client member remove A
    assert_equal "$status" 1 "$output"
    run client member list
    assert_equal "$status" 0 "$output"
    assert_contains "$output" 'NODE  ROLE    PHASE'
    run client --json member list
    assert_equal "$(jq -r '.members[0].role' <<<"$output")" member
    # Status is that of a store.
    run client status
    assert_equal "$status" 0 "$output"
    assert_lacks "$output" 'LAG'
    run client --json status
    assert_equal "$(jq -r 'has("members")' <<<"$output")" false
}

@test "mistakes on the command line are said, and nothing is sent" {
    run client member
    assert_equal "$status" 2
    run client member add
    assert_equal "$status" 2
    run client member add B
    assert_equal "$status" 2
    assert_contains "$output" '--catalog-url http'
    run client member add B --catalog-url http://a --order-url http://b:1
    assert_equal "$status" 2
    run client member remove a.b
    assert_equal "$status" 2
    run client member list --key x
    assert_equal "$status" 2
    run client init
    assert_equal "$status" 2
    assert_contains "$output" 'where etcd is'
    run client init --etcd http://127.0.0.1:1
    assert_equal "$status" 2
    run client init --etcd http://127.0.0.1:1 A=x
    assert_equal "$status" 2
    assert_contains "$output" 'is no member'
    run client init --etcd http://127.0.0.1:1 A=http://a:1,http://a:2 A=http://a:1,http://a:2
    assert_equal "$status" 2
    assert_contains "$output" 'named twice'
    run client init --etcd http://127.0.0.1:1 --catalogue x --continue y A=http://a:1,http://a:2
    assert_equal "$status" 2
}

@test "init says when there is no etcd, and what is wrong with a catalogue" {
    run client --timeout 1 init --etcd http://127.0.0.1:1 A=http://a:1,http://a:2
    assert_equal "$status" 3 "$output"
    run client --json --timeout 1 init --etcd http://127.0.0.1:1 A=http://a:1,http://a:2
    assert_equal "$(jq -r .code <<<"${lines[-1]}")" etcd
    run client init --etcd http://127.0.0.1:1 --continue "$store_dir/none.db" A=http://a:1,http://a:2
    assert_equal "$status" 5 "$output"
}
