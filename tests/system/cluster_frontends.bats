#!/usr/bin/env bats
# shellcheck disable=SC2154
# Two frontends in front of three nodes: writes wait for both, whoever is silent is fenced and costs one lease, and nobody is ever shown less than
# what was acknowledged before it asked: by a frontend that was killed, frozen, stopped or started, neither.

load helpers
load cluster

setup_file() { cluster_setup && cluster_start --frontends 2; }
setup() { cluster_names && whole && everybody_counts; }
teardown() {
    check_kill
    cluster_continue
    cluster_check
}
teardown_file() { cluster_teardown; }

# What a frontend's table knows: table_of frontend-2 .leased
table_of() { curl --silent --max-time 2 --unix-socket "$PYGMY_RUN_DIR/$1/frontend.sock" http://frontend/coherence/status | jq -r "$2"; }

# The frontends as a node sees them: registered A '.[] | select(.name == "F2").fenced'
registered() { ask "${catalog_of[$1]}/members" | jq -r ".frontends | $2"; }
counts() { [[ $(registered A ".[] | select(.name == \"$1\").fenced") == false ]]; }
is_fenced() { [[ $(registered A ".[] | select(.name == \"$1\").fenced") == true ]]; }
is_pushed_to() { [[ $(table_of "$1" .pushes) -gt 10 ]]; }
has_lease() { [[ $(table_of "$1" .leased) == true ]]; }

# Writes wait for both, and both serve from their caches.
everybody_counts() {
    local name
    for name in F1 F2; do wait_until 40 counts "$name"; done
    for name in "${frontend_names[@]}"; do wait_until 40 has_lease "$name"; done
}

# The sum of a counter of all workers of nodes.
total() {
    local url sum=0 value
    for url in "${catalog_of[@]}" "${order_of[@]}"; do
        value=$(ask "$url/metrics" | awk -v name="$1" '$1 == name {print $2}')
        sum=$((sum + value))
    done
    printf '%d' "$sum"
}

buy() { [[ $(ask "${order_of[$1]}/buy/${items[0]}" --request POST --output /dev/null --write-out '%{http_code}') == 200 ]]; }

# ---- the checker ---------------------------------------------------------------------------------

check_begin() {
    local words=() node url
    for url in "${frontends[@]}"; do words+=(--frontend "$url"); done
    for node in "${nodes[@]}"; do words+=(--catalog "${catalog_of[$node]}" --order "${order_of[$node]}"); done
    "$tree/.build/release/tools/coherence_check" "${words[@]}" --token-file "$PYGMY_STATE_DIR/secrets/admin.token" --seconds 600 \
        --reads 1000000000 --readers 4 --writers 3 --rest-ms 20 >"$store_dir/check" 2>"$store_dir/check.errors" 3>&- </dev/null &
    check_pid=$!
}

# Ends it: nothing stale, nothing that may not be.
check_end() {
    local code=0 pid=$check_pid
    check_pid=''
    kill -USR1 "$pid"
    wait "$pid" || code=$?
    cat "$store_dir/check" "$store_dir/check.errors"
    assert_equal "$code" 0 'a frontend was not coherent'
    [[ $(jq .hits "$store_dir/check") -gt 0 && $(jq .writes "$store_dir/check") -gt 0 ]]
}

check_kill() {
    if [[ -n ${check_pid:-} ]]; then kill -KILL "$check_pid" 2>/dev/null || :; fi
    check_pid=''
}

freeze() {
    local pid
    for pid in $(cluster pids "$1"); do kill -s "$2" "$pid"; done
}

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
