#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031
# A backup of a cluster, and the whole cluster restored from it.

load helpers
load cluster

setup() {
    cluster_setup
    backup=$store_dir/backup.db
}
teardown() {
    local result=0
    cluster_check || result=1
    cluster_teardown || result=1
    return "$result"
}

fact() { client --json verify "$backup" | jq -r ".$1"; }
sql_of() { sqlite3 -readonly -cmd '.timeout 5000' "$PYGMY_STATE_DIR/$1/store.db" "$2"; }

# Whether all replicas are at the same position with the same chain hash.
are_equal() { [[ $(for node in "${nodes[@]}"; do sql_of "$node" 'SELECT log_index, hex(chain) FROM store'; done | sort -u | wc -l) -eq 1 ]]; }

buy() {
    http POST "$frontend/buy?id=${items[0]}" -H "Idempotency-Key: $1"
    assert_equal "$code" 200 "$body"
}

@test "a cluster is restored from a backup: the replicas agree, the frontend mixes nothing up, and nothing is deleted" {
    cluster_start
    local number orders log_before log_after aside
    for number in {1..20}; do buy "before-$number"; done
    run client backup "$backup"
    assert_equal "$status" 0 "$output"
    [[ $(fact orders) -ge 20 && $(fact cluster_id) != 0000000000000000 ]]
    orders=$(fact orders)
    for number in {1..10}; do buy "after-$number"; done
    log_before=$(sql_of A 'SELECT log_id FROM store')
    run cluster restore "$backup"
    assert_equal "$status" 0 "$output"
    assert_contains "$output" 'The cluster is up'
    wait_until 20 are_equal
    for node in "${nodes[@]}"; do
        assert_equal "$(sql_of "$node" 'SELECT count(*) FROM orders')" "$orders"
        assert_equal "$(sql_of "$node" 'SELECT log_id FROM store')" "$(sql_of A 'SELECT log_id FROM store')"
        # The index goes on, it does not begin anew.
        [[ $(sql_of "$node" 'SELECT base_index FROM log') == "$(fact revision)" ]]
        [[ $(sql_of "$node" 'SELECT log_index FROM store') -gt $(fact revision) ]]
    done
    log_after=$(sql_of A 'SELECT log_id FROM store')
    [[ $log_after != "$log_before" ]]
    # A request of before the backup is known still; one of after it is new.
    buy before-7
    assert_equal "$(json '.order.id')" "$(sql_of A "SELECT id FROM orders WHERE request_key LIKE '%before-7'")"
    wait_until 5 are_equal
    assert_equal "$(sql_of B 'SELECT count(*) FROM orders')" "$orders"
    buy after-3
    assert_equal "$(json '.order.id')" $((orders + 1))
    http GET "$frontend/lookup?id=${items[0]}"
    assert_equal "$(json '.item[0].count')" "$(sql_of A "SELECT count FROM items WHERE id = ${items[0]}")"
    # What was there is aside, whole.
    for node in "${nodes[@]}"; do
        aside=$(find "$PYGMY_STATE_DIR/$node" -name 'store.db.before-*Z')
        [[ $(sqlite3 "$aside" 'SELECT count(*) FROM orders') -ge $((orders + 10)) ]]
        [[ -d $PYGMY_STATE_DIR/$node/etcd.${aside##*.} ]]
    done
    # A backup of the restored one, restored once more.
    run client backup "$backup" --replace
    assert_equal "$status" 0 "$output"
    run cluster restore "$backup"
    assert_equal "$status" 0 "$output"
    wait_until 20 are_equal
    assert_equal "$(sql_of C 'SELECT count(*) FROM orders')" $((orders + 1))
    [[ $(sql_of A 'SELECT log_id FROM store') != "$log_after" ]]
    buy again
}

@test "a cluster is restored where there never was one; a damaged backup changes nothing" {
    cluster_start
    for number in {1..5}; do buy "$number"; done
    client backup "$backup"
    head -c 40000 "$backup" >"$store_dir/damaged.db"
    chmod 0644 "$store_dir/damaged.db"
    local pids
    pids=$(cluster pids node-A node-B frontend)
    run cluster restore "$store_dir/damaged.db"
    assert_equal "$status" 1 "$output"
    assert_contains "$output" 'nothing was changed'
    assert_equal "$(cluster pids node-A node-B frontend)" "$pids"
    cluster reset
    run cluster restore "$backup"
    assert_equal "$status" 0 "$output"
    wait_until 20 are_equal
    buy 3
    assert_equal "$(sql_of B 'SELECT count(*) FROM orders')" "$(fact orders)"
    buy 6
}

@test "a restore that was interrupted is finished by the next start" {
    cluster_start
    buy 1
    client backup "$backup"
    buy 2
    # Behind the point of no return, in the middle: the log of etcd is begun, nobody knows of it.
    cluster stop
    client restore "$backup" "$PYGMY_STATE_DIR/A/store.db.restoring"
    chown --reference="$PYGMY_STATE_DIR/A/store.db" "$PYGMY_STATE_DIR/A/store.db.restoring"
    run cluster start node-A
    assert_equal "$status" 1 "$output"
    run cluster start
    assert_equal "$status" 0 "$output"
    assert_contains "$output" 'begins anew'
    wait_until 20 are_equal
    assert_equal "$(sql_of B 'SELECT count(*) FROM orders')" "$(fact orders)"
    # The same again, with all put aside already, and an etcd that was begun.
    local mark
    client restore "$backup" "$store_dir/again.db"
    cluster stop
    mv "$store_dir/again.db" "$PYGMY_STATE_DIR/A/store.db.restoring"
    chown --reference="$PYGMY_STATE_DIR/A/store.db" "$PYGMY_STATE_DIR/A/store.db.restoring"
    mark=$(date -u -r "$PYGMY_STATE_DIR/A/store.db.restoring" +before-%Y%m%dT%H%M%SZ)
    for node in A B C; do
        mv "$PYGMY_STATE_DIR/$node/store.db" "$PYGMY_STATE_DIR/$node/store.db.$mark"
        cp -a "$PYGMY_STATE_DIR/$node/etcd" "$PYGMY_STATE_DIR/$node/etcd.$mark"
    done
    run cluster start
    assert_equal "$status" 0 "$output"
    wait_until 20 are_equal
    assert_equal "$(sql_of C 'SELECT count(*) FROM orders')" "$(fact orders)"
    buy 2
}

@test "an order that any node acknowledged a moment ago is in the backup; without a majority only what is there" {
    cluster_start
    local number node
    for number in {1..12}; do
        node=${nodes[$((number % 3))]}
        http POST "${order_of[$node]}/buy/${items[0]}"
        assert_equal "$code" 200 "$body"
        for node in "${nodes[@]}"; do
            client --quiet backup "$backup" --replace --catalog-url "${catalog_of[$node]}"
            assert_equal "$(fact orders)" "$number" "$node"
        done
    done
    cluster kill etcd-B etcd-C
    refuses() { ! client backup "$store_dir/other.db" 2>"$store_dir/said"; }
    wait_until 10 refuses
    [[ ! -e $store_dir/other.db && ! -e $store_dir/other.db.part ]]
    run client backup "$store_dir/other.db" --stale
    assert_equal "$status" 0 "$output"
    backup=$store_dir/other.db
    assert_equal "$(fact orders)" 12
    cluster start etcd-B etcd-C
}

@test "with TLS: only who has a certificate gets a snapshot, and a wiped node loads one" {
    export PYGMY_CLUSTER_TLS=on
    cluster_start
    for number in {1..5}; do buy "$number"; done
    run client backup "$backup"
    assert_equal "$status" 0 "$output"
    [[ $(fact orders) -ge 5 ]]
    http GET "${catalog_of[A]}/snapshot" "${curl_words[@]:0:2}" -H "Authorization: Bearer $(admin_token)"
    assert_equal "$code" 403
    http GET "${catalog_of[A]}/snapshot" "${curl_words[@]}"
    assert_equal "$code" 401
    http GET "${order_of[A]}/snapshot" "${curl_words[@]}" -H "Authorization: Bearer $(peer_token)"
    assert_equal "$code" 404
    http GET "${catalog_of[A]}/snapshot" "${curl_words[@]}" -H "Authorization: Bearer $(peer_token)"
    assert_equal "$code $(header Content-Type)" '200 application/vnd.sqlite3'
    # After a restore every node but the first comes by a snapshot, between machines.
    run cluster restore "$backup"
    assert_equal "$status" 0 "$output"
    wait_until 20 are_equal
    assert_equal "$(sql_of C 'SELECT count(*) FROM orders')" "$(fact orders)"
    grep -q 'bytes came from https://' "$PYGMY_STATE_DIR"/C/logs/*.log
}
