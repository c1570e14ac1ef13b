#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031
# What a store tells a Prometheus: the metrics of frontend and workers, the alerts, the dashboard; and following one request through the logs.

load helpers
load shared_store

setup_file() {
    export PYGMY_LOG_LEVEL=debug
    store_setup
    export PYGMY_LOG_LEVEL=debug
    store_start
    shared_store_names
}
teardown() { shared_store_check; }
teardown_file() { shared_store_teardown; }

# Prints a value of the frontend's page: figure 'pygmy_coherence_leased'
figure() { curl -sf "$metrics/metrics" | awk -v name="$1" 'index($0, name " ") == 1 {print $NF}' | grep . || printf 0; }

figure_is() { [[ $(figure "$1") == "$2" ]]; }
figure_reaches() { [[ $(figure "$1") -ge $2 ]]; }

requests() { figure "pygmy_frontend_requests_total{operation=\"$1\",code=\"$2\"}"; }
cache() { figure "pygmy_frontend_cache_requests_total{operation=\"$1\",result=\"$2\"}"; }

monitoring() { printf '%s/client/monitoring/%s' "$tree" "$1"; }

@test "alerts: promtool accepts them, and each fires when it should and only then" {
    promtool check config "$(monitoring prometheus.yml)"
    promtool check rules "$(monitoring alerts.yml)"
    promtool test rules "$tree/tests/monitoring/alerts_test.yml"
}

@test "metrics: promtool finds nothing to say against any page" {
    local base
    http GET "$frontend/lookup?id=1"
    http GET "$frontend/search?topic=distributed%20systems"
    http POST "$frontend/buy?id=1"
    http GET "$frontend/nothing"
    for base in "$metrics" "$catalog_a" "$catalog_b" "$order_a" "$order_b"; do
        http GET "$base/metrics"
        assert_equal "$code" 200
        [[ $(header Content-Type) == 'text/plain; version=0.0.4'* ]]
        run promtool check metrics <"$store_dir/http.body"
        assert_equal "$status$output" 0 "$base"
        awk -f "$BATS_TEST_DIRNAME/metrics.awk" "$store_dir/http.body"
    done
}

@test "the dashboard and the alerts speak only of metrics that there are" {
    local base
    jq -e '.title and .uid and (.panels | length > 10) and ([.panels[].id] | length == (unique | length))' "$(monitoring grafana-dashboard.json)" >/dev/null
    for base in "$metrics" "$catalog_a" "$order_a"; do curl -sf "$base/metrics"; done | sed -n 's/^# TYPE \([a-z_]*\) .*/\1/p' | sort -u >"$store_dir/families"
    {
        jq -r '.panels[].targets[]?.expr' "$(monitoring grafana-dashboard.json)"
        sed -n '/expr:/,/for:\|labels:/p' "$(monitoring alerts.yml)"
    } | grep -oE '\b(pygmy|process)_[a-z_]+' | sed -E 's/_(bucket|sum|count)$//' | sort -u >"$store_dir/named"
    [[ $(wc -l <"$store_dir/named") -ge 30 ]]
    # (What a cluster has besides stands where it is written, and is seen in cluster_metrics.bats.)
    grep -ohE '"pygmy_(log|replica)_[a-z_]+"' "$tree/fcgi/common/operator_routes.c" | tr -d '"' | sort -u >"$store_dir/of_cluster"
    grep -ohE 'TYPE pygmy_replica_phase' "$tree/fcgi/common/operator_routes.c" | cut -d ' ' -f 2 | sort -u >>"$store_dir/of_cluster"
    grep -ohE '"pygmy_frontend_node_[a-z_]+"' "$tree/nginx/frontend_metrics.c" | tr -d '"' | sort -u >>"$store_dir/of_cluster"
    assert_equal "$(comm -23 "$store_dir/named" <(sort -u "$store_dir/families" "$store_dir/of_cluster"))" ''
    # And each family but the plain ones of a process stands on the dashboard or in an alert.
    assert_equal "$(comm -13 "$store_dir/named" "$store_dir/families" | grep -vE '^process_|^pygmy_(build_info|transaction_log_lines_total|frontend_connections_accepted_total)$')" ''
}

@test "the frontend counts each request once, by operation, status and what the cache did" {
    local lookups buys missing others sold memory disk miss bypass total
    lookups=$(requests lookup 200) missing=$(requests lookup 404) buys=$(requests buy 200) sold=$(requests buy 404) others=$(requests other 404)
    memory=$(cache lookup hit_memory) disk=$(cache lookup hit_disk) miss=$(cache lookup miss) bypass=$(cache lookup bypass)
    total=$(figure 'pygmy_frontend_request_duration_seconds_count{operation="lookup"}')
    http POST "$frontend/buy?id=3"
    for _ in {1..12}; do http GET "$frontend/lookup?id=3"; done
    http GET "$frontend/lookup?id=3" -H 'X-Pygmy-Consistency: strict'
    http GET "$frontend/lookup?id=9999"
    http POST "$frontend/buy?id=9999"
    http GET "$frontend/nope?/lookup"
    http HEAD "$frontend/lookup?id=3"
    assert_equal "$(requests buy 200)" $((buys + 1))
    assert_equal "$(requests buy 404)" $((sold + 1))
    assert_equal "$(requests lookup 200)" $((lookups + 14))
    assert_equal "$(requests lookup 404)" $((missing + 1))
    assert_equal "$(requests other 404)" $((others + 1))
    assert_equal "$(cache lookup bypass)" $((bypass + 1))
    # Each nginx worker takes an answer into its memory when it has found it on disk.
    assert_equal "$(cache lookup miss)" $((miss + 2))
    assert_equal $(($(cache lookup hit_memory) + $(cache lookup hit_disk))) $((memory + disk + 12))
    [[ $(cache lookup hit_memory) -gt $memory ]]
    assert_equal "$(figure 'pygmy_frontend_request_duration_seconds_count{operation="lookup"}')" $((total + 15))
    # What workers' own ports answer is not the frontend's.
    http GET "$catalog_a/lookup?id=3"
    assert_equal "$(requests lookup 200)" $((lookups + 14))
}

@test "the page is not on the public port, takes only GET, and is on the private socket, too" {
    http GET "$frontend/metrics"
    assert_refused 404 path_not_found
    http POST "$metrics/metrics"
    [[ $code == 40[35] ]]
    http GET "$metrics/other"
    assert_refused 404 path_not_found
    http GET http://x/metrics --unix-socket "$PYGMY_RUN_DIR/frontend.sock"
    assert_contains "$body" pygmy_coherence_leased
}

@test "the coherence table tells its lease, position and pushes" {
    local pushes
    pushes=$(figure pygmy_coherence_pushes_total)
    wait_until 5 figure_is pygmy_coherence_leased 1
    http POST "$frontend/buy?id=4"
    [[ $(figure pygmy_coherence_pushes_total) -gt $pushes ]]
    wait_until 5 figure_reaches pygmy_coherence_position "$(header X-Pygmy-Revision)"
    assert_equal "$(figure pygmy_coherence_era)" 1
}

@test "counters outlive a reload and a killed nginx worker; their starts are counted" {
    local starts buys master old
    starts=$(figure pygmy_frontend_worker_starts_total) buys=$(requests buy 200)
    expect_deaths
    master=$(supervisor_pid nginx)
    workers() { pgrep -P "$master" -f 'nginx: worker process$'; }
    old=$(workers)
    kill -HUP "$master"
    wait_until 10 figure_is pygmy_frontend_worker_starts_total $((starts * 2))
    kill -9 "$(workers | grep -vxF "$old" | head -n 1)"
    wait_until 10 figure_is pygmy_frontend_worker_starts_total $((starts * 2 + 1))
    http POST "$frontend/buy?id=4"
    assert_equal "$(requests buy 200)" $((buys + 1))
}

@test "a try that a hanging worker costs is counted, and the request is saved" {
    local failures pid
    failures=$(figure 'pygmy_frontend_upstream_failures_total{operation="lookup"}')
    pid=$(worker_pid catalog-A)
    kill -STOP "$pid"
    for _ in 1 2; do http GET "$frontend/lookup?id=5" -H 'X-Pygmy-Consistency: strict' && assert_equal "$code" 200; done
    kill -CONT "$pid"
    [[ $(figure 'pygmy_frontend_upstream_failures_total{operation="lookup"}') -gt $failures ]]
    # It waited for that try, and says so.
    [[ $(figure 'pygmy_frontend_upstream_duration_seconds_bucket{operation="lookup",le="1"}') -lt $(figure 'pygmy_frontend_upstream_duration_seconds_count{operation="lookup"}') ]]
}

# ---- following a request -------------------------------------------------------------------------

access_lines() { grep -aF "\"trace_id\":\"$1\"" "$PYGMY_STATE_DIR/logs/nginx-access.log"; }
worker_lines() { grep -ahF " trace $1: " "$PYGMY_STATE_DIR"/logs/{catalog,order}-[AB].log; }

@test "a purchase is found by its trace id in nginx's, the worker's and the transaction log" {
    local id=4bf92f3577b34da6a3ce929d0e0e4736
    http POST "$frontend/buy?id=5" -H "traceparent: 00-$id-00f067aa0ba902b7-00"
    assert_equal "$code" 200
    wait_until 5 access_lines "$id"
    assert_equal "$(access_lines "$id" | jq -c '[.uri, .status, .request_id]')" "[\"/buy?id=5\",\"200\",\"$(header X-Request-Id)\"]"
    assert_contains "$(worker_lines "$id")" "request $(header X-Request-Id) trace $id: /buy answered 200"
    assert_contains "$(grep -ahF "trace=$id" "$PYGMY_STATE_DIR"/logs/order-[AB].transactions.log)" "result=ok order=$(json .order.id)"
}

@test "without a valid traceparent the request's own id is the trace" {
    local bad id
    for bad in '' 'traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01' 'traceparent: garbage' \
        'traceparent: 00-4BF92F3577B34DA6A3CE929D0E0E4737-00F067AA0BA902B7-01'; do
        http POST "$frontend/buy?id=5" -H "$bad"
        id=$(header X-Request-Id)
        wait_until 5 access_lines "$id"
        grep -aqF "trace=$id" "$PYGMY_STATE_DIR"/logs/order-[AB].transactions.log
    done
    # Two of them are none.
    http POST "$frontend/buy?id=5" -H 'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4738-00f067aa0ba902b7-01' \
        -H 'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4739-00f067aa0ba902b7-01'
    id=$(header X-Request-Id)
    wait_until 5 access_lines "$id"
    # A client can't name one past nginx.
    http POST "$frontend/buy?id=5" -H 'Pygmy-Trace-Id: 4bf92f3577b34da6a3ce929d0e0e4740'
    grep -aqF "trace=$(header X-Request-Id)" "$PYGMY_STATE_DIR"/logs/order-[AB].transactions.log
}

@test "a read whose client keeps a record is logged, from the cache too; others are not" {
    local kept=4bf92f3577b34da6a3ce929d0e0e4741 other=4bf92f3577b34da6a3ce929d0e0e4742
    warm '/lookup?id=6'
    http GET "$frontend/lookup?id=6" -H "traceparent: 00-$other-00f067aa0ba902b7-00"
    http GET "$frontend/lookup?id=6" -H "traceparent: 00-$kept-00f067aa0ba902b7-01"
    is_hit
    wait_until 5 access_lines "$kept"
    assert_equal "$(access_lines "$kept" | jq -r .cache)" HIT
    [[ -z $(access_lines "$other") ]]
    # Past the cache the worker knows it by the same id.
    http GET "$frontend/lookup?id=6" -H "traceparent: 00-$kept-00f067aa0ba902b7-01" -H 'X-Pygmy-Consistency: strict'
    assert_contains "$(worker_lines "$kept")" '/lookup answered 200'
}
