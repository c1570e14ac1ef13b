#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# The proxy that spoils what passes between a node and etcd, itself: against a real etcd.

setup() {
    load helpers
    proxy_dir=$(mktemp -d /tmp/pygmy-test.XXXXXX)
    # An address of this process alone: its ports are free.
    address=127.$((64 + ($$ >> 16 & 63))).$(($$ >> 8 & 255)).$(($$ & 255))
    log=$(printf /pygmy/log | base64)
    etcd --name A --data-dir "$proxy_dir/A" --listen-client-urls "http://$address:23790" --advertise-client-urls "http://$address:23790" \
        --listen-peer-urls "http://$address:23800" --initial-advertise-peer-urls "http://$address:23800" \
        --initial-cluster "A=http://$address:23800" --unsafe-no-fsync >"$proxy_dir/etcd.log" 2>&1 3>&- </dev/null &
    etcd_pid=$!
    .build/release/tools/etcd_proxy --listen "$address:23791" --upstream "$address:23790" --seed 42 --control "$proxy_dir/control" \
        >>"$proxy_dir/proxy.log" 2>&1 3>&- </dev/null &
    proxy_pid=$!
    eventually curl -sf "http://$address:23790/health"
    eventually grep -q '^listening' "$proxy_dir/proxy.log"
}

teardown() {
    local pid
    for pid in $etcd_pid $proxy_pid $watch_pid; do
        kill -9 "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done
    cat "$proxy_dir/proxy.log"
    rm -rf -- "$proxy_dir"
}

# Runs a command until it succeeds, for 20 s: eventually <command...>
eventually() {
    local deadline=$((SECONDS + 20))
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || { echo "not in time: $*" && return 1; }
        sleep 0.02
    done
}

# Says what to spoil: spoil <name value>...
spoil() {
    printf '%s %s\n' "$@" >"$proxy_dir/control.new"
    mv "$proxy_dir/control.new" "$proxy_dir/control"
}

# post <port> <path> <json> [curl's options]
post() { curl -sS -m 20 -d "$3" "${@:4}" "http://$address:$1$2"; }

put() { post "$1" /v3/kv/put "{\"key\":\"$log\",\"value\":\"$(printf '%s' "$2" | base64)\"}" "${@:3}"; }

# Prints the log's version, as etcd itself knows it.
version() { post 23790 /v3/kv/range "{\"key\":\"$log\"}" | jq -r '.kvs[0].version // "0"'; }

# Starts a watch through the proxy, from the beginning; its lines go to a file.
start_watch() {
    curl -sSN -d "{\"create_request\":{\"key\":\"$log\",\"start_revision\":\"1\",\"fragment\":true}}" "http://$address:23791/v3/watch" \
        >"$proxy_dir/watch" 2>&1 3>&- </dev/null &
    watch_pid=$!
    eventually grep -q '"created":true' "$proxy_dir/watch"
}

# Prints the versions that the watch has shown.
shown() { jq -r '.result.events[]?.kv.version' "$proxy_dir/watch" | tr '\n' ' '; }
has_shown() { [[ $(shown) == "$1" ]]; }

count() {
    : >"$proxy_dir/proxy.log"
    kill -USR1 "$proxy_pid"
    eventually grep -q '^refused ' "$proxy_dir/proxy.log"
    sed -n "s/^$1 //p" "$proxy_dir/proxy.log"
}

has_count() { [[ $(count "$1") == "$2" ]]; }

has_shown_all() { [[ $(shown_sorted) == '3 3 4 5 6 7 8 9 10 11 ' ]]; }
shown_sorted() { shown | tr ' ' '\n' | sort -n | grep . | tr '\n' ' '; }

@test "nothing is spoiled without a control file" {
    grep -qx "listening $address:23791 seed 42" "$proxy_dir/proxy.log"
    start_watch
    for value in 1 2 3 4 5; do put 23791 $value; done
    [[ $(version) == 5 ]]
    eventually has_shown '1 2 3 4 5 '
    head -c 1000000 /dev/urandom | base64 -w0 | sed "s|.*|{\"key\":\"$log\",\"value\":\"&\"}|" >"$proxy_dir/big"
    [[ $(post 23791 /v3/kv/put "@$proxy_dir/big" | jq -r .header.revision) == 7 ]]
    eventually has_shown '1 2 3 4 5 6 '
    [[ $(post 23791 /v3/kv/range "{\"key\":\"$log\"}" | md5sum) == "$(post 23790 /v3/kv/range "{\"key\":\"$log\"}" | md5sum)" ]]
    # Several requests on one connection.
    [[ $(curl -sS -d '{}' "http://$address:23791/v3/maintenance/status" -d '{}' "http://$address:23791/v3/maintenance/status" | grep -o version | wc -l) == 2 ]]
}

@test "lines of a watch are lost, repeated and reordered" {
    spoil watch_lose 1
    start_watch
    put 23791 1
    eventually has_count watch_lost 1
    put 23791 2
    eventually has_count watch_lost 2
    spoil watch_repeat 1
    put 23791 3
    eventually has_shown '3 3 '
    # A line that is held back is sent after two seconds, also when nothing comes that it could follow.
    spoil watch_reorder 1
    for value in 4 5 6 7 8 9 10 11; do put 23791 $value; done
    eventually has_shown_all
    [[ $(shown) != "$(shown_sorted)" ]]
}

@test "a watch is cut, and those that are opened later are not" {
    start_watch
    spoil cut 1
    eventually test ! -e "/proc/$watch_pid/fd"
    has_count watch_cut 1
    start_watch
    put 23791 1
    eventually has_shown '1 '
}

@test "answers become errors, and slow" {
    spoil error 1 status 500
    for value in 1 2 3 4 5 6 7 8 9 10; do
        [[ $(put 23791 $value -o "$proxy_dir/body" -w '%{http_code}') == 500 ]]
    done
    happened=$(version)
    has_count errors_forwarded "$happened"
    has_count errors_swallowed $((10 - happened))
    spoil delay_ms 300
    [[ $(put 23791 x -o "$proxy_dir/body" -w '%{time_total}' | sed 's/^0*//; s/\.//; s/^0*//') -ge 300000 ]]
    has_count delayed 1
    spoil refuse 1
    run ! put 23791 x
}

@test "a put that is lost has happened, one that is swallowed has not, and reads pass" {
    spoil put_lost 1
    run ! put 23791 1 -m 1
    [[ $(version) == 1 ]]
    spoil put_swallowed 1
    run ! put 23791 2 -m 1
    [[ $(version) == 1 ]]
    [[ $(post 23791 /v3/kv/range "{\"key\":\"$log\"}" | jq -r '.kvs[0].version') == 1 ]]
    txn="{\"success\":[{\"request_put\":{\"key\":\"$log\",\"value\":\"eA==\"}}]}"
    run ! post 23791 /v3/kv/txn "$txn" -m 1
    [[ $(version) == 1 ]]
    spoil put_swallowed 0
    post 23791 /v3/kv/txn "$txn"
    [[ $(version) == 2 ]]
    has_count puts_lost 1
    has_count puts_swallowed 2
    kill -TERM "$proxy_pid"
    wait "$proxy_pid"
}
