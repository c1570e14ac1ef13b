#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031
# nginx as a node and as a frontend with mutual TLS between them.

load helpers
load shared_store
load roles

setup_file() {
    store_setup
    roles_setup
    export store_dir scheme=https
    store_start
    frontend=http://$net.100:$PYGMY_PORT_FRONTEND push_port=$PYGMY_PORT_CATALOG_B
    export frontend push_port
    certificates "$store_dir/tls"
    certificates "$store_dir/other"
    as_machine A
    node_start A "${tls[@]}"
    as_machine B
    node_start B "${tls[@]}"
    as_machine frontend
    frontend_start "A B" "${tls[@]}"
    wait_until 10 frontend_is_leased
}

setup() {
    peer=(-H "Authorization: Bearer $(peer_token)")
    client=(--cacert "$store_dir/tls/ca.pem")
    machine=("${client[@]}" --cert "$store_dir/tls/A.pem" --key "$store_dir/tls/A.key")
    stranger=("${client[@]}" --cert "$store_dir/other/A.pem" --key "$store_dir/other/A.key")
    as_machine frontend
}

teardown_file() {
    roles_teardown
    shared_store_teardown
}

# Makes an authority and the machines' certificates in a folder, as a cluster does.
certificates() {
    (
        me='test'
        say() { printf '%s\n' "$*"; }
        # shellcheck source=../../client/cluster/certificates.sh
        . "$tree/client/cluster/certificates.sh"
        mkdir "$1"
        certificate_make_authority "$1"
        certificate_make "$1" A "$net.1"
        certificate_make "$1" B "$net.2"
        certificate_make "$1" frontend "$net.100"
    )
    if [[ $EUID -eq 0 ]]; then chown -R pygmy:pygmy "$1"; fi
}

# Sets `tls` to the settings of a machine: as_machine A [folder]
as_machine() {
    local folder=${2:-$store_dir/tls}
    tls=("PYGMY_PEER_CA=$folder/ca.pem" "PYGMY_PEER_CERT=$folder/$1.pem" "PYGMY_PEER_KEY=$folder/$1.key")
}

@test "reads, hits and writes through TLS; the frontend's table is kept by leases" {
    warm '/lookup?id=1'
    http POST "$frontend/buy?id=1"
    assert_equal "$code" 200
    assert_cached 'miss 200' '/lookup?id=1'
    assert_equal "$(json '.item[0].count')" 99
    assert_cached 'hit 200' '/lookup?id=1'
    wait_until 5 grep -qE "\"upstream\":\"$net\.[12]:$PYGMY_PORT_ORDER_A\"" "$store_dir/frontend/logs/nginx-access.log"
    frontend_is_leased
}

@test "a client needs no certificate, a peer needs one and the token" {
    local changes
    changes="$(node_url A)/coherence/changes?since=0"
    http GET "$(node_url A)/item/1" "${client[@]}"
    assert_equal "$code" 200
    # Neither, the token alone, the certificate alone, both.
    http GET "$changes" "${client[@]}"
    assert_refused 403 forbidden
    http GET "$changes" "${client[@]}" "${peer[@]}"
    assert_refused 403 forbidden
    http GET "$changes" "${machine[@]}"
    assert_refused 401 unauthorized
    http GET "$changes" "${machine[@]}" "${peer[@]}"
    assert_equal "$code" 200
    for path in /update /item/propagate/1 /snapshot /coherence/changes; do
        http PUT "$(order_url B)$path" "${client[@]}" "${peer[@]}" -H 'Idempotency-Key: x' -H 'Content-Type: application/json' -d '{"item_id":1,"quantity":1}'
        assert_refused 403 forbidden
    done
    http PUT "$(order_url B)/%75pdate" "${client[@]}" "${peer[@]}" -H 'Content-Type: application/json' -d '{"item_id":1,"quantity":1}'
    assert_refused 403 forbidden
    http PUT "$(order_url B)/update" "${machine[@]}" "${peer[@]}" -H 'Idempotency-Key: by-a-peer' -H 'Content-Type: application/json' -d '{"item_id":1,"quantity":1}'
    assert_equal "$code" 201 "$body"
}

@test "a certificate of another authority is none" {
    http GET "$(node_url A)/coherence/changes?since=0" "${stranger[@]}" "${peer[@]}" || :
    assert_refused 403 forbidden
}

@test "who has the token but no certificate is not believed to be a frontend" {
    local id=0123456789abcdef0123456789abcdef
    http GET "$(node_url A)/item/1" "${client[@]}" -H "X-Pygmy-Peer: $(peer_token)" -H "X-Request-Id: $id"
    [[ $code == 200 && $(header X-Request-Id) != "$id" ]]
    http GET "$(node_url A)/item/1" "${machine[@]}" -H "X-Pygmy-Peer: $(peer_token)" -H "X-Request-Id: $id"
    assert_equal "$code $(header X-Request-Id)" "200 $id"
}

@test "plain HTTP on a port that speaks TLS is refused in the store's words" {
    http GET "http://$(node_address A):$PYGMY_PORT_CATALOG_A/item/1"
    assert_refused 400 bad_request
}

@test "old versions of TLS are refused" {
    run curl --silent "${client[@]}" --tls-max 1.1 --tlsv1.0 --ciphers DEFAULT@SECLEVEL=0 "$(node_url A)/item/1"
    [[ $status -ne 0 && -z $output ]]
}

@test "the port for pushes: a certificate and the token" {
    local port=https://$net.100:$push_port text
    text="pygmy-changes 1 $(frontend_status | jq -r .log_id) push 1"$'\n''1 100'$'\n'
    http POST "$port/coherence/push" --data-binary "$text" "${client[@]}" "${peer[@]}"
    assert_refused 403 forbidden
    http POST "$port/coherence/push" --data-binary "$text" "${machine[@]}"
    assert_refused 401 unauthorized
    http POST "$port/coherence/push" --data-binary "$text" "${machine[@]}" "${peer[@]}"
    assert_equal "$code" 204
    http GET "http://$net.100:$push_port/coherence/status"
    assert_refused 400 bad_request
}

@test "a node that is not of the deployment gets no request and no token" {
    role_end node-A
    role_end node-B
    as_machine A "$store_dir/other"
    node_start A "${tls[@]}"
    http GET "$frontend/lookup?id=3"
    assert_refused 502 no_worker
    http POST "$frontend/buy?id=3"
    assert_refused 502 outcome_unknown
    role_end node-A
    assert_equal "$(order_count 3)" 0
}

@test "settings: all three files or none, and they must be there" {
    run role_render wrong node "PYGMY_PEER_CA=$store_dir/tls/ca.pem"
    assert_equal "$status" 2 "$output"
    assert_contains "$output" 'all or none'
    run role_render wrong node "${tls[@]}" PYGMY_PEER_KEY=/nonexistent/key
    assert_equal "$status" 2 "$output"
    run role_render wrong frontend "${tls[@]}" PYGMY_CATALOG_URL=http://x:1 PYGMY_ORDER_URL=http://x:2
    assert_equal "$status" 2 "$output"
    assert_contains "$output" 'https://'
    rm -rf "$store_dir/wrong"
}
