#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2016
# Backups of a store that goes on, and what is made of them: verified, refused when they are damaged, put in the store's place.

load helpers
load shared_store

as_root() { if [[ $EUID -eq 0 ]]; then "$@"; else sudo -n "$@"; fi; }

setup() {
    disks=()
    store_setup
    backup=$store_dir/backup.db
}

teardown() {
    local disk result=0
    if [[ -n ${storm_pid:-} ]]; then wait "$storm_pid" || result=1; fi
    shared_store_check || result=1
    store_stop || result=1
    for disk in "${disks[@]}"; do
        rm -f "$disk/fill"
        as_root umount "$disk" || result=1
    done
    rm -rf -- "$store_dir"
    return "$result"
}

# Mounts a small file system at a folder: small_disk <folder> <size>
small_disk() {
    mkdir -p "$1"
    as_root mount -t tmpfs -o "size=$2,mode=0755,uid=$EUID" pygmy-test "$1" 2>"$store_dir/mount" ||
        skip "this needs the right to mount a tmpfs (root, or sudo without a password): $(head -n 1 "$store_dir/mount")"
    disks+=("$1")
}

# A part of what `pygmy --json verify` says of the backup: fact orders
fact() { client --json verify "${2:-$backup}" | jq -r ".$1"; }

log_id() { sql 'SELECT log_id FROM store'; }

# The files of a folder that are not whole.
parts() { find "$1" -name '*.part' -o -name '*.received' -o -name '*.restor*'; }

flip_byte() {
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
    # shellcheck disable=SC2059
    printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

@test "a backup under load holds every order that was acknowledged before, and is restored" {
    store_start
    admin PUT "$catalog_a/item/1" '{"count":1000000}'
    storm --url "$frontend/buy" --item 1 --requests 500 --connections 8 --acks "$store_dir/before"
    tool storm --url "$frontend/buy" --item 1 --seconds 4 --requests 1000000 --connections 8 --acks "$store_dir/during" >"$store_dir/report" &
    storm_pid=$!
    local number
    for number in 1 2 3; do
        run client backup "$backup" --replace
        assert_equal "$status" 0 "$output"
    done
    wait "$storm_pid"
    storm_pid=
    assert_equal "$(report '.lost')" 0
    run client verify "$backup"
    assert_equal "$status" 0 "$output"
    assert_contains "$output" 'The backup is good'
    local orders total old_log
    orders=$(fact orders) total=$(sql 'SELECT count(*) FROM orders') old_log=$(log_id)
    [[ $orders -ge 500 && $orders -le $total ]]
    assert_equal "$(fact log_id)" "$old_log"
    assert_equal "$(stat -c %a "$backup")" 600
    # At most two copies stay in the store.
    [[ $(find "$PYGMY_STATE_DIR/snapshots" -name '*.db' | wc -l) -le 2 ]]
    run store restore "$backup"
    assert_equal "$status" 0 "$output"
    assert_contains "$output" "$PYGMY_STATE_DIR/store.db.before-"
    assert_contains "$output" 'The store is up'
    assert_equal "$(sql 'SELECT count(*) FROM orders')" "$orders"
    assert_books_balance
    # Each order that was acknowledged before the backup began, under its number and its key.
    local key id
    while read -r key id; do
        [[ $(sql "SELECT id FROM orders WHERE request_key LIKE '%$key'") == "$id" ]] || { echo "lost: $key $id" && return 1; }
    done < <(shuf -n 50 "$store_dir/before")
    [[ $(log_id) != "$old_log" && -n $(log_id) ]]
    # What was there is kept, whole.
    local aside
    aside=$(find "$PYGMY_STATE_DIR" -name 'store.db.before-*Z')
    assert_equal "$(sqlite3 "$aside" 'SELECT count(*) FROM orders')" "$total"
    # The store goes on.
    http POST "$frontend/buy?id=1"
    assert_equal "$(json '.order.id')" $((orders + 1))
    assert_equal "$(parts "$store_dir")" ''
}

@test "an order that was acknowledged a moment ago is in the backup" {
    store_start
    local number
    for number in 1 2 3 4 5; do
        http POST "$order_b/buy/1"
        assert_equal "$code" 200
        client --quiet backup "$backup" --replace
        assert_equal "$(fact orders)" "$number"
    done
}

@test "a frontend that knew the store before the restore does not mix the two up" {
    store_start
    admin PUT "$catalog_a/item/3" '{"count":100}'
    client backup "$backup"
    # The same revision means one thing before the restore and another one after it.
    admin PUT "$catalog_a/item/3" '{"count":50}'
    local revision name number worker nginx
    wait_until 5 warm '/lookup?id=3'
    assert_equal "$(json '.item[0].count')" 50
    revision=$(sql 'SELECT log_index FROM store')
    # The workers end; nginx, with its cache and its table, stays.
    expect_deaths
    for name in catalog-A catalog-B order-A order-B; do
        worker=$(worker_pid "$name")
        kill -9 "$(supervisor_pid "$name")" "$worker"
        wait_until 5 is_gone "$worker"
    done
    nginx=$(supervisor_pid nginx)
    client restore "$backup" "$store_dir/new.db"
    # And it goes on, where nginx does not see it, up to the revision that was: no position that went back gives it away.
    sqlite3 "$store_dir/new.db" "UPDATE items SET count = 70, supplied = 70 WHERE id = 3; UPDATE store SET log_index = $revision;
        UPDATE slots SET revision = $revision; INSERT INTO changes SELECT $revision, $revision, NULL, chain, 0, 0 FROM store;"
    rm "$PYGMY_STATE_DIR/store.db-wal" "$PYGMY_STATE_DIR/store.db-shm"
    cat "$store_dir/new.db" >"$PYGMY_STATE_DIR/store.db"
    run store start
    assert_equal "$status" 0 "$output"
    assert_equal "$(supervisor_pid nginx)" "$nginx"
    assert_equal "$(sql 'SELECT log_index FROM store')" "$revision"
    # The lease that was granted before lasts 2 s at most, and the store was down for less, perhaps.
    shows_the_restored() { http GET "$frontend/lookup?id=3" && [[ "$code $(json '.item[0].count')" == '200 70' ]]; }
    wait_until 5 shows_the_restored
    for number in 1 2 3; do
        http GET "$frontend/lookup?id=3"
        assert_equal "$code $(json '.item[0].count')" '200 70'
    done
    wait_until 5 warm '/lookup?id=3'
    assert_equal "$(json '.item[0].count')" 70
}

@test "who may have one: 401 without a token, and no path but the catalog workers'" {
    store_start
    local url
    http GET "$catalog_a/snapshot"
    assert_refused 401 unauthorized
    http GET "$catalog_b/snapshot" -H "Authorization: Bearer ${catalog_a//?/0}0000000000000000000000000000000000000000000"
    assert_refused 401 unauthorized
    admin POST "$catalog_a/snapshot" ''
    assert_refused 405 method_not_allowed
    admin GET "$catalog_a/snapshot?x=1"
    assert_refused 400 unknown_parameter
    for url in "$order_a/snapshot" "$order_b/snapshot" "$frontend/snapshot" "$catalog_a/.snapshot/" "$catalog_a/.snapshot/../store.db" \
        "$catalog_a/.snapshot/%2e%2e/store.db" "$frontend/.snapshot/1"; do
        admin GET "$url" '' --path-as-is
        assert_equal "$code" 404 "$url"
    done
    admin GET "$catalog_a/snapshot"
    assert_equal "$code $(header Content-Type)" '200 application/vnd.sqlite3'
    cp "$store_dir/http.body" "$backup"
    assert_equal "$(header Content-Length)" "$(stat -c %s "$backup")"
    assert_equal "$(header X-Pygmy-Revision)" "$(fact revision)"
    assert_equal "$(header X-Pygmy-Chain)" "$(fact chain)"
    # While nothing is written, everybody gets the same file; its name in the folder is no secret to keep.
    url="$catalog_a/.snapshot/$(ls "$PYGMY_STATE_DIR/snapshots")"
    admin GET "$url"
    assert_equal "$code" 404 "$url"
    peer GET "$catalog_b/snapshot"
    assert_equal "$code" 200
    peer GET "$catalog_a/snapshot" '' -H 'Range: bytes=0-99'
    assert_equal "$code" 200
    # The client, with a token that is not the store's.
    printf '%064d\n' 0 >"$store_dir/token"
    run client backup "$store_dir/other.db" --token-file "$store_dir/token"
    assert_equal "$status" 1 "$output"
    assert_contains "$output" "not this store's"
    [[ ! -e $store_dir/other.db && ! -e $store_dir/other.db.part ]]
}

@test "a damaged backup: verify says so, restore refuses it and touches nothing" {
    store_start
    http POST "$frontend/buy?id=1"
    client backup "$backup"
    local size pids number offset
    size=$(stat -c %s "$backup")
    # The same file with one bit changed in the middle of a page that is in use.
    offset=$(grep -obUa 'RPCs for Dummies' "$backup" | head -n 1 | cut -d : -f 1)
    cp "$backup" "$store_dir/flipped.db"
    sqlite3 "$store_dir/flipped.db" 'UPDATE orders SET quantity = 2'
    run client verify "$store_dir/flipped.db"
    assert_equal "$status" 1 "$output"
    assert_contains "$output" 'do not add up'
    cp "$backup" "$store_dir/flipped.db"
    flip_byte "$store_dir/flipped.db" $((offset - 6))
    run client verify "$store_dir/flipped.db"
    assert_equal "$status" 1 "$output"
    assert_contains "$output" 'is not a good backup'
    run client --json verify "$store_dir/flipped.db"
    assert_equal "$(tail -n 1 <<<"$output" | jq -r .code)" damaged
    head -c $((size - 4096)) "$backup" >"$store_dir/short.db"
    run client verify "$store_dir/short.db"
    assert_equal "$status" 1 "$output"
    assert_contains "$output" 'cut off'
    printf 'no database' >"$store_dir/text.db"
    run client verify "$store_dir/text.db"
    assert_equal "$status" 1 "$output"
    run client verify "$store_dir/nothing.db"
    assert_equal "$status" 5 "$output"
    run client verify "$PYGMY_STATE_DIR/store.db"
    assert_equal "$status" 5 "$output"
    assert_contains "$output" 'in use'
    pids=$(for name in catalog-A catalog-B order-A order-B; do worker_pid "$name"; done)
    for name in flipped short text; do
        chmod 0644 "$store_dir/$name.db"
        run store restore "$store_dir/$name.db"
        assert_equal "$status" 1 "$output"
        assert_contains "$output" 'nothing was changed'
    done
    run store restore "$store_dir/nothing.db"
    assert_equal "$status" 2 "$output"
    assert_equal "$(for name in catalog-A catalog-B order-A order-B; do worker_pid "$name"; done)" "$pids" 'nobody was restarted'
    assert_equal "$(parts "$store_dir")" ''
    http POST "$frontend/buy?id=1"
    assert_equal "$(json '.order.id')" 2
}

@test "a file that is there is not overwritten, and a name that can't be written is told" {
    store_start
    printf 'mine\n' >"$backup"
    run client backup "$backup"
    assert_equal "$status" 5 "$output"
    assert_contains "$output" '--replace'
    assert_equal "$(cat "$backup")" mine
    run client backup "$backup" --replace
    assert_equal "$status" 0 "$output"
    client verify "$backup"
    run client backup "$store_dir/no/such/folder.db"
    assert_equal "$status" 5 "$output"
    run client backup "$store_dir" --replace
    assert_equal "$status" 5 "$output"
    run client backup
    assert_equal "$status" 2 "$output"
    # What a killed backup left is taken over; who writes it now is not disturbed.
    printf 'half' >"$store_dir/second.db.part"
    run client backup "$store_dir/second.db"
    assert_equal "$status" 0 "$output"
    client verify "$store_dir/second.db"
    : >"$store_dir/third.db.part"
    run flock "$store_dir/third.db.part" env -u PYGMY_STATE_DIR -u PYGMY_RUN_DIR PYGMY_CONFIG="$PYGMY_CLIENT_ENV" \
        "$tree/.build/release/bin/pygmy" backup "$store_dir/third.db"
    assert_equal "$status" 5 "$output"
    assert_contains "$output" 'another backup'
}

@test "a store that does not answer: no backup, no part, an end" {
    store_start
    local name pid
    for name in catalog-A catalog-B; do kill -STOP "$(worker_pid "$name")"; done
    env -u PYGMY_STATE_DIR -u PYGMY_RUN_DIR PYGMY_CONFIG="$PYGMY_CLIENT_ENV" \
        "$tree/.build/release/bin/pygmy" backup "$backup" </dev/null >"$store_dir/out" 2>&1 3>&- &
    pid=$!
    wait_until 5 test -e "$backup.part"
    kill -INT "$pid"
    local code=0
    wait "$pid" || code=$?
    assert_equal "$code" 130 "$(cat "$store_dir/out")"
    run client --timeout 1 backup "$backup"
    assert_equal "$status" 3 "$output"
    for name in catalog-A catalog-B; do kill -CONT "$(worker_pid "$name")"; done
    store_stop
    run client backup "$backup"
    assert_equal "$status" 3 "$output"
    [[ ! -e $backup && ! -e $backup.part ]]
    run store restore "$store_dir/nothing"
    assert_equal "$status" 2 "$output"
}

@test "no room for a copy: 503 storage_full, nothing is left half, and the store's own space stays free" {
    small_disk "$store_dir/disk" 40m
    export PYGMY_STATE_DIR=$store_dir/disk/state
    store_start
    head -c 24M /dev/zero >"$store_dir/disk/fill"
    admin GET "$catalog_a/snapshot"
    assert_refused 503 storage_full
    [[ $(header Retry-After) -ge 1 ]]
    run client backup "$backup"
    assert_equal "$status" 3 "$output"
    assert_contains "$output" 'no room'
    assert_equal "$(find "$PYGMY_STATE_DIR/snapshots" -type f)" ''
    http POST "$frontend/buy?id=1"
    assert_equal "$code" 200
    rm "$store_dir/disk/fill"
    client backup "$backup"
    # No room where the backup is to go.
    small_disk "$store_dir/small" 8m
    run client backup "$store_dir/small/backup.db"
    assert_equal "$status" 5 "$output"
    assert_equal "$(ls "$store_dir/small")" ''
}

@test "a restore that was interrupted is finished by the next start" {
    store_start
    http POST "$frontend/buy?id=1"
    client backup "$backup"
    http POST "$frontend/buy?id=1"
    local db=$PYGMY_STATE_DIR/store.db aside
    # As if the power had gone behind the first step: the old database is aside, its WAL is not.
    store_stop
    client restore "$backup" "$db.restoring"
    aside=$db.before-$(date -u -r "$db.restoring" +%Y%m%dT%H%M%SZ)
    mv "$db" "$aside"
    printf 'the WAL of the one that is aside' >"$db-wal"
    as_root chown --reference="$aside" "$db.restoring" "$db-wal"
    run store start
    assert_equal "$status" 0 "$output"
    assert_contains "$output" "$aside"
    assert_equal "$(sql 'SELECT count(*) FROM orders')" 1
    assert_equal "$(cat "$aside-wal")" 'the WAL of the one that is aside'
    rm "$aside-wal"
    assert_equal "$(sqlite3 "$aside" 'SELECT count(*) FROM orders')" 2
    assert_equal "$(parts "$PYGMY_STATE_DIR")" ''
}

@test "a backup is restored in a place that never had a store, which stays stopped" {
    store_start
    http POST "$frontend/buy?id=1"
    http POST "$frontend/buy?id=2"
    client backup "$backup"
    store reset
    run store restore "$backup"
    assert_equal "$status" 0 "$output"
    assert_contains "$output" 'stopped'
    no_store_processes
    store_start
    assert_equal "$(sql 'SELECT count(*) FROM orders')" 2
    http GET "$order_a/orders/2"
    assert_equal "$(json '.order.item_id')" 2
}
