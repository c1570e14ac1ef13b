#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2016,SC2153
# The machine around a store: taken ports, odd paths, other users, rights, folders that are not ours.

load helpers

setup() { store_setup; }
teardown() {
    if [[ -n ${other_nginx:-} ]]; then kill "$other_nginx"; fi
    store_teardown
}

@test "a port that is taken: the message names it, its owner and a way out; nothing is left running" {
    local other=$store_dir/other
    mkdir "$other"
    chmod 0755 "$other"
    cat >"$other/conf" <<CONF
pid $other/pid; error_log $other/log; events {}
http {
    access_log off; client_body_temp_path $other/1; proxy_temp_path $other/2; fastcgi_temp_path $other/3;
    uwsgi_temp_path $other/4; scgi_temp_path $other/5;
    server { listen 127.0.0.1:$PYGMY_PORT_ORDER_A; return 200 hello; }
}
CONF
    PATH=$PATH:/usr/sbin nginx -p "$other" -e "$other/log" -c "$other/conf" 3>&-
    wait_until 5 test -s "$other/pid"
    other_nginx=$(cat "$other/pid")
    run store start
    assert_equal "$status" 4 "$output"
    assert_contains "$output" "port $PYGMY_PORT_ORDER_A, which order-A needs, is taken by process $other_nginx"
    assert_contains "$output" "nginx"
    assert_contains "$output" "PYGMY_PORT_FRONTEND="
    no_store_processes
    # With another port both run side by side.
    export PYGMY_PORT_ORDER_A=$((PYGMY_PORT_ORDER_B + 2))
    store start
    kill -0 "$other_nginx"
    assert_equal "$(curl -s "http://127.0.0.1:$((PYGMY_PORT_ORDER_B - 1))/")" hello
}

@test "a port taken by another Pygmy store: the message says so" {
    store_start
    PYGMY_STATE_DIR=$store_dir/second PYGMY_RUN_DIR=$store_dir/second-run run store start
    assert_equal "$status" 4 "$output"
    assert_contains "$output" "another Pygmy store, process $(supervisor_pid nginx)"
    assert_equal "$(store status --json | jq -r .status)" up
}

@test "a clone path with spaces, unreadable for others, works" {
    copy_tree "$store_dir/a clone (of mine)"
    chmod 0700 "$store_dir/a clone (of mine)"
    tree="$store_dir/a clone (of mine)"
    store_start
    http GET "$catalog_a/readyz"
    assert_equal "$code" 200
    assert_equal "$(make --no-print-directory -C "$tree" status | head -n 1)" "Pygmy store: up"
    make --no-print-directory -C "$tree" stop
    no_store_processes
}

@test "a clone that was moved still finds its store" {
    copy_tree "$store_dir/before"
    tree=$store_dir/before
    # The default folders, below a home of our own: they depend on the path of the clone.
    unset PYGMY_STATE_DIR PYGMY_RUN_DIR PYGMY_CLIENT_ENV
    as_owner() { env HOME="$store_dir/home" XDG_STATE_HOME= "$@"; }
    mkdir -m 0777 "$store_dir/home"
    as_owner "$tree/client/store.sh" start 3>&-
    local state
    state=$(as_owner "$tree/client/store.sh" env | sed -n 's/^PYGMY_STATE_DIR="\(.*\)"$/\1/p')
    mv "$store_dir/before" "$store_dir/after"
    tree=$store_dir/after
    assert_equal "$(as_owner "$tree/client/store.sh" status --json | jq -r '.status, .state_dir' | tr '\n' ' ')" "up $state "
    as_owner "$tree/client/store.sh" reset
    [[ ! -e $state ]]
}

@test "folders, sockets and secrets are private, whatever the umask" {
    (umask 0 && store_start)
    assert_equal "$(stat -c %a "$PYGMY_STATE_DIR" "$PYGMY_RUN_DIR" | sort -u)" 700
    assert_equal "$(find "$PYGMY_STATE_DIR/secrets" -type f -printf '%f %m %s\n' | sort | tr '\n' ' ')" 'admin.token 600 65 peer.token 600 65 '
    assert_equal "$(find "$PYGMY_RUN_DIR" -type s -name '[co]*.sock' | wc -l)" 4
    assert_equal "$(find "$PYGMY_RUN_DIR" -type s ! -perm 0600)" ''
    assert_equal "$(find "$PYGMY_STATE_DIR" "$PYGMY_RUN_DIR" ! -type l -perm /0022)" ''
}

@test "no secret reaches a log, a configuration file or a command line" {
    store_start
    local token
    curl -s -o /dev/null -X PUT -H "Authorization: Bearer $(admin_token)" -H 'Content-Type: application/json' -d '{"cost":10}' "$catalog_a/item/1"
    curl -s -o /dev/null -X PUT -H "Authorization: Bearer wrong" -H 'Content-Type: application/json' -d '{"cost":10}' "$catalog_a/item/1"
    for token in "$(admin_token)" "$(peer_token)"; do
        [[ ${#token} -eq 64 ]]
        assert_equal "$(grep -rlF "$token" "$PYGMY_STATE_DIR" "$PYGMY_RUN_DIR" "$PYGMY_CLIENT_ENV" | grep -v '/secrets/')" ''
        assert_equal "$(store_processes | while read -r pid; do grep -lF "$token" "/proc/$pid/cmdline" "/proc/$pid/environ"; done)" ''
    done
}

@test "started by root, nothing of the store runs as root" {
    [[ $EUID -eq 0 ]] || skip "needs root"
    store_start
    local users
    users=$(store_processes | xargs -n 1 ps -o user= -p | sort | uniq -c | awk '{print $2}')
    assert_equal "$users" pygmy
    [[ $(store_processes | wc -l) -ge 10 ]]
    assert_equal "$(find "$PYGMY_STATE_DIR" "$PYGMY_RUN_DIR" -user root)" ''
}

@test "an ordinary user starts, uses and stops a store without root" {
    [[ $EUID -eq 0 ]] || skip "the whole file runs as an ordinary user"
    copy_tree "$store_dir/clone"
    mkdir "$store_dir/home"
    chown -R nobody:nogroup "$store_dir/clone" "$store_dir/home"
    as_nobody() {
        (cd "$store_dir/clone" && setpriv --reuid=nobody --regid=nogroup --clear-groups env -i PATH=/usr/bin:/bin HOME="$store_dir/home" \
            PYGMY_PORT_FRONTEND="$PYGMY_PORT_FRONTEND" PYGMY_PORT_CATALOG_A="$PYGMY_PORT_CATALOG_A" \
            PYGMY_PORT_CATALOG_B="$PYGMY_PORT_CATALOG_B" PYGMY_PORT_ORDER_A="$PYGMY_PORT_ORDER_A" \
            PYGMY_PORT_ORDER_B="$PYGMY_PORT_ORDER_B" PYGMY_PORT_METRICS="$PYGMY_PORT_METRICS" "$@" 3>&- </dev/null)
    }
    run as_nobody client/store.sh start
    assert_equal "$status" 0 "$output"
    run as_nobody .build/release/bin/pygmy buy 1
    assert_equal "$status" 0 "$output"
    assert_equal "$(as_nobody client/store.sh status --json | jq -r .status)" up
    as_nobody client/store.sh stop
    as_nobody client/store.sh reset
    assert_equal "$(find "$store_dir/home/.local/state/pygmy" -mindepth 1)" ''
}

@test "a folder that holds other things is neither used nor deleted" {
    mkdir "$PYGMY_STATE_DIR"
    echo precious >"$PYGMY_STATE_DIR/thesis"
    [[ $EUID -ne 0 ]] || chown -R pygmy:pygmy "$PYGMY_STATE_DIR"
    run store start
    assert_equal "$status" 1 "$output"
    assert_contains "$output" "holds other things"
    run store reset
    assert_equal "$(cat "$PYGMY_STATE_DIR/thesis")" precious
}
