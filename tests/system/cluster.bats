#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2034
# A cluster on one machine: made, shown, stopped, started, repaired, and what it says when something is in its way.

load helpers
load cluster

setup_file() {
    cluster_setup
    cluster_start
}
setup() {
    cluster_names
    # The tests before may have left it stopped.
    is_whole || cluster start
}
teardown() { cluster_check; }
teardown_file() { cluster_teardown; }

# How all processes are, a line for each: order-B ready
process_states() { cluster status --json | jq -r '.processes[] | "\(.name) \(.state)"'; }

# Prints the pids of everything that runs for this cluster.
# shellcheck disable=SC2062  # the pattern is read from a file
cluster_processes() {
    {
        grep -laF -f - /proc/[0-9]*/environ 2>/dev/null <<<"PYGMY_SUPERVISED_IN=$PYGMY_RUN_DIR/" || :
        grep -laF -f - /proc/[0-9]*/cmdline 2>/dev/null <<<"-c $PYGMY_RUN_DIR/" || :
    } | cut -d / -f 3 | sort -un | while read -r pid; do is_gone "$pid" || printf '%s\n' "$pid"; done
}

# Whether all replicas hold the same: position, chain hash, items and orders.
are_identical() {
    local node
    for node in "${nodes[@]}"; do
        node_sql "$node" 'SELECT log_index, hex(chain) FROM store; SELECT * FROM items ORDER BY id; SELECT * FROM orders ORDER BY id' | sha256sum || return
    done | sort -u | awk 'END {exit NR != 1}'
}

# Who a supervised process is.
record_of() { cat "$PYGMY_RUN_DIR/${1##*-}/$1.process"; }

@test "three nodes and a frontend are up: status tells, the client finds them" {
    local names
    names=$(printf '%s ready\n' {etcd,catalog,order,nginx}-{A,B,C} frontend | sort)
    assert_equal "$(process_states | sort)" "$names"
    assert_equal "$(cluster status --json | jq -c '[.status, (.nodes | map(.name)), .frontend]')" "[\"up\",[\"A\",\"B\",\"C\"],\"$frontend/\"]"
    run cluster status
    assert_equal "$status ${lines[0]}" '0 Pygmy cluster: up'
    run client status
    assert_equal "$status" 0 "$output"
    [[ $(grep -c ' ready' <<<"$output") -ge 10 ]]
    assert_equal "$(cluster env | sed -n 's/^PYGMY_CLUSTER_NODES=//p')" '"A B C"'
}

@test "the demo: a purchase at one node is seen at all of them" {
    run "$tree/client/cluster/demo.sh"
    assert_equal "$status" 0 "$output"
    assert_contains "$output" 'bought successfully'
    assert_equal "$(grep -c '"count":99,"id":1,' <<<"$output")" 4
    assert_contains "$output" '/lookup?id=2'
}

@test "a purchase is seen everywhere at once, whichever node makes it" {
    local node at count=0 supply
    supply=$(node_sql A "SELECT count FROM items WHERE id = ${items[1]}")
    for node in "${nodes[@]}" "${nodes[@]}"; do
        http POST "${order_of[$node]}/buy/${items[1]}"
        assert_equal "$code" 200 "$body"
        count=$((count + 1))
        # At the frontend it must be: its cache was told before the answer.
        http GET "$frontend/lookup?id=${items[1]}"
        assert_equal "$(json '.item[0].count')" $((supply - count))
        for at in "${nodes[@]}"; do
            http GET "${catalog_of[$at]}/item/${items[1]}" -H "X-Pygmy-Min-Revision: $(header X-Pygmy-Revision)" -H 'X-Pygmy-Consistency: strict'
            assert_equal "$(json '.item[0].count')" $((supply - count)) "bought at $node, read at $at"
        done
    done
}

@test "a key gives the same bytes at every node and at the frontend, and one order" {
    local url first='' key="same-$RANDOM$RANDOM"
    for url in "${order_of[A]}/buy/${items[2]}" "${order_of[B]}/buy/${items[2]}" "${order_of[C]}/buy/${items[2]}" "$frontend/buy?id=${items[2]}"; do
        http POST "$url" -H "Idempotency-Key: $key"
        assert_equal "$code" 200 "$body"
        if [[ -z $first ]]; then first=$body; fi
        assert_equal "$body" "$first"
    done
    http POST "${order_of[B]}/buy/${items[2]}?quantity=2" -H "Idempotency-Key: $key"
    assert_equal "$code" 422
    wait_until 20 are_identical
}

@test "pushes reach the frontend: purchases do not wait out its lease" {
    local metrics
    http POST "$frontend/buy?id=${items[1]}"
    metrics=$(for node in "${nodes[@]}"; do ask "${order_of[$node]}/metrics"; done)
    assert_equal "$(grep -E '^pygmy_push_(failures|lapses)_total' <<<"$metrics" | awk '{sum += $2} END {print sum}')" 0 "$(grep push <<<"$metrics")"
}

@test "a second start is a check, two at once are one" {
    local before
    before=$(record_of order-A)
    run cluster start
    assert_equal "$status" 0 "$output"
    assert_contains "$output" 'runs already'
    cluster start >"$store_dir/one" &
    cluster start >"$store_dir/two"
    wait $!
    assert_equal "$(grep -c 'runs already' "$store_dir/one" "$store_dir/two" | tr '\n' ' ')" "$store_dir/one:1 $store_dir/two:1 "
    assert_equal "$(record_of order-A)" "$before"
}

@test "what is dead is told and started again: a worker, an nginx, an etcd, a node, the frontend" {
    local part
    for part in catalog-B nginx-C etcd-A node-B frontend; do
        cluster kill "$part"
        run cluster status
        assert_equal "$status" 1 "$output"
        assert_contains "$output" 'Pygmy cluster: degraded'
        case $part in
            node-B) assert_equal "$(process_states | grep -c ' down$')" 4 ;;
            *) assert_contains "$(process_states)" "$part down" ;;
        esac
        run cluster start
        assert_equal "$status" 0 "$output"
        assert_contains "$output" 'whole again'
    done
    http POST "$frontend/buy?id=${items[0]}"
    assert_equal "$code" 200 "$body"
    wait_until 20 are_identical
}

@test "parts are stopped, started and named one by one; unknown ones are refused" {
    local pids pid
    pids=$(cluster pids order-C)
    [[ $(wc -l <<<"$pids") -ge 2 ]]
    cluster stop order-C
    for pid in $pids; do is_gone "$pid"; done
    assert_contains "$(process_states)" 'order-C down'
    http POST "$frontend/buy?id=${items[0]}"
    assert_equal "$code" 200
    cluster start order-C
    [[ $(cluster pids order-C) != "$pids" ]]
    run cluster kill order-Z
    assert_equal "$status" 2
    assert_contains "$output" "this cluster has no 'order-Z'"
    run cluster nonsense
    assert_equal "$status" 2
    run cluster start --nodes 5
    assert_equal "$status" 2
    assert_contains "$output" 'made with the nodes A B C'
    run env PYGMY_CLUSTER_NET=127.3.3 "$tree/client/cluster.sh" start
    assert_equal "$status" 2
    assert_contains "$output" "PYGMY_CLUSTER_NET is \"$PYGMY_CLUSTER_NET\" for this cluster"
}

@test "stopped and started, killed and started: everything is still there" {
    local orders
    orders=$(node_sql B 'SELECT count(*) FROM orders')
    run cluster stop
    assert_equal "$status" 0 "$output"
    assert_equal "$(cluster_processes)" ''
    run cluster status
    assert_equal "$status ${lines[0]}" '3 Pygmy cluster: down'
    run cluster stop
    assert_contains "$output" 'not running'
    cluster start
    assert_equal "$(node_sql B 'SELECT count(*) FROM orders')" "$orders"
    # All at once: a power cut, but for the disk.
    cluster kill node-A node-B node-C frontend
    run cluster start
    assert_equal "$status" 0 "$output"
    http POST "$frontend/buy?id=${items[0]}"
    assert_equal "$code" 200 "$body"
    assert_equal "$(node_sql B 'SELECT count(*) FROM orders')" $((orders + 1))
    wait_until 20 are_identical
}

@test "a port that is taken is named; nothing of the cluster is started" {
    local taker
    cluster stop
    perl -MSocket -e 'socket(my $s, PF_INET, SOCK_STREAM, 0); setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
        bind($s, sockaddr_in($ARGV[0], inet_aton($ARGV[1]))) && listen($s, 1) or die; open(my $f, ">", $ARGV[2]); sleep 60' \
        "$PYGMY_PORT_ETCD" "$PYGMY_CLUSTER_NET.2" "$store_dir/taken" 3>&- &
    taker=$!
    wait_until 5 test -e "$store_dir/taken"
    run cluster start
    kill "$taker"
    wait "$taker" || :
    rm "$store_dir/taken"
    assert_equal "$status" 4 "$output"
    assert_contains "$output" "port $PYGMY_PORT_ETCD, which etcd-B needs, is taken by process $taker"
    assert_equal "$(cluster_processes)" ''
    cluster start
}

@test "a cluster and its files are private, and nothing of it runs as root" {
    local pid
    assert_equal "$(find "$PYGMY_STATE_DIR" "$PYGMY_RUN_DIR" ! -type l -perm /0077 ! -path '*/etcd/*' ! -path '*/app/*')" ''
    [[ $(cluster_processes | wc -l) -ge 20 ]]
    if [[ $EUID -eq 0 ]]; then
        assert_equal "$(cluster_processes | xargs -n 1 ps -o user= -p | sort -u)" pygmy
        assert_equal "$(find "$PYGMY_STATE_DIR" "$PYGMY_RUN_DIR" -user root)" ''
    fi
    for pid in $(cluster_processes); do
        assert_equal "$(grep -laF -f "$PYGMY_STATE_DIR/secrets/peer.token" "/proc/$pid/cmdline" "/proc/$pid/environ" || :)" ''
    done
    assert_equal "$(grep -rlF "$(peer_token)" "$PYGMY_STATE_DIR" "$PYGMY_RUN_DIR" | grep -vE '/secrets/|/nginx/conf/peer/' || :)" ''
}

@test "logs has a part of each log" {
    run cluster logs -n 2
    assert_equal "$status" 0
    assert_contains "$output" 'A/logs/catalog-A.log'
    assert_contains "$output" 'frontend/logs/nginx-error.log'
}

@test "reset leaves nothing; a start makes a new cluster with another number of nodes" {
    run cluster reset
    assert_equal "$status" 0 "$output"
    [[ ! -e $PYGMY_STATE_DIR && ! -e $PYGMY_RUN_DIR ]]
    assert_equal "$(cluster_processes)" ''
    run cluster reset
    assert_contains "$output" 'nothing to delete'
    run cluster status
    assert_equal "$status" 3
    run cluster kill node-A
    assert_equal "$status" 3
    run cluster start --nodes 1
    assert_equal "$status" 0 "$output"
    http POST "$frontend/buy?id=1"
    assert_equal "$code $(json .order.id)" '200 1'
    run cluster remove A
    assert_equal "$status" 2
    assert_contains "$output" "the last node can't be removed"
}
