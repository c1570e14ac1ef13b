#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2034
# One replica is hurt where it keeps its data: a flipped bit, a wiped file, a full disk, a clock that jumps. It leaves the rotation,
# heals without a person, and nobody else notices.

load helpers
load cluster

# Workers of node C see a clock that is as many milliseconds off as the file $store_dir/clock says.
setup_file() {
    cluster_setup
    cat >"$store_dir/bin/multiwatch" <<TEXT
#!/bin/bash
if [[ \${PYGMY_NODE:-} == C && -z "${SAN:-}" ]]; then export LD_PRELOAD=$store_dir/bin/stepped_clock.so STEPPED_CLOCK=$store_dir/clock; fi
exec $(command -v multiwatch) "\$@"
TEXT
    # (The store's user may not be able to read the clone.)
    install -m 0755 "$tree/.build/release/preload/stepped_clock.so" "$store_dir/bin/"
    chmod 0755 "$store_dir/bin/multiwatch"
    printf '%-40s\n' 0 >"$store_dir/clock"
    chmod 0644 "$store_dir/clock"
    export PATH=$store_dir/bin:$PATH
    cluster_start
}
set_clock() { printf '%-40s\n' "$1" | dd of="$store_dir/clock" conv=notrunc status=none; }

setup() {
    disk=''
    cluster_names
}
teardown() {
    local result=0
    cluster_check || result=1
    if [[ -n $disk ]]; then
        cluster stop node-C || result=1
        umount "$disk" || result=1
    fi
    return "$result"
}
teardown_file() { cluster_teardown; }

phase_is_not_ready() { is_unready "$1"; }
chain_of() { status_of "$1" .worker.chain; }

# Waits until node $1 has left the rotation, and until it is back; says how long that took.
leaves_and_heals() {
    local began=$EPOCHREALTIME
    wait_until "$2" phase_is_not_ready "$1"
    echo "out of the rotation after $(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN {print b - a}') s"
    wait_until 30 is_ready "$1"
    echo "healed after $(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN {print b - a}') s"
}

@test "a flipped bit in an item's row is found within 2 s of the next write to it; the replica leaves the rotation and heals" {
    local item=${items[1]} was
    was=$(node_sql B "SELECT title FROM items WHERE id = $item")
    traffic_begin --item "${items[0]}"
    node_damage B "UPDATE items SET title = 'X' || substr(title, 2) WHERE id = $item"
    buy "$item"
    leaves_and_heals B 2
    assert_equal "$(node_sql B "SELECT title FROM items WHERE id = $item")" "$was"
    grep -h 'node=B\|B diverged\|diverged' "$PYGMY_STATE_DIR"/A/logs/heartbeat.log | tail -n 2
    traffic_end
    no_request_failed
    replicas_are_same
}

@test "a flipped bit in the count is found, the sums intact" {
    local item=${items[2]}
    node_damage C "UPDATE items SET count = count + 1, supplied = supplied + 1 WHERE id = $item"
    buy "$item"
    leaves_and_heals C 2
    replicas_are_same
}

@test "a flipped bit in a row that nobody writes is found by the periodic audit" {
    traffic_begin --item "${items[0]}"
    node_damage A "UPDATE items SET cost_minor = cost_minor + 1 WHERE id = 4"
    leaves_and_heals A 60
    traffic_end
    no_request_failed
    replicas_are_same
}

@test "a flipped bit in an order is found by the periodic audit" {
    buy "${items[3]}"
    wait_until 5 at_same_index
    node_damage B "UPDATE orders SET quantity = quantity + 1 WHERE id = (SELECT max(id) FROM orders)"
    leaves_and_heals B 60
    replicas_are_same
}

at_same_index() { [[ $(for node in "${nodes[@]}"; do status_of "$node" .worker.revision; done | sort -u | wc -l) == 1 ]]; }

@test "a database file that is gone: the replica loads a snapshot and is back" {
    traffic_begin
    cluster kill node-B
    rm -f "$PYGMY_STATE_DIR"/B/store.db*
    cluster start node-B
    wait_until 30 is_ready B
    traffic_end
    no_read_failed
    replicas_are_same
}

@test "a database file that is gone under running workers: the replica heals, or says so and heals when it is started again" {
    traffic_begin
    rm -f "$PYGMY_STATE_DIR"/C/store.db*
    sleep 3
    cluster stop catalog-C order-C
    cluster start catalog-C order-C
    wait_until 30 is_ready C
    traffic_end
    no_request_failed
    replicas_are_same
}

@test "a database file with rubbish in it: the replica loads a snapshot and is back" {
    traffic_begin
    cluster stop catalog-B order-B
    as_owner "$PYGMY_STATE_DIR/B/store.db" dd if=/dev/urandom of="$PYGMY_STATE_DIR/B/store.db" bs=4096 seek=1 count=6 conv=notrunc status=none
    cluster start --no-wait catalog-B order-B
    wait_until 30 is_ready B
    traffic_end
    no_request_failed
    replicas_are_same
}

# Puts the data of node C on a small file system of its own.
small_disk_for_c() {
    local owner=$PYGMY_STATE_DIR/C
    [[ $EUID -eq 0 ]] || skip 'this needs the right to mount a tmpfs (root)'
    cluster stop node-C
    cp -a "$owner" "$store_dir/C.copy"
    mount -t tmpfs -o "size=400m,mode=0700,uid=$(stat -c %u "$owner"),gid=$(stat -c %g "$owner")" pygmy-test "$owner" 2>"$store_dir/mount" ||
        skip "this needs the right to mount a tmpfs: $(head -n 1 "$store_dir/mount")"
    disk=$owner
    cp -a "$store_dir/C.copy/." "$owner/"
    rm -rf "$store_dir/C.copy"
    cluster start node-C
}

@test "a full disk on one node: it leaves the rotation, requests go on, with space again it comes back by itself" {
    small_disk_for_c
    traffic_begin
    sleep 1
    head -c 1G /dev/zero >"$disk/fill" 2>/dev/null || :
    ! printf x >>"$disk/fill" 2>/dev/null || { echo 'the disk is not full' && return 1; }
    sleep 5
    rm "$disk/fill"
    whole 60
    traffic_end
    no_read_failed
    replicas_are_same
    cluster stop node-C
    cp -a "$disk" "$store_dir/C.copy"
    umount "$disk"
    cp -a "$store_dir/C.copy/." "$disk/"
    disk=''
    cluster start node-C
    replicas_are_same
}

@test "the clock of one node is set, an hour forwards and two hours back: nothing happens" {
    local before
    [[ -z ${SAN:-} ]] || skip "a sanitizer's library must be the first one in a process"
    before=$(workers_of_c)
    traffic_begin --buy-url "${order_of[C]}" --buy-url "${order_of[A]}" --read-url "$frontend"
    sleep 1
    set_clock 3600000
    buy "${items[4]}" "${order_of[C]}"
    wait_until 10 clock_is_ahead
    sleep 2
    set_clock -3600000
    sleep 4
    set_clock 0
    sleep 1
    traffic_end
    no_request_failed
    assert_equal "$(workers_of_c)" "$before" 'a worker was restarted'
    replicas_are_same
}

workers_of_c() { worker_of catalog-C && worker_of order-C; }
# Whether an order carries the time of C's clock.
clock_is_ahead() {
    buy "${items[4]}" "${order_of[C]}"
    http GET "${order_of[C]}/orders/$(json .order.id)" -H "X-Pygmy-Min-Revision: $(header X-Pygmy-Revision)"
    [[ $(json '.order.created_ms // .order[0].created_ms') -gt $(($(date +%s) * 1000 + 3000000)) ]]
}
