#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2034
# A cluster's metrics, traces and load test: frontend, nodes and workers, talking TLS to each other.

load helpers
load cluster

setup_file() {
    export PYGMY_CLUSTER_TLS=on PYGMY_LOG_LEVEL=debug
    cluster_setup
    export PYGMY_CLUSTER_TLS=on PYGMY_LOG_LEVEL=debug
    cluster_start --nodes 3
}
setup() {
    cluster_names
    metrics=http://$PYGMY_LISTEN:8018
}
teardown() { cluster_check; }
teardown_file() { cluster_teardown; }

figure() { curl -sf "$metrics/metrics" | awk -v name="$1" 'index($0, name " ") == 1 {print $NF}' | grep . || printf 0; }

@test "promtool finds nothing to say against any page, and the cluster's families are there" {
    local node base name
    http POST "$frontend/buy?id=${items[0]}"
    assert_equal "$code" 200 "$body"
    curl -sf "$metrics/metrics" | promtool check metrics
    for node in "${nodes[@]}"; do
        for base in "${catalog_of[$node]}" "${order_of[$node]}"; do
            curl -sf "${curl_words[@]}" "$base/metrics" >"$store_dir/page"
            promtool check metrics <"$store_dir/page"
            awk -f "$BATS_TEST_DIRNAME/metrics.awk" "$store_dir/page"
            while read -r name; do
                grep -q "^# TYPE $name gauge$" "$store_dir/page" || { echo "$base lacks $name" && return 1; }
            done < <(grep -oE '\bpygmy_(replica|log)_[a-z_]+' "$tree/client/monitoring/alerts.yml" | sort -u)
        done
    done
    assert_equal "$(figure pygmy_coherence_leased)" 1
    for node in "${nodes[@]}"; do
        assert_equal "$(figure "pygmy_frontend_node_up{node=\"$node\",worker=\"order\"}")" 1
        # (One that was asked before it was ready has left once.)
        [[ $(figure "pygmy_frontend_node_leaves_total{node=\"$node\",worker=\"catalog\"}") =~ ^[0-9]+$ ]]
    done
}

@test "a request is followed by its trace id from the frontend through a node's nginx to its worker" {
    local id=4bf92f3577b34da6a3ce929d0e0e4736 node
    http POST "$frontend/buy?id=${items[0]}" -H "traceparent: 00-$id-00f067aa0ba902b7-01" -H 'tracestate: a=b'
    assert_equal "$code" 200 "$body"
    followed() { [[ $(grep -laF "\"trace_id\":\"$id\"" "$PYGMY_STATE_DIR"/*/logs/nginx-access.log | wc -l) -ge 2 ]]; }
    wait_until 5 followed
    grep -aqF "\"trace_id\":\"$id\"" "$PYGMY_STATE_DIR/frontend/logs/nginx-access.log"
    grep -ahF "trace=$id" "$PYGMY_STATE_DIR"/?/logs/order-?.transactions.log | grep -qF "result=ok order=$(json .order.id) "
    grep -ahF " trace $id: /buy" "$PYGMY_STATE_DIR"/?/logs/order-?.log | grep -qF "request $(header X-Request-Id) "
    # Without one, the whole way has the id that the client is told.
    http POST "$frontend/buy?id=${items[0]}"
    id=$(header X-Request-Id)
    wait_until 5 followed
    grep -aqF "trace=$id" "$PYGMY_STATE_DIR"/?/logs/order-?.transactions.log
}

@test "the load test knows the cluster by its settings: every tier, books, killed workers" {
    local file=$PYGMY_STATE_DIR/frontend/pygmy.env
    run env PYGMY_CONFIG="$file" "$tree/client/loadtest.sh" --out "$store_dir/load" --seconds 2 --rate 100 --clients 16 --no-plots \
        --token-file "$PYGMY_STATE_DIR/secrets/admin.token" --fault "$tree/client/loadtest/crash.sh ${catalog_of[A]} ${order_of[A]}" mix
    assert_equal "$status" 0 "$output"
    assert_contains "$output" 'The books balance'
    grep -q 'all workers ready' "$store_dir"/load/runs/01-*/fault.log
    # (A worker that is still being started again at the end of a run can't be asked; it is left out.)
    awk -F, 'NR == 1 {for (i = 1; i <= NF; i++) c[$i] = i; next}
        $c["frontend_requests"] < 1 {print; bad = 1} $c["operation"] == "buy" && $c["worker_requests"] >= 1 {told = 1}
        END {exit bad || !told}' "$store_dir/load/results.csv"
}
