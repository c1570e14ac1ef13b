#!/usr/bin/env bats
# shellcheck disable=SC2154  # of helpers.bash
# What operators do with a store that runs: more replicas and fewer, backups, new certificates, a load test.

setup() {
    load helpers
    deploy_load
}

teardown() {
    traffic_teardown
    inventory_write n1,n2,n3 n1,n2,n3 n1,n2
}

@test "add-replica.yml and remove-replica.yml: a fourth replica joins and leaves while customers buy, and no request fails" {
    traffic_begin 30
    inventory_write n1,n2,n3 n1,n2,n3,n4 n1,n2
    run play add-replica.yml -e pygmy_host=n4
    echo "$output" | tail -n 60
    [ "$status" -eq 0 ]
    host_is_ready n4
    run pygmy_on n1 member list
    [[ $output == *n4* ]]
    # Frontends ask it.
    wait_until 20 into n4 'sudo grep -rqs /buy /var/log/pygmy || curl -s --max-time 2 http://10.77.0.11:8010/members | grep -q n4'
    inventory_write n1,n2,n3 n1,n2,n3 n1,n2
    run play remove-replica.yml -e pygmy_host=n4
    echo "$output" | tail -n 60
    [ "$status" -eq 0 ]
    goes_on 20 20
    traffic_end
    traffic_lost_nothing
    run pygmy_on n1 member list
    [[ $output != *n4* ]]
    run into n4 'systemctl is-active pygmy-order.service pygmy-node.service'
    [ "$output" = inactive$'\n'inactive ]
    books_agree n1 n2 n3
}

@test "backup.yml brings a backup home, restore.yml puts it in the place of the whole store" {
    kept=$(ask -X POST "${frontends[0]}/buy?id=5" | jq .order.id)
    run play backup.yml -e pygmy_backup="$work/backup.db"
    echo "$output" | tail -n 30
    [ "$status" -eq 0 ]
    "$tree/.build/release/bin/pygmy" verify "$work/backup.db"
    left=$(ask "${frontends[1]}/lookup?id=5" | jq '.item[0].count')
    ask -X POST "${frontends[0]}/buy?id=5" >/dev/null
    run play restore.yml -e pygmy_backup="$work/backup.db" -e pygmy_restore_confirm=deploy-test
    echo "$output" | tail -n 60
    [ "$status" -eq 0 ]
    for host in n1 n2 n3; do host_is_ready "$host"; done
    for frontend in "${frontends[@]}"; do [ "$(ask "$frontend/lookup?id=5" | jq '.item[0].count')" -eq "$left" ]; done
    run pygmy_on n2 --json orders --last 1
    [ "$(jq '.order[0].id // .orders[0].id' <<<"$output")" -eq "$kept" ]
    traffic_begin 20
    goes_on 20 20
    traffic_end
    books_agree n1 n2 n3
    run play site.yml
    [ "$status" -eq 0 ]
    changed_nothing n1 n2 n3
}

@test "renew-certificates.yml: every host has another certificate, and no request fails" {
    for host in n1 n2 n3; do into "$host" 'sudo openssl x509 -in /etc/pygmy/tls/node.crt -noout -serial'; done >"$work/serials"
    traffic_begin 30
    goes_on 20 20
    run play renew-certificates.yml
    echo "$output" | tail -n 60
    [ "$status" -eq 0 ]
    goes_on 20 20
    traffic_end
    traffic_lost_nothing
    for host in n1 n2 n3; do
        serial=$(into "$host" 'sudo openssl x509 -in /etc/pygmy/tls/node.crt -noout -serial')
        run grep -qxF "$serial" "$work/serials"
        [ "$status" -ne 0 ]
        # It is what its listeners show, etcd among them.
        for port in 2379 8011; do
            [ "$(into "$host" "echo | sudo openssl s_client -connect 10.77.0.1${host#n}:$port -CAfile /etc/pygmy/tls/ca.crt -cert /etc/pygmy/tls/node.crt \
                -key /etc/pygmy/tls/node.key 2>/dev/null | openssl x509 -noout -serial")" = "$serial" ]
        done
        host_is_ready "$host"
    done
    books_agree n1 n2 n3
}

@test "loadtest.yml runs the load test on a client machine and brings the report home" {
    inventory_write n1,n2,n3 n1,n2,n3 n1,n2 n4
    run play site.yml
    [ "$status" -eq 0 ]
    run play loadtest.yml -e pygmy_loadtest_dir="$work/loadtest" -e '{"pygmy_loadtest_options": "--seconds 2 --clients 4 lookup buy"}'
    echo "$output" | tail -n 60
    [ "$status" -eq 0 ]
    find "$work/loadtest" -name '*.csv' | grep -q .
}
