#!/usr/bin/env bats
# shellcheck disable=SC2154  # of helpers.bash
# site.yml on bare machines, and the store that it makes. The other files of this folder go on with what this one leaves.

setup() {
    load helpers
    deploy_load
}

@test "site.yml --check on bare hosts says what it would do, and changes nothing" {
    run play site.yml --check --diff
    echo "$output" | tail -n 40
    [ "$status" -eq 0 ]
    [[ $output != *'BEGIN '*'PRIVATE KEY'* ]]
    into n1 '! dpkg -s pygmy 2>/dev/null && ! test -e /etc/pygmy && ! test -e /var/lib/pygmy && ! id pygmy 2>/dev/null'
    [ ! -e "$work/secrets" ]
}

@test "site.yml deploys to bare hosts; they are ready, and nothing has failed on them" {
    run play site.yml
    echo "$output" | tail -n 60
    [ "$status" -eq 0 ]
    for host in n1 n2 n3; do
        into "$host" sudo /usr/lib/pygmy/check-node
        run into "$host" systemctl --failed --no-legend --plain
        [ -z "$output" ]
    done
}

@test "site.yml a second time changes nothing; nor would it with --check" {
    run play site.yml
    echo "$output" | grep -E -B 2 -A 12 '^changed:' | head -n 80
    [ "$status" -eq 0 ]
    changed_nothing n1 n2 n3
    run play site.yml --check
    echo "$output" | grep -E -B 2 -A 12 '^changed:' | head -n 80
    [ "$status" -eq 0 ]
    changed_nothing n1 n2 n3
}

@test "customers search, look up and buy at both frontends, and see each other's purchases" {
    run ask "${frontends[0]}/search?topic=distributed%20systems"
    [[ $output == *'"title":"RPCs for Dummies."'* ]]
    before=$(ask "${frontends[1]}/lookup?id=2" | jq '.item[0].count')
    run ask -X POST "${frontends[0]}/buy?id=2"
    [[ $output == *'bought successfully'* ]]
    [ "$(ask "${frontends[1]}/lookup?id=2" | jq '.item[0].count')" -eq $((before - 1)) ]
    [ "$(ask "${frontends[0]}/lookup?id=2" | jq '.item[0].count')" -eq $((before - 1)) ]
    # The second of two equal reads comes from the cache.
    ask "${frontends[0]}/lookup?id=2" >/dev/null
    run ask -D - -o /dev/null "${frontends[0]}/lookup?id=2"
    [[ $output == *Cache-Status:*hit* ]]
}

@test "the administrator changes the catalogue on a host, and sees every replica and frontend" {
    run pygmy_on n2 item set 3 --cost 11.85
    [ "$status" -eq 0 ]
    for frontend in "${frontends[@]}"; do
        [ "$(ask "$frontend/lookup?id=3" | jq '.item[0].cost')" = 11.85 ]
    done
    run pygmy_on n1 status
    echo "$output"
    [ "$status" -eq 0 ]
    for host in n1 n2 n3; do [[ $output == *"$host"* ]]; done
}

@test "from outside only the shop and ssh can be reached" {
    for port in 2379 2380 8011 8013 8018 8019; do
        run hosts run curl -sk -o /dev/null --connect-timeout 1 "https://10.77.0.11:$port/"
        [ "$status" -eq 28 ] || [ "$status" -eq 7 ]
    done
    # The deployment's own hosts may, with a certificate.
    into n3 'sudo curl -sS --fail --cacert /etc/pygmy/tls/ca.crt --cert /etc/pygmy/tls/node.crt --key /etc/pygmy/tls/node.key https://10.77.0.11:8011/readyz'
    run into n3 'curl -sk -o /dev/null -w "%{http_code}" https://10.77.0.11:8011/snapshot'
    [[ $output != 200 ]]
}

@test "the workers run without rights, in a file system that they can't change" {
    # shellcheck disable=SC2016  # the host's shell expands it
    into n1 'test "$(ps -o user= -C catalog,order,etcd | sort -u)" = pygmy'
    into n1 'systemd-analyze security --no-pager pygmy-catalog.service pygmy-order.service pygmy-etcd.service' | tail -n 3
    pid=$(into n1 'systemctl show -p MainPID --value pygmy-order.service')
    into n1 "sudo grep -E '^(NoNewPrivs:\s+1|CapEff:\s+0000000000000000|Seccomp:\s+2)' /proc/$pid/status | wc -l" | grep -qx 3
}

@test "fetch-logs.yml brings the logs of all hosts home" {
    run play fetch-logs.yml
    echo "$output" | tail -n 20
    [ "$status" -eq 0 ]
    for host in n1 n2 n3; do
        find "$work/logs" -path "*$host*" -name '*.transactions.log' | grep -q .
        grep -rqs 'pygmy-etcd\|etcd' "$work/logs" --include='*'
    done
    grep -rql 'POST /buy\|/buy' "$work/logs"
}
