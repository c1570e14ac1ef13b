#!/usr/bin/env bats
# shellcheck disable=SC2154
# The coherence test as a user runs it: a million cached reads under lost pushes, slow fills and faults, none of them stale; and that it
# finds those of a store that is broken. COHERENCE_TEST_HITS=50000 makes it shorter.

load helpers

setup() {
    store_dir=$(mktemp -d /tmp/pygmy-test.XXXXXX)
    export PYGMY_COHERENCETEST_DIR=$store_dir/out PYGMY_BUILD=$pygmy_build TMPDIR=$store_dir
    chmod 0711 "$store_dir"
}
teardown() {
    if [[ -z ${BATS_TEST_COMPLETED:-} ]]; then tail -n 20 "$store_dir"/out/*/check.log "$store_dir/said"; fi
    # It has cleaned up behind itself: its cluster's processes and folders are gone.
    local left
    left=$(find "$store_dir" -maxdepth 1 -name 'pygmy-coherencetest.*')
    rm -rf -- "$store_dir"
    assert_equal "$left" ''
}

# Sets code; its JSON is in $store_dir/result.
coherencetest() {
    code=0
    "$tree/client/coherencetest.sh" "$@" >"$store_dir/result" 2>"$store_dir/said" 3>&- </dev/null || code=$?
}
result() { jq -r "$1" "$store_dir/result"; }

@test "no stale read in a million cached ones, with half of the pushes lost, slow fills, and everything hurt once" {
    local hits=${COHERENCE_TEST_HITS:-1000000}
    coherencetest --own --json --hits "$hits" --seconds 600
    cat "$store_dir/result"
    assert_equal "$code $(result .passed) $(result .check.violations)" '0 true 0'
    [[ $(result .check.hits) -ge $hits ]]
    # What it says it has done was done.
    assert_equal "$(result '.faults | keys | join(",")')" 'frontend killed,frontend stopped,leader of etcd killed,node killed,node stopped,worker killed'
    assert_equal "$(result '[.network.pushes_swallowed, .network.pushes_unanswered, .network.pushes_broken, .network.pushes_late] | all(. > 0)')" true
    assert_equal "$(result '.network | (.pushes_swallowed + .pushes_unanswered + .pushes_broken + .pushes_late) / .pushes | . > 0.4 and . < 0.6')" true
    assert_equal "$(result '[.network.fill_delays[]] | all(. > 0)')" true
}

@test "pushes that are confirmed and never delivered are found out: the test does not pass" {
    coherencetest --own --json --broken --lost-pushes 0 --slow-fills 0 --lost-leases 0 --faults none --hits 20000 --seconds 300
    assert_equal "$code $(result .passed)" '1 false'
    [[ $(result .check.violations) -gt 0 && $(result .network.pushes_forged) -gt 0 ]]
    grep -q '^stale: ' "$store_dir"/out/*/check.log
}

@test "the cluster that runs is tested as it is; wrong usage and a missing cluster are told apart" {
    coherencetest --hits no
    assert_equal "$code" 2
    coherencetest --faults everything
    assert_equal "$code" 2
    coherencetest --broken
    assert_equal "$code" 2
    export PYGMY_STATE_DIR=$store_dir/state PYGMY_RUN_DIR=$store_dir/run PYGMY_CLUSTER_NET=127.250.$((RANDOM % 250 + 1))
    coherencetest
    assert_equal "$code" 3
    "$tree/client/coherencetest.sh" --help | grep -q -- --lost-pushes
}
