#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2034
# What can go wrong between the nodes and etcd, with a proxy in front of each member that spoils what passes: watches that break,
# lose, repeat and reorder, answers that are slow, wrong or missing, puts that happened or did not. Nothing may be lost or made twice.

load helpers
load cluster

rounds=${CLUSTER_TEST_ROUNDS:-1}

# etcd listens somewhere else, and the proxy where the cluster thinks that etcd listens. It is of etcd's session, and ends with it.
setup_file() {
    cluster_setup
    install -m 0755 "$tree/.build/release/tools/etcd_proxy" "$store_dir/bin/"
    cat >"$store_dir/bin/etcd" <<TEXT
#!/bin/bash
words=() name='' last=''
for word; do
    if [[ \$last == --name ]]; then name=\$word; fi
    if [[ \$last == --listen-client-urls ]]; then
        address=\${word#http://} address=\${address%:*}
        word=http://\$address:18399
    fi
    words+=("\$word") last=\$word
done
$store_dir/bin/etcd_proxy --listen "\$address:$PYGMY_PORT_ETCD" --upstream "\$address:18399" --control "$store_dir/spoil-\$name" --seed $seed &
exec $(command -v etcd) "\${words[@]}"
TEXT
    chmod 0755 "$store_dir/bin/etcd"
    export PATH=$store_dir/bin:$PATH
    cluster_start
}
setup() { cluster_names; }
teardown() {
    spoil
    cluster_check
}
teardown_file() { cluster_teardown; }

# What is spoiled from now on, at all members: spoil put_lost 0.1 delay_ms 100. Nothing: no words.
spoil() {
    local node
    for node in "${nodes[@]}"; do spoil_at "$node" "$@"; done
}

spoil_at() {
    local file=$store_dir/spoil-$1
    shift
    if [[ $# -gt 0 ]]; then printf '%s %s\n' "$@"; fi >"$file.new"
    chmod 0644 "$file.new"
    mv "$file.new" "$file"
}

# Prints how often all proxies did something since the beginning: spoiled watch_lost
spoiled() {
    local node pid log sum=0 lines
    for node in "${nodes[@]}"; do
        log=$PYGMY_STATE_DIR/$node/logs/etcd-$node.log
        lines=$(count_lines "$log")
        for pid in $(cluster pids "etcd-$node"); do
            if [[ $(tr -d '\n' <"/proc/$pid/comm") == etcd_proxy ]]; then kill -USR1 "$pid"; fi
        done
        wait_until 5 has_more_lines "$log" "$lines" || return
        sum=$((sum + $(grep "^$1 " "$log" | tail -n 1 | cut -d ' ' -f 2)))
    done
    printf '%d' "$sum"
}

# (That line is the last one of what a proxy says.)
count_lines() { grep -c '^refused ' "$1" || :; }
has_more_lines() { [[ $(count_lines "$1") -gt $2 ]]; }

assert_spoiled() {
    local name
    for name in "$@"; do
        printf '%s: %s\n' "$name" "$(spoiled "$name")"
        [[ $(spoiled "$name") -gt 0 ]] || return
    done
}

# Reads never fail; a purchase may be told that its outcome is unknown, and has one answer in the end.
only_unknown_outcomes() {
    no_read_failed
    assert_equal "$(report '[.writes.failures | keys[] | select(. != "outcome_unknown" and . != "no_quorum")]')" '[]'
}

# Traffic for some seconds, then the comparison.
traffic_for() {
    local spent=$SECONDS
    traffic_begin "${@:2}"
    sleep "$1"
    spoil
    traffic_end
    replicas_are_same
}

@test "watches that lose, repeat and reorder events change nothing" {
    spoil watch_lose 0.1 watch_repeat 0.2 watch_reorder 0.1
    traffic_for $((6 * rounds))
    only_unknown_outcomes
    assert_spoiled watch_lost watch_repeated watch_reordered
}

@test "watches that are cut again and again change nothing" {
    local cut
    traffic_begin
    for ((cut = 1; cut <= 10 * rounds; cut++)); do
        spoil cut "$cut"
        random_moment 8
    done
    traffic_end
    no_request_failed
    assert_spoiled watch_cut
    replicas_are_same
}

@test "etcd that answers slowly makes purchases slower, not wrong" {
    spoil delay_ms 60
    traffic_for 4 --rate 60
    no_request_failed
    [[ $(report '.writes.median_ms | floor') -ge 60 ]]
    # So slow that no purchase can be done in its time, and no read can be sure to be fresh.
    spoil delay_ms 1500
    traffic_for 6 --rate 40
    only_unknown_outcomes
}

@test "etcd that answers with errors, whatever they are" {
    local status
    for status in 500 503 429 404; do
        spoil error 0.3 status "$status"
        traffic_for 3
        no_read_failed
    done
    assert_spoiled errors_forwarded errors_swallowed
}

@test "puts that happened, but were not answered: no purchase is lost or made twice" {
    spoil put_lost 0.3
    traffic_for $((5 * rounds))
    only_unknown_outcomes
    assert_spoiled puts_lost
}

@test "puts that did not happen and were not answered: no purchase is lost or made twice" {
    spoil put_swallowed 0.3
    traffic_for $((5 * rounds))
    only_unknown_outcomes
    assert_spoiled puts_swallowed
}

@test "one member refuses connections, or lets its clients wait for ever: the others are asked" {
    spoil_at A refuse 1
    traffic_for 3
    only_unknown_outcomes
    spoil_at B delay_ms 20000
    traffic_for 5
    only_unknown_outcomes
}

@test "all of it at once, and members of etcd that die" {
    local round
    for ((round = 0; round < rounds; round++)); do
        spoil watch_lose 0.05 watch_repeat 0.1 watch_reorder 0.05 error 0.05 put_lost 0.05 put_swallowed 0.05 delay_ms 5
        traffic_begin
        random_moment 20
        kill_etcd "$(printf '%s\n' A B C | shuf -n 1)"
        random_moment 40
        spoil
        traffic_end
        replicas_are_same
    done
}

# Its supervisor starts it again.
kill_etcd() {
    local pid
    for pid in $(cluster pids "etcd-$1"); do
        if [[ $(tr -d '\n' <"/proc/$pid/comm") == etcd ]]; then kill -KILL "$pid"; fi
    done
}
