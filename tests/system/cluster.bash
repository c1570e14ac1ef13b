# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # what helpers.bash and http set; what the tests read
# A cluster for the tests of a file: real nodes, real etcd, on a loopback net and ports of its own. Load it after helpers.
#
#     setup_file() { cluster_setup && cluster_start; }
#     setup() { cluster_names; }
#     teardown() { cluster_check; }
#     teardown_file() { cluster_teardown; }
#
# What is random prints its seed; CLUSTER_TEST_SEED repeats it. CLUSTER_TEST_ROUNDS=N makes a soak of the faults.

readonly cluster_items=6 cluster_supply=10000000

# ---- the cluster ---------------------------------------------------------------------------------

# Makes the folder of a cluster and chooses its addresses; starts nothing.
cluster_setup() {
    local name
    for name in "${!PYGMY_@}"; do [[ $name == PYGMY_TREE ]] || unset "$name"; done
    store_dir=$(mktemp -d /tmp/pygmy-test.XXXXXX)
    export store_dir
    chmod 0711 "$store_dir"
    mkdir -m 0755 "$store_dir/bin"
    export PYGMY_STATE_DIR=$store_dir/state PYGMY_RUN_DIR=$store_dir/run PYGMY_CLIENT_ENV=$store_dir/pygmy.env
    export PYGMY_FAULTTEST_DIR=$store_dir/faulttest PYGMY_BUILD=$pygmy_build
    seed=${CLUSTER_TEST_SEED:-$((RANDOM * 32768 + RANDOM + 1))}
    export seed
    cluster_choose_net
}

# A net in 127/8 that nobody listens on. (So the ports need not differ from those of other clusters; they are not the default ones.)
cluster_choose_net() {
    local taken tries
    taken=$(ss -Hltn | awk '{print $4}')
    for tries in {1..100}; do
        PYGMY_CLUSTER_NET=127.$((1 + RANDOM % 254)).$((1 + RANDOM % 254))
        if [[ $taken != *"$PYGMY_CLUSTER_NET."* ]]; then break; fi
    done
    export PYGMY_CLUSTER_NET PYGMY_LISTEN=$PYGMY_CLUSTER_NET.100
    export PYGMY_PORT_FRONTEND=18010 PYGMY_PORT_PUSH=18019 PYGMY_PORT_CATALOG_A=18011 PYGMY_PORT_ORDER_A=18013 \
        PYGMY_PORT_ETCD=18379 PYGMY_PORT_ETCD_PEER=18380
}

# Words in front of every command that speaks to the cluster: of a test in which it has a network of its own.
net_words=()
cluster() { "${net_words[@]}" "$tree/client/cluster.sh" "$@" 3>&- </dev/null; }

# Starts it and puts items on sale: item_1 (which everybody wants) and others. cluster_start [--nodes N]
cluster_start() {
    cluster start "$@" || return
    cluster_names
    cluster_make_items
}

# Sets what every test needs to know, being a process of its own: the addresses, as frontend, catalog_of and order_of.
cluster_names() {
    local node
    declare -gA catalog_of=() order_of=() etcd_of=()
    scheme=http
    if [[ ${PYGMY_CLUSTER_TLS:-off} == on ]]; then scheme=https; fi
    frontend=http://$PYGMY_LISTEN:$PYGMY_PORT_FRONTEND
    nodes=() node_words=() again_words=()
    for node in $(made_with NODES); do cluster_name_node "$node"; done
    for node in $(made_with ETCD); do etcd_of[$node]=$scheme://$(address_of "$node"):$PYGMY_PORT_ETCD; done
    tls_words=() curl_words=()
    if [[ $scheme == https ]]; then
        tls_words=(--ca "$PYGMY_STATE_DIR/secrets/tls/ca.pem" --cert "$PYGMY_STATE_DIR/secrets/tls/A.pem" --key "$PYGMY_STATE_DIR/secrets/tls/A.key")
        curl_words=(--cacert "${tls_words[1]}" --cert "${tls_words[3]}" --key "${tls_words[5]}")
    fi
    if [[ -e $store_dir/items ]]; then read -r -a items <"$store_dir/items"; fi
}

made_with() { grep "^PYGMY_CLUSTER_$1=" "$PYGMY_STATE_DIR/cluster.env" | cut -d '"' -f 2; }

cluster_name_node() {
    nodes+=("$1")
    catalog_of[$1]=$scheme://$(address_of "$1"):$PYGMY_PORT_CATALOG_A
    order_of[$1]=$scheme://$(address_of "$1"):$PYGMY_PORT_ORDER_A
    node_words+=(--node "$1=${catalog_of[$1]},${order_of[$1]}" --db "$PYGMY_STATE_DIR/$1/store.db")
    again_words+=(--again-url "${order_of[$1]}")
}

address_of() {
    local before=ABCDEFGHI
    before=${before%%"$1"*}
    printf '%s.%d' "$PYGMY_CLUSTER_NET" $((${#before} + 1))
}

# After each test: no worker may have crashed or reported a sanitizer's finding. The ends of the logs explain a failure.
cluster_check() {
    local log found
    traffic_kill
    if [[ -z ${BATS_TEST_COMPLETED:-} ]]; then
        cluster_start_over
        for log in "$PYGMY_STATE_DIR"/*/logs/*.log; do
            grep -aE ' (error|warning) |\[(error|crit|alert|emerg)\]|^Child' -- "$log" | grep -v 'answered 503' | tail -n 5 | cut -c 1-300 | sed "s|^|${log#"$PYGMY_STATE_DIR/"}: |"
        done
    fi
    found=$(grep -lE 'ERROR: (Address|Thread|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:' "$PYGMY_STATE_DIR"/*/logs/*.log 2>/dev/null) || :
    assert_equal "$found" '' 'a sanitizer reports' || return
    found=$(grep -HE 'died with exit status|killed by signal (4|6|7|8|11)|exited on signal (4|6|7|8|11)' "$PYGMY_STATE_DIR"/*/logs/*.log 2>/dev/null) || :
    assert_equal "$found" '' 'a process crashed'
}

# What a test that failed had bought is not known: the next ones begin with other items, in a cluster that is whole if it can be.
cluster_start_over() {
    cluster_continue
    cluster start && rm -f "$store_dir"/acks-* && cluster_make_items || echo 'the cluster could not be repaired for the next test'
}

cluster_teardown() {
    local pid result=0
    traffic_kill
    # Who is frozen can't be ended gracefully.
    cluster_continue
    cluster stop || result=1
    rm -rf -- "$store_dir"
    return "$result"
}

# Continues everybody of the cluster; harmless for those who are not frozen.
cluster_continue() {
    local node pid
    for node in "${nodes[@]}"; do
        for pid in $(cluster pids "node-$node"); do kill -CONT "$pid" 2>/dev/null || :; done
    done
}

cluster_make_items() {
    local i
    items=()
    for ((i = 1; i <= cluster_items; i++)); do
        items+=("$(cluster_client --json item add --title "Item $i" --topic traffic --cost 1 --count "$cluster_supply" | jq -er ".item[0].id")")
    done
    printf '%s\n' "${items[*]}" >"$store_dir/items"
}

# The user's client in the cluster's network.
cluster_client() {
    "${net_words[@]}" env -u PYGMY_STATE_DIR -u PYGMY_RUN_DIR PYGMY_CONFIG="$PYGMY_CLIENT_ENV" "$tree/.build/release/bin/pygmy" "$@" </dev/null
}

# ---- who is where --------------------------------------------------------------------------------

# Sends a request to a node or to etcd as one of them: ask URL [more words for curl]
ask() { "${net_words[@]}" curl --silent --globoff --noproxy '*' --max-time 5 "${curl_words[@]}" "${@:2}" "$1" </dev/null; }

# Prints a part of the status of a node's catalog worker: status_of A .worker.revision
status_of() { ask "${catalog_of[$1]}/status" | jq -r "$2"; }

# Prints the node whose etcd member leads, or all others.
leader() {
    local name
    for name in "${!etcd_of[@]}"; do
        if [[ $(ask "${etcd_of[$name]}/v3/maintenance/status" --data '{}' | jq -r '.leader == .header.member_id') == true ]]; then
            printf '%s' "$name" && return
        fi
    done
    return 1
}
followers() { local leads && leads=$(leader) && printf '%s\n' "${!etcd_of[@]}" | grep -vx "$leads" | sort; }

# Waits until the whole cluster is ready: whole [seconds]
whole() { wait_until "${1:-30}" is_whole; }
is_whole() { cluster status >/dev/null; }

is_ready() { [[ $(ask "${catalog_of[$1]}/readyz" --output /dev/null --write-out '%{http_code}') == 200 ]]; }
is_unready() { ! is_ready "$1"; }

# The pid of a node's worker, not of its supervisor: worker_of catalog-A
worker_of() {
    local pid
    for pid in $(cluster pids "$1"); do
        if [[ $(tr -d '\n' <"/proc/$pid/comm") == "${1%-*}" ]]; then printf '%s' "$pid" && return; fi
    done
    return 1
}

# Asks a node's database: node_sql A "SELECT ..."
node_sql() { sqlite3 -readonly -cmd '.timeout 5000' "$PYGMY_STATE_DIR/$1/store.db" "$2"; }

# Changes a database as only an accident could, with the rights of its owner.
node_damage() { as_owner "$PYGMY_STATE_DIR/$1/store.db" sqlite3 -cmd '.timeout 5000' "$PYGMY_STATE_DIR/$1/store.db" "$2"; }
as_owner() {
    local owner
    owner=$(stat -c %u -- "$1")
    shift
    if [[ $owner == "$EUID" ]]; then "$@"; else setpriv --reuid="$owner" --regid="$owner" --clear-groups "$@"; fi
}

# ---- traffic and comparison ----------------------------------------------------------------------

# Starts traffic until traffic_end, through the frontend unless words say otherwise.
traffic_begin() {
    local item words=() number
    number=$(($(cat "$store_dir/traffics" 2>/dev/null || echo 0) + 1))
    printf '%s\n' "$number" >"$store_dir/traffics"
    for item in "${items[@]}"; do words+=(--item "$item"); done
    if [[ " $* " != *'-url '* ]]; then words+=(--url "$frontend"); fi
    "${net_words[@]}" "$tree/.build/release/tools/traffic" "${words[@]}" "${again_words[@]}" "${tls_words[@]}" --topic traffic --rate 100 --seconds 600 --quantity-max 3 \
        --settle-seconds 30 --seed $((seed + number)) --acks "$store_dir/acks-$number" --timeline "$store_dir/timeline" \
        --failures "$store_dir/failures" "$@" >"$store_dir/report" 2>"$store_dir/traffic.errors" 3>&- </dev/null &
    traffic_pid=$!
}

# Ends it; what it reports is for `report`. Every purchase must have got one answer in the end.
traffic_end() {
    local code=0 pid=$traffic_pid
    traffic_pid=''
    kill -TERM "$pid"
    wait "$pid" || code=$?
    printf 'seed %s: ' "$seed"
    cat "$store_dir/report" "$store_dir/traffic.errors"
    head -n 5 "$store_dir/failures"
    assert_equal "$code" 0 'some purchase has no answer, or two'
}

traffic_kill() {
    if [[ -n ${traffic_pid:-} ]]; then kill -KILL "$traffic_pid" 2>/dev/null || :; fi
    traffic_pid=''
}

report() { jq -cr "$1" "$store_dir/report"; }

no_request_failed() { assert_equal "$(report '[.reads.failed, .writes.failed]')" '[0,0]'; }
no_read_failed() { assert_equal "$(report .reads.failed)" 0; }

# All replicas hold the same, and what was acknowledged.
replicas_are_same() {
    local words=() item acks code=0
    for item in "${items[@]}"; do words+=(--supplied "$item=$cluster_supply"); done
    for acks in "$store_dir"/acks-*; do if [[ -e $acks ]]; then words+=(--acks "$acks"); fi; done
    "${net_words[@]}" "$tree/.build/release/tools/compare" "${node_words[@]}" "${tls_words[@]}" "${words[@]}" --wait-seconds 30 >"$store_dir/compared" 3>&- </dev/null || code=$?
    cat "$store_dir/compared"
    assert_equal "$code" 0 'the replicas differ'
}

# One purchase, which must succeed, and be there at the comparison: buy <item> [base address] [key]
buy() {
    local key=${3:-buy-$BASHPID-$RANDOM$RANDOM}
    http POST "${2:-$frontend}/buy?id=$1" -H "Idempotency-Key: $key"
    assert_equal "$code" 200 "$body" || return
    printf '%s %s %s 1\n' "$key" "$(json .order.id)" "$1" >>"$store_dir/acks-single"
}

# A moment that nobody can foresee, up to so many tenths of a second: not a wait.
random_moment() { sleep "$((RANDOM % $1 / 10)).$((RANDOM % 10))"; }

# The fault test itself, with its result in $store_dir/result: fault --target catalog-A
fault() {
    local code=0
    "$tree/client/faulttest.sh" --json --seed "$seed" --rate 100 "$@" >"$store_dir/result" 2>"$store_dir/progress" 3>&- </dev/null || code=$?
    if [[ $code -ne 0 ]]; then
        cat "$store_dir/progress" "$store_dir/result"
        head -n 5 "$store_dir"/faulttest/*/round-*/failures
        return "$code"
    fi
    jq -c '.rounds[] | [.target, .signal, .leader, .traffic.reads.longest_stall_ms, .traffic.writes.longest_stall_ms, .traffic.writes.failed, .caught_up_ms]' "$store_dir/result"
}
