#!/usr/bin/env bats
# shellcheck disable=SC2154  # of helpers.bash
# Machines die while customers buy. Each test leaves all hosts up and the store whole.

setup() {
    load helpers
    deploy_load
}

teardown() { traffic_teardown; }

# Asks a host's member of etcd: etcd n1 /v3/cluster/member/list
etcd() {
    into n1 "sudo curl -sS --fail --max-time 5 --cacert /etc/pygmy/tls/ca.crt --cert /etc/pygmy/tls/node.crt --key /etc/pygmy/tls/node.key \
        --data '{}' https://10.77.0.1${1#n}:2379$2"
}

# Prints the host of etcd's leader.
leader() {
    local host
    for host in n1 n2 n3; do
        if etcd "$host" /v3/maintenance/status | jq -e '.leader == .header.member_id' >/dev/null; then printf '%s' "$host" && return; fi
    done
}

# Kills a host under traffic; boots it again. Nothing acknowledged may be lost, and it must come back by itself.
survives_death_of() {
    local host=$1 other=${frontends[0]}
    if [[ $host == n1 ]]; then other=${frontends[1]}; fi
    traffic_begin 40
    wait_until 20 has_sold 20 "$other"
    hosts kill "$host"
    before=$(sold 0 "$other")
    wait_until 20 has_sold $((before + 60)) "$other"
    hosts start "$host"
    wait_until 60 host_is_ready "$host"
    before=$(sold 0 "$other")
    wait_until 20 has_sold $((before + 20)) "$other"
    traffic_end
    books_agree n1 n2 n3
}

@test "the host of etcd's leader dies: purchases go on, no acknowledged order is lost, and it comes back by itself" {
    host=$(leader)
    echo "the leader is on $host"
    [ -n "$host" ]
    survives_death_of "$host"
}

@test "a host that is no frontend dies: no read fails, no acknowledged order is lost, and it comes back by itself" {
    survives_death_of n3
    jq -e '.reads.failed == 0' "$work/traffic.json"
}

@test "replace-host.yml: an empty machine takes the place of a dead one, and of its member of etcd, while customers buy" {
    hosts kill n3
    traffic_begin 20
    hosts replace n3
    run play replace-host.yml -e pygmy_host=n3
    echo "$output" | tail -n 60
    [ "$status" -eq 0 ]
    host_is_ready n3
    goes_on 20 20
    traffic_end
    jq -e '.reads.failed == 0' "$work/traffic.json"
    books_agree n1 n2 n3
    # (One that was added and never started has no name.)
    [ "$(etcd n1 /v3/cluster/member/list | jq -r '.members[].name' | sort | tr '\n' ' ')" = 'n1 n2 n3 ' ]
    # The deployment is what site.yml would have made.
    run play site.yml
    [ "$status" -eq 0 ]
    changed_nothing n1 n2 n3
}
