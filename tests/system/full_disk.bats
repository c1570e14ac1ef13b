#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031
# A full disk: writes are refused with a 503 that says so, reads go on, and with space again everything does, without a restart.

load helpers
load shared_store

as_root() { if [[ $EUID -eq 0 ]]; then "$@"; else sudo -n "$@"; fi; }

# Mounts a small file system at a folder: small_disk <folder> <size>
small_disk() {
    mkdir -p "$1"
    as_root mount -t tmpfs -o "size=$2,mode=0755,uid=$EUID" pygmy-test "$1" 2>"$store_dir/mount" ||
        skip "this needs the right to mount a tmpfs (root, or sudo without a password): $(head -n 1 "$store_dir/mount")"
    disks+=("$1")
}

setup() {
    disks=()
    store_setup
}

teardown() {
    local disk result=0
    shared_store_check || result=1
    for disk in "${disks[@]}"; do rm -f "$disk/fill"; done
    store_stop || result=1
    for disk in "${disks[@]}"; do as_root umount "$disk" || result=1; done
    rm -rf -- "$store_dir"
    return "$result"
}

# Takes all that is left of the disk.
fill_up() {
    head -c 1G /dev/zero >"$1/fill" 2>/dev/null || :
    ! printf x >>"$1/fill" 2>/dev/null || { echo 'the disk is not full' && return 1; }
}

@test "the data's disk is full: 503 storage_full, reads go on, and writes again when there is space" {
    small_disk "$store_dir/disk" 48m
    export PYGMY_STATE_DIR=$store_dir/disk/state
    store_start
    local pids id
    pids=$(for name in catalog-A catalog-B order-A order-B; do worker_pid "$name"; done)
    admin PUT "$catalog_a/item/1" '{"count":1000000}'
    wait_until 5 warm '/lookup?id=3'
    fill_up "$store_dir/disk"
    # What was allocated before may still take some; then every purchase is refused, truly.
    storm --url "$frontend/buy" --url "$order_a/buy" --item 1 --requests 8000 --connections 8 --acks "$store_dir/acks"
    cat "$store_dir/report"
    assert_equal "$(report '.failed_tries | keys')" '["storage_full"]'
    assert_equal "$(sql 'SELECT count(*) FROM orders')" "$(report .acknowledged)"
    fill_up "$store_dir/disk"
    storage_is_full() { http POST "$order_b/buy/1" && [[ $code == 503 ]]; }
    wait_until 5 storage_is_full
    assert_refused 503 storage_full
    [[ $(header Retry-After) -ge 1 ]]
    # Reads: from the cache, uncached, from each worker.
    http GET "$frontend/lookup?id=3"
    assert_equal "$code" 200
    for url in "$frontend/lookup?id=4" "$frontend/search?topic=graduate+school" "$catalog_a/item" "$catalog_b/item/7" "$order_a/orders" "$order_b/livez"; do
        http GET "$url"
        assert_equal "$code" 200 "$url"
    done
    assert_equal "$(sql 'SELECT count(*) FROM orders')" "$(sort -u "$store_dir/acks" | wc -l)"
    # Space again: nobody has to do anything.
    rm "$store_dir/disk/fill"
    works_again() { http POST "$frontend/buy?id=1" && [[ $code == 200 ]]; }
    wait_until 5 works_again
    admin PUT "$catalog_b/item/3" '{"cost":2}'
    assert_equal "$code" 201
    http GET "$frontend/lookup?id=3"
    assert_equal "$(json '.item[0].cost')" 2
    assert_equal "$(for name in catalog-A catalog-B order-A order-B; do worker_pid "$name"; done)" "$pids" 'nobody was restarted'
    # Whoever was refused asks again under the same key, and gets an order now.
    id=$(report .seed)
    storm --url "$frontend/buy" --item 1 --requests 200 --connections 8 --seed "$id"
    assert_equal "$(report '.outcomes')" '{"ok":200}'
    assert_books_balance
}

@test "the cache's disk is full: everything is answered, whole" {
    small_disk "$store_dir/disk" 32m
    export PYGMY_RUN_DIR=$store_dir/disk/run
    store_start
    wait_until 5 warm '/lookup?id=3'
    fill_up "$store_dir/disk"
    local id expected
    expected=$(sql 'SELECT count(*) FROM items WHERE deleted = 0')
    for id in 1 2 3 4 5 6 7; do
        http GET "$frontend/lookup?id=$id"
        assert_equal "$code $(json '.item[0].id')" "200 $id"
    done
    http GET "$frontend/search?topic=graduate+school"
    assert_equal "$code $(json '.item | length')" '200 4'
    http GET "$catalog_a/item"
    assert_equal "$(json '.item | length')" "$expected"
    http POST "$frontend/buy?id=3"
    assert_equal "$code" 200
    http GET "$frontend/lookup?id=3"
    assert_equal "$code $(json '.item[0].count')" '200 99'
    # A large body needs no disk either.
    admin POST "$catalog_a/item/import" "{\"items\":[$(for id in {6001..6500}; do printf '{"id":%d,"title":"%0200d","topic":"large","cost":1,"count":1},' "$id" "$id"; done | sed 's/,$//')]}"
    assert_equal "$code" 201 "$body"
    http GET "$frontend/search?topic=large&limit=1000"
    assert_equal "$code $(json '.item | length')" '200 500'
    rm "$store_dir/disk/fill"
    wait_until 5 warm '/lookup?id=5'
}
