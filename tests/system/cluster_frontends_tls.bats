#!/usr/bin/env bats
# shellcheck disable=SC2154
# Two frontends and three nodes that speak TLS with each other: joins, pushes, leases, fences, returns and purchases.

load helpers
load cluster
load frontends

setup_file() {
    cluster_setup
    export PYGMY_CLUSTER_TLS=on
    cluster_start --frontends 2
}
setup() { cluster_names && whole && everybody_counts; }
teardown() {
    check_kill
    cluster_continue
    cluster_check
}
teardown_file() { cluster_teardown; }

@test "frontends join, are pushed to and hold leases through TLS, and purchases are seen at once at both" {
    local url before
    assert_equal "$(registered C 'map(.url[0:8]) | tostring')" '["https://","https://"]'
    before=$(ask "$frontend/lookup?id=${items[0]}" | jq '.item[0].count')
    buy "${items[0]}" "${frontends[1]}"
    for url in "${frontends[@]}"; do assert_equal "$(ask "$url/lookup?id=${items[0]}" | jq '.item[0].count')" $((before - 1)); done
    for name in "${frontend_names[@]}"; do [[ $(table_of "$name" .pushes) -gt 0 && $(table_of "$name" .renewals) -gt 0 ]]; done
    # Nobody without a certificate is believed, not even with the token.
    url=https://$PYGMY_LISTEN:$((PYGMY_PORT_PUSH + 10))
    assert_equal "$(curl --silent --noproxy '*' --cacert "${tls_words[1]}" --output /dev/null --write-out '%{http_code}' \
        -H "Authorization: Bearer $(peer_token)" "$url/coherence/status")" 403
    assert_equal "$(curl --silent --noproxy '*' --cacert "${tls_words[1]}" --output /dev/null --write-out '%{http_code}' --request POST \
        -H "Authorization: Bearer $(peer_token)" -H 'Content-Type: application/json' --data '{"url":"https://127.0.0.1:1"}' "${catalog_of[A]}/coherence/reach")" 403
}

@test "etcd has nothing to warn of in how the nodes ask it" {
    local logs
    mapfile -t logs < <(find "$PYGMY_STATE_DIR" -name 'etcd-*.log')
    [[ ${#logs[@]} -eq 3 ]]
    run ! grep -h 'ignoring common name' "${logs[@]}"
}

@test "a frontend that is frozen under reads and writes is fenced, comes back, and nobody is shown anything old" {
    check_begin
    wait_until 20 is_pushed_to frontend-2
    freeze frontend-2 STOP
    wait_until 20 is_fenced F2
    freeze frontend-2 CONT
    everybody_counts
    check_end
}

@test "a frontend that was killed comes back under another table, and is coherent" {
    check_begin
    cluster kill frontend
    cluster start frontend
    everybody_counts
    check_end
}
