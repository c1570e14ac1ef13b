#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2034
# kill -9 and SIGSTOP of every part of a cluster, at random moments under load: requests go on, what died comes back by itself, every
# acknowledged order is there once on every replica, and all replicas are the same.

load helpers
load cluster

rounds=${CLUSTER_TEST_ROUNDS:-1}

setup_file() { cluster_setup && cluster_start; }
setup() { cluster_names; }
teardown() { cluster_check; }
teardown_file() { cluster_teardown; }

one_of() { printf '%s\n' "$@" | shuf -n 1; }

@test "kill -9 of workers, again and again, which their supervisors start again: no failed request" {
    local round name pid
    traffic_begin
    for ((round = 0; round < 6 * rounds; round++)); do
        name=$(one_of catalog order)-$(one_of "${nodes[@]}")
        random_moment 8
        pid=$(worker_of "$name")
        kill -KILL "$pid"
        echo "killed $name"
        wait_until 10 is_gone "$pid"
        wait_until 10 is_ready "${name#*-}"
    done
    traffic_end
    no_request_failed
    replicas_are_same
}

@test "the fault test: a catalog worker, an order worker and an nginx stay down: no failed request" {
    fault --target "catalog-$(one_of A B C)" --seconds 2 --rounds "$rounds"
    fault --target "order-$(one_of A B C)" --seconds 2 --rounds "$rounds"
    fault --target "nginx-$(one_of A B C)" --seconds 2 --rounds "$rounds"
}

@test "all of a follower node dies: no failed request" {
    fault --target "node-$(followers | shuf -n 1)" --seconds 3 --rounds "$rounds"
}

@test "all of the node with etcd's leader dies: reads go on, purchases wait for the election" {
    fault --target "node-$(leader)" --seconds 3
    [[ $(jq '.rounds[0].traffic.writes.longest_stall_ms' "$store_dir/result") -lt 5000 ]]
}

@test "a follower of etcd dies: no failed request" {
    fault --target etcd-follower --seconds 2 --rounds "$rounds"
}

@test "etcd's leader dies: reads go on, purchases wait for the election or say that the outcome is unknown" {
    fault --target etcd-leader --seconds 2 --rounds $((2 * rounds))
    assert_equal "$(jq -c '[.rounds[].traffic.writes.failures | keys[] | select(. != "outcome_unknown" and . != "no_quorum")]' "$store_dir/result")" '[]'
    [[ $(jq '[.rounds[].traffic.writes.longest_stall_ms] | max' "$store_dir/result") -lt 5000 ]]
}

@test "a worker is frozen for 5 s: no failed read, purchases go to others" {
    fault --signal STOP --target "order-$(one_of A B C)" --seconds 5 --rounds "$rounds"
    fault --signal STOP --target "catalog-$(one_of A B C)" --seconds 5 --rounds "$rounds"
}

@test "all of a follower node is frozen for 5 s: no failed read, purchases go to others" {
    fault --signal STOP --target "node-$(followers | shuf -n 1)" --seconds 5 --rounds "$rounds"
}

@test "etcd's members are frozen for 5 s, a follower and the leader" {
    fault --signal STOP --target etcd-follower --seconds 5 --rounds "$rounds"
    fault --signal STOP --target etcd-leader --seconds 5 --rounds "$rounds"
}

@test "the fault test tells what it needs, and leaves nothing frozen or down when it is stopped" {
    local code=0 pid
    run "$tree/client/faulttest.sh" --target node-Z
    assert_equal "$status" 2 "$output"
    "$tree/client/faulttest.sh" --target order-B --signal STOP --seconds 60 >"$store_dir/result" 2>"$store_dir/progress" 3>&- </dev/null &
    pid=$!
    wait_until 20 grep -q 'order-B is frozen' "$store_dir/progress"
    kill -TERM "$pid"
    wait "$pid" || code=$?
    assert_equal "$code" 130 "$(cat "$store_dir/progress")"
    whole
    assert_equal "$(ask "${catalog_of[A]}/search?topic=fault+test" | jq -c .item)" '[]' 'items of the test are on sale'
}
