#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2034
# Replicas that join and leave under load; what peers may do without their credential; mutual TLS between all machines.

load helpers
load cluster

setup_file() {
    cluster_setup
    export PYGMY_CLUSTER_TLS=on
    cluster_start
}
setup() { cluster_names; }
teardown() { cluster_check; }
teardown_file() { cluster_teardown; }

@test "purchases and reads through TLS, and the fault test on it" {
    buy "${items[0]}"
    fault --target "node-$(followers | head -n 1)" --seconds 2
    replicas_are_same
}

@test "who has no certificate of the deployment is refused by nodes and by etcd" {
    local url answer
    for url in "${catalog_of[A]}/coherence/changes?since=0" "${catalog_of[B]}/snapshot"; do
        answer=$(curl --silent --cacert "${tls_words[1]}" --max-time 5 --output /dev/null --write-out '%{http_code}' "$url") || :
        echo "$url: $answer"
        [[ $answer == 40[013] ]]
    done
    run curl --silent --cacert "${tls_words[1]}" --max-time 5 "${etcd_of[A]}/v3/maintenance/status" --data '{}'
    [[ $status -ne 0 ]]
    # One that another authority signed is none.
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=A -keyout "$store_dir/other.key" -out "$store_dir/other.pem" 2>/dev/null
    run curl --silent --cacert "${tls_words[1]}" --cert "$store_dir/other.pem" --key "$store_dir/other.key" --max-time 5 "${etcd_of[A]}/v3/maintenance/status" --data '{}'
    [[ $status -ne 0 ]]
    answer=$(curl --silent --cacert "${tls_words[1]}" --cert "$store_dir/other.pem" --key "$store_dir/other.key" --max-time 5 --output /dev/null \
        --write-out '%{http_code}' "${catalog_of[B]}/snapshot") || :
    [[ $answer == 400 || $answer == 403 || $answer == 000 ]]
}

@test "what peers call answers 401 without their credential" {
    local path
    # (With a certificate, but without the token.)
    assert_equal "$(ask "${catalog_of[A]}/item/propagate/1" -X PUT -H 'Content-Type: application/json' --data '{"cost":1}' -o /dev/null -w '%{http_code}')" 401
    assert_equal "$(ask "${order_of[B]}/update" -X PUT -H 'Content-Type: application/json' --data '{"item_id":1}' -o /dev/null -w '%{http_code}')" 401
    for path in /snapshot '/coherence/changes?since=0'; do
        assert_contains '401 403 404' "$(ask "${catalog_of[C]}$path" -o /dev/null -w '%{http_code}')"
        assert_contains '404' "$(curl -s "$frontend$path" -o /dev/null -w '%{http_code}')"
    done
    # Nothing was changed.
    replicas_are_same
}

@test "a replica joins under load with a snapshot, and another one leaves: no failed request" {
    traffic_begin
    cluster add D
    cluster_names
    wait_until 30 is_ready D
    cluster remove B
    cluster_names
    assert_equal "${nodes[*]}" 'A C D'
    traffic_end
    no_request_failed
    replicas_are_same
    # It may come back, empty.
    cluster add B
    cluster_names
    replicas_are_same
}
