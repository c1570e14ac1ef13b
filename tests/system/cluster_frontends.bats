#!/usr/bin/env bats
# shellcheck disable=SC2154
# Two frontends in front of three nodes: writes wait for both, whoever is silent is fenced and costs one lease, and nobody is ever shown less than
# what was acknowledged before it asked: by a frontend that was killed, frozen, stopped or started, neither.

load helpers
load cluster
load frontends

setup_file() { cluster_setup && cluster_start --frontends 2; }
setup() { cluster_names && whole && everybody_counts; }
teardown() {
    check_kill
    cluster_continue
    cluster_check
}
teardown_file() { cluster_teardown; }

buy() { [[ $(ask "${order_of[$1]}/buy/${items[0]}" --request POST --output /dev/null --write-out '%{http_code}') == 200 ]]; }

# ---- tests ---------------------------------------------------------------------------------------

@test "two frontends are coherent under writes, and both count" {
    check_begin
    sleep 5
    check_end
    assert_equal "$(registered B 'map([.name, .fenced]) | tostring')" '[["F1",false],["F2",false]]'
    for name in "${frontend_names[@]}"; do [[ $(table_of "$name" .pushes) -gt 0 ]]; done
    run client status
    assert_contains "$output" "http://$PYGMY_LISTEN:$((PYGMY_PORT_PUSH + 10))"
}

@test "a frontend that was killed is fenced: writes wait for it once, and then no more" {
    local before lapses i
    before=$(total pygmy_fences_total)
    cluster kill frontend-2
    buy B
    wait_until 20 is_fenced F2
    assert_equal "$(total pygmy_fences_total)" $((before + 1))
    # What was written behind the fence waits for leases of before it, until they have lapsed: here, and at the other nodes.
    for node in "${nodes[@]}"; do buy "$node"; done
    lapses=$(total pygmy_push_lapses_total)
    for ((i = 0; i < 30; i++)); do for node in "${nodes[@]}"; do buy "$node"; done; done
    assert_equal "$(total pygmy_push_lapses_total)" "$lapses"
    assert_equal "$(total pygmy_fences_total)" $((before + 1))
    # A worker that starts now need not wait for it either.
    kill -KILL "$(worker_of order-C)"
    wait_until 20 is_ready C
    wait_until 20 buy C
    assert_equal "$(total pygmy_fences_total)" $((before + 1))
    cluster start frontend-2
    everybody_counts
}

@test "a frontend that is frozen for longer than its lease shows nothing old, and comes back by itself" {
    local fences era
    check_begin
    wait_until 20 is_pushed_to frontend-2
    fences=$(table_of frontend-2 .fences) era=$(table_of frontend-2 .era)
    freeze frontend-2 STOP
    wait_until 20 is_fenced F2
    sleep 4
    freeze frontend-2 CONT
    wait_until 40 counts F2
    wait_until 40 has_lease frontend-2
    [[ $(table_of frontend-2 .fences) -gt $fences ]]
    # What it had cached is of use again.
    assert_equal "$(table_of frontend-2 .era)" "$era"
    check_end
}

@test "frontends are killed, stopped and started under reads and writes: nobody is shown anything old" {
    check_begin
    cluster kill frontend
    cluster start frontend
    cluster stop frontend-2
    cluster start frontend-2
    freeze frontend STOP
    sleep 1
    freeze frontend CONT
    everybody_counts
    check_end
}

# Another nginx may be started in its place and confirm pushes, which this one's table does not learn of.
@test "an nginx that is about to end serves nothing from its cache, on a connection of before either" {
    local master answer port=$((PYGMY_PORT_FRONTEND + 10))
    is_hit() { ask "${frontends[1]}/lookup?id=${items[0]}" --include | grep -q 'Cache-Status: pygmy; hit'; }
    is_ending() { pgrep -P "$master" -f 'worker process is shutting down' >/dev/null; }
    exec 7<>"/dev/tcp/$PYGMY_LISTEN/$port"
    wait_until 10 is_hit
    master=$(cat "$PYGMY_RUN_DIR/frontend-2/nginx.pid")
    kill -QUIT "$master"
    wait_until 10 is_ending
    printf 'GET /lookup?id=%s HTTP/1.1\r\nHost: pygmy\r\nConnection: close\r\n\r\n' "${items[0]}" >&7
    answer=$(timeout 10 cat <&7)
    exec 7>&-
    assert_contains "$answer" 'HTTP/1.1 200'
    assert_contains "$answer" 'Cache-Status: pygmy; fwd=bypass'
    wait_until 30 is_gone "$master"
    cluster start frontend-2
    everybody_counts
}

@test "a frontend that is gone for good is forgotten, and comes back if it is not" {
    cluster kill frontend-2
    client --quiet member forget F2
    assert_equal "$(registered A 'map(.name) | tostring')" '["F1"]'
    buy A
    cluster start frontend-2
    everybody_counts
}

@test "a frontend that leaves before it stops is missed by no write" {
    local fences i
    fences=$(total pygmy_fences_total)
    touch "$PYGMY_RUN_DIR/frontend-2/leaving"
    curl --silent --max-time 3 --unix-socket "$PYGMY_RUN_DIR/frontend-2/frontend.sock" -H 'Content-Type: application/json' \
        --data "{\"name\":\"F2\",\"since\":$(table_of frontend-2 .joined)}" http://pygmy/coherence/leave
    wait_until 10 is_fenced F2
    has_no_lease() { ! has_lease frontend-2; }
    wait_until 10 has_no_lease
    # It answers, shows what is acknowledged, and confirms pushes.
    for i in 1 2 3; do
        buy A
        assert_equal "$(ask "${frontends[1]}/lookup?id=${items[0]}" | jq '.item[0].count')" "$(ask "${frontends[0]}/lookup?id=${items[0]}" | jq '.item[0].count')"
    done
    cluster stop frontend-2
    for i in 1 2 3 4 5; do buy B; done
    assert_equal "$(total pygmy_fences_total)" "$fences" 'a write had it fenced'
    rm "$PYGMY_RUN_DIR/frontend-2/leaving"
    cluster start frontend-2
    everybody_counts
}

@test "whoever has not joined, or under another's name, gets no lease" {
    local peer url=${catalog_of[A]} index
    peer="Authorization: Bearer $(cat "$PYGMY_STATE_DIR/secrets/peer.token")"
    index=$(table_of frontend .joined)
    [[ $(ask "$url/coherence/changes?since=0" -H "$peer") == *' fenced '* ]]
    [[ $(ask "$url/coherence/changes?since=0&frontend=F1&joined=$((index - 1))" -H "$peer") == *' fenced '* ]]
    [[ $(ask "$url/coherence/changes?since=0&frontend=F1&joined=$index" -H "$peer") == *' reset '* ]]
    assert_equal "$(ask "$url/coherence/join" --data '{"name":"F1","url":"http://127.0.0.1:1"}' -H 'Content-Type: application/json' -H "$peer" \
        --output /dev/null --write-out '%{http_code}')" 409
    assert_equal "$(ask "$url/coherence/join" --data '{"name":"F9","url":"http://127.0.0.1:1"}' -H 'Content-Type: application/json' \
        --output /dev/null --write-out '%{http_code}')" 401
}
