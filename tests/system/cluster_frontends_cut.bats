#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2034
# A frontend that some nodes reach and others do not, in network namespaces: the writer that can't reach it waits a lease's time once, has it
# fenced, and goes on at full speed for as long as that lasts; the frontend shows nothing old meanwhile, and comes back by itself.

load helpers
load cluster
load namespaces
load frontends

setup_file() { namespaces_setup --frontends 2; }
setup() {
    namespaces_names
    whole
    everybody_counts
}
teardown() {
    check_kill
    heal
    cluster_check
}
teardown_file() { namespaces_teardown; }

push_port_2() { printf '%d' $((PYGMY_PORT_PUSH + 10)); }

# One purchase at node $1, from its own machine; sets `took_ms`.
buy_at() {
    local began=${EPOCHREALTIME/./} code
    code=$(ip netns exec "$(space_of "$1")" curl --silent --noproxy '*' --max-time 5 --request POST --output /dev/null --write-out '%{http_code}' \
        -H "Idempotency-Key: $2" "${order_of[$1]}/buy/${items[0]}") || :
    took_ms=$(((${EPOCHREALTIME/./} - began) / 1000))
    [[ $code == 200 ]]
}

# The same until it is acknowledged; sets `took_ms` to the time of all tries.
buy_until_done() {
    local key=cut-$RANDOM$RANDOM sum=0
    until buy_at "$1" "$key"; do sum=$((sum + took_ms)) && [[ $sum -lt 20000 ]]; done
    took_ms=$((sum + took_ms))
}

stock_at() { ask "$1/lookup?id=${items[0]}" | jq '.item[0].count'; }

# A purchase at node $1 is seen at once at the frontends whose URLs follow.
seen_at_once() {
    local node=$1 url before
    shift
    before=$(stock_at "$1")
    buy_until_done "$node"
    for url in "$@"; do assert_equal "$(stock_at "$url")" $((before - 1)) "$url shows an old state" || return; done
}

# The counter $2 of both workers of node $1: both write, and either may be the one that fences.
of_writer() {
    local url
    for url in "${catalog_of[$1]}" "${order_of[$1]}"; do
        ip netns exec "$(space_of "$1")" curl --silent --noproxy '*' --max-time 5 "$url/metrics"
    done | awk -v name="$2" '$1 == name {sum += $2} END {print sum}'
}

# Node A writes for 8 s, $1 being cut off from it: it has waited once, and $1 stays outside.
goes_on_at_full_speed() {
    local name=$1 first lapses fences count=0 slowest=0 until
    fences=$(of_writer A pygmy_fences_total)
    buy_until_done A
    first=$took_ms
    wait_until 20 is_fenced "$name"
    # (What is written just behind the fence waits for what is left of the lease.)
    buy_until_done A
    lapses=$(of_writer A pygmy_push_lapses_total)
    until=$((SECONDS + 8))
    while ((SECONDS < until)); do
        buy_until_done A
        count=$((count + 1))
        if ((took_ms > slowest)); then slowest=$took_ms; fi
    done
    printf 'cut off from A: its first purchase took %d ms, the slowest of %d more %d ms\n' "$first" "$count" "$slowest" >&3
    assert_equal "$(of_writer A pygmy_push_lapses_total)" "$lapses" 'it has waited for a lease again'
    assert_equal "$(of_writer A pygmy_fences_total)" $((fences + 1))
    is_fenced "$name"
    [[ $count -gt 0 ]]
}

@test "one writer can't push to one of two frontends: it waits once; the frontend shows nothing old, and comes back when it can" {
    local i
    check_begin
    sleep 1
    block_port A "$(push_port_2)"
    goes_on_at_full_speed F2
    assert_equal "$(table_of frontend-2 .leased)" false
    for i in 1 2 3; do seen_at_once A "${frontends[@]}"; done
    for i in 1 2 3; do seen_at_once B "${frontends[@]}"; done
    grep -q "could not join: .*frontend_unreachable" "$PYGMY_STATE_DIR/frontend-2/logs/nginx-error.log"
    heal
    everybody_counts
    seen_at_once A "${frontends[@]}"
    check_end
}

@test "one writer and all frontends are cut off from each other, both ways: it waits once, and they come back" {
    local node
    # (They are fenced one after the other or together, by one writer.)
    block A frontend
    block frontend A
    buy_until_done A
    buy_until_done A
    registered_at_b() { [[ $(registered B 'map(.fenced) | tostring') == "$1" ]]; }
    wait_until 20 registered_at_b '[true,true]'
    sleep 3
    registered_at_b '[true,true]'
    for node in A B C; do seen_at_once "$node" "${frontends[@]}"; done
    heal
    everybody_counts
    for node in A B C; do seen_at_once "$node" "${frontends[@]}"; done
}

@test "a node that is cut off from the others does not answer frontends as if it were fresh, and keeps no frontend out" {
    check_begin
    sleep 1
    cut_from_peers C
    freeze frontend-2 STOP
    wait_until 30 is_fenced F2
    freeze frontend-2 CONT
    # C is still in touch with the frontend, but not with the log.
    wait_until 40 counts F2
    seen_at_once A "${frontends[@]}"
    heal
    everybody_counts
    check_end
}
