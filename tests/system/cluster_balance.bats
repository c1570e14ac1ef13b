#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2034
# Which nodes a frontend asks: who is dead, hangs, is not ready, lags or has diverged is left out, and comes back by itself; nodes come and go
# without a reload. Everything between machines talks TLS. How long things took is printed; what decides is whom requests were sent to.

load helpers
load cluster

setup_file() {
    cluster_setup
    export PYGMY_CLUSTER_TLS=on
    cluster_start
    # What this file's own requests buy.
    cluster_client --json item add --title Balance --topic balance --cost 1 --count "$cluster_supply" | jq -er '.item[0].id' >"$store_dir/own_item"
}
setup() { cluster_names && whole 60 && wait_until 20 all_in "${nodes[@]}"; }
teardown() {
    cluster_continue
    cluster_check
}
teardown_file() { cluster_teardown; }

# ---- what the frontend says, and whom it asks -------------------------------------------------------

rotation() { curl --silent --max-time 2 "$frontend/nodes"; }
# Prints how a node's worker is: state_of B order; nothing for who is not in the list.
state_of() { rotation | jq -r ".nodes[] | select(.name == \"$1\").$2"; }
is_in() { [[ $(rotation | jq -r ".nodes[] | select(.name == \"$1\") | .catalog + .order") == inin ]]; }
is_out() { [[ $(rotation | jq -c "[.nodes[] | select(.name == \"$1\") | .catalog, .order | . != \"in\"]") == '[true,true]' ]]; }
is_listed() { [[ $(state_of "$1" catalog) != '' ]]; }
is_unlisted() { rotation | jq -e ".revision > 0 and all(.nodes[]; .name != \"$1\")" >/dev/null; }
all_in() { [[ $(rotation | jq -r '[.nodes[] | select(.catalog + .order == "inin") | .name] | join(" ")') == "$*" ]]; }

# Prints how often a node's workers have left the rotation.
leaves_of() {
    curl --silent --max-time 2 "http://$PYGMY_LISTEN:${PYGMY_PORT_METRICS:-8018}/metrics" |
        awk -v "node=node=\"$1\"" '/^pygmy_frontend_node_leaves_total/ && index($1, node) {sum += $2} END {print sum + 0}'
}

# Waits for something and says how long it took since $began: takes "what it is" command words...
takes() {
    local what=$1
    shift
    wait_until 30 "$@" || { rotation && return 1; }
    awk -v a="$began" -v b="$EPOCHREALTIME" -v what="$what" 'BEGIN {printf "%s after %.2f s\n", what, b - a}'
}

# Sends so many reads that no cache can answer, and as many purchases; prints whom each was sent to, a line each: the addresses of all tries.
sent_to() {
    local i trace urls=() log=$PYGMY_STATE_DIR/frontend/logs/nginx-access.log
    trace=$(printf '%08x%08x%08x%08x' $((RANDOM + 1)) $RANDOM $RANDOM $RANDOM)
    for ((i = 1; i <= $1; i++)); do urls+=("$frontend/search?topic=balance-$trace-$i" "$frontend/buy?id=$(<"$store_dir/own_item")"); done
    printf 'url = "%s"\noutput = "/dev/null"\n' "${urls[@]}" | curl --silent --max-time 60 -H "traceparent: 00-$trace-0123456789abcdef-01" --config - || return
    all_logged() { [[ $(grep -c "$trace" "$log") -ge ${#urls[@]} ]]; }
    wait_until 20 all_logged || return
    # All of them were answered.
    grep "$trace" "$log" | jq -r 'if .status == "200" then .upstream else "failed with \(.status) by \(.upstream)" end'
}
# No request meets the node, and none fails.
nobody_meets() {
    sent_to 10 >"$store_dir/sent" || return
    if grep -F -e "$(address_of "$1"):" -e failed "$store_dir/sent"; then return 1; fi
}
somebody_meets() { sent_to 3 >"$store_dir/sent" && grep -qF "$(address_of "$1"):" "$store_dir/sent"; }

# What was done to a node began at $began: it leaves, and nobody meets it then.
leaves() {
    takes "$1 is out of the rotation" is_out "$1" || return
    nobody_meets "$1" || { echo 'a request met it' && return 1; }
}
# What was done was taken back at $began.
returns() {
    takes "$1 is back" is_in "$1" || return
    wait_until 20 somebody_meets "$1"
}

freeze() {
    local pid
    for pid in $(cluster pids "$1"); do kill -s "$2" "$pid"; done
}

# ---- nodes that fail --------------------------------------------------------------------------------

@test "a dead node leaves the rotation and returns by itself" {
    local node
    node=$(followers | head -n 1)
    cluster kill "nginx-$node"
    began=$EPOCHREALTIME
    leaves "$node"
    assert_equal "$(state_of "$node" order)" silent
    cluster start --no-wait "nginx-$node"
    began=$EPOCHREALTIME
    returns "$node"
}

@test "a node that hangs as a whole leaves the rotation and returns by itself" {
    local node
    node=$(followers | head -n 1)
    freeze "node-$node" STOP
    began=$EPOCHREALTIME
    leaves "$node"
    freeze "node-$node" CONT
    began=$EPOCHREALTIME
    returns "$node"
}

@test "purchases leave the first node when it hangs, and come back to it" {
    traffic_begin --rate 30
    for name in nginx-A catalog-A order-A; do freeze "$name" STOP; done
    began=$EPOCHREALTIME
    leaves A
    for name in nginx-A catalog-A order-A; do freeze "$name" CONT; done
    began=$EPOCHREALTIME
    returns A
    traffic_end
    no_request_failed
}

# The process that follows the log, and writes what it hears of the others.
follower_of() {
    local kind pid
    for kind in catalog order; do
        pid=$(worker_of "$kind-$1")
        if find "/proc/$pid/fd" -lname '*/heartbeat.log' 2>/dev/null | grep -q .; then printf '%s %s' "$kind" "$pid" && return; fi
    done
    return 1
}

@test "a replica that lags leaves the rotation before it makes readers wait, and returns by itself" {
    local node=C kind pid other=order
    read -r kind pid <<<"$(follower_of "$node")"
    if [[ $kind == order ]]; then other=catalog; fi
    kill -STOP "$pid"
    began=$EPOCHREALTIME
    leaves "$node"
    # Nobody applies the log there any more; the other worker runs, and says that it is behind.
    assert_equal "$(state_of "$node" "$other")" unready
    kill -CONT "$pid"
    began=$EPOCHREALTIME
    returns "$node"
}

@test "a replica that has diverged leaves the rotation, and returns when it is rebuilt" {
    local item=${items[1]} before
    before=$(leaves_of B)
    traffic_begin --item "${items[0]}" --rate 30
    node_damage B "UPDATE items SET title = 'X' || substr(title, 2) WHERE id = $item"
    began=$EPOCHREALTIME
    buy "$item"
    has_left() { [[ $(leaves_of B) -gt $before ]]; }
    takes 'B has left the rotation' has_left
    takes 'B is rebuilt and back' is_in B
    wait_until 20 somebody_meets B
    traffic_end
    no_request_failed
    replicas_are_same
}

@test "a node that is drained is asked no more, and answers who asks it all the same" {
    local mark=$PYGMY_RUN_DIR/A/draining
    as_owner "$PYGMY_RUN_DIR/A" touch "$mark"
    began=$EPOCHREALTIME
    leaves A
    assert_equal "$(state_of A order)" unready
    assert_equal "$(ask "${catalog_of[A]}/item/${items[0]}" --output /dev/null --write-out '%{http_code}')" 200
    rm -f "$mark"
    began=$EPOCHREALTIME
    returns A
}

@test "all nodes are gone, and come back: the frontend goes on by itself" {
    local name before
    before=$(cluster pids frontend | sort)
    for name in "${nodes[@]/#/nginx-}"; do cluster kill "$name"; done
    nobody_is_in() { all_in ''; }
    began=$EPOCHREALTIME
    takes 'nobody is in the rotation' nobody_is_in
    http GET "$frontend/search?topic=nobody-$RANDOM"
    assert_equal "$code $(json .code)" '502 no_worker'
    http POST "$frontend/buy?id=$(<"$store_dir/own_item")"
    assert_equal "$code $(json .code)" '502 outcome_unknown'
    for name in "${nodes[@]/#/nginx-}"; do cluster start --no-wait "$name"; done
    began=$EPOCHREALTIME
    is_sold() { http POST "$frontend/buy?id=$(<"$store_dir/own_item")" && [[ $code == 200 ]]; }
    is_found() { http GET "$frontend/search?topic=found-$RANDOM" && [[ $code == 200 ]]; }
    takes 'a purchase succeeds' is_sold
    takes 'a read succeeds' is_found
    takes 'all are back' all_in "${nodes[@]}"
    assert_equal "$(cluster pids frontend | sort)" "$before"
}

@test "a frontend that has just started refuses nobody" {
    local round
    for round in 1 2 3; do
        cluster kill frontend
        cluster start --no-wait frontend
        answers() { http GET "$frontend/search?topic=fresh-$RANDOM$RANDOM" && [[ $code != 000 ]]; }
        wait_until 20 answers
        assert_equal "$code" 200 "$body"
        buy "${items[2]}"
    done
}

# ---- nodes whose URLs have names --------------------------------------------------------------------

# (A host that is a name for everybody but the library that looks names up, which can read it without asking anybody.)
@test "a node whose URLs have a host name is looked up and asked" {
    local host
    # shellcheck disable=SC2046,SC2183 # four numbers
    host=$(printf '0x%02x%02x%02x%02x' $(address_of C | tr . ' '))
    cluster_client --quiet member add C --catalog-url "$scheme://$host:$PYGMY_PORT_CATALOG_A" --order-url "$scheme://$host:$PYGMY_PORT_ORDER_A"
    is_named() { [[ $(state_of C catalog_place)$(state_of C order) == "$host:${PYGMY_PORT_CATALOG_A}in" ]]; }
    wait_until 20 is_named
    meets_name() { sent_to 3 >"$store_dir/sent" && grep -qF "$host:$PYGMY_PORT_CATALOG_A" "$store_dir/sent"; }
    wait_until 20 meets_name
    assert_lacks "$(cat "$store_dir/sent")" failed
    cluster_client --quiet member add C --catalog-url "${catalog_of[C]}" --order-url "${order_of[C]}"
    is_numbered() { [[ $(state_of C catalog_place)$(state_of C order) == "$(address_of C):${PYGMY_PORT_CATALOG_A}in" ]]; }
    wait_until 20 is_numbered
}

# ---- nodes that come and go -------------------------------------------------------------------------

@test "nodes are added and removed under load: no failed request, no reload" {
    local before log=$PYGMY_STATE_DIR/frontend/logs/nginx-error.log
    before=$(cluster pids frontend | sort)
    : >"$store_dir/lines" && wc -l <"$log" >"$store_dir/lines"
    traffic_begin --rate 30
    cluster add D
    began=$EPOCHREALTIME
    takes 'D is in the rotation' is_in D
    wait_until 20 somebody_meets D
    # Purchases go to A.
    cluster remove A
    began=$EPOCHREALTIME
    takes 'A is not in the list' is_unlisted A
    cluster_names
    nobody_meets A
    assert_equal "${nodes[*]}" 'B C D'
    traffic_end
    no_request_failed
    replicas_are_same
    assert_equal "$(cluster pids frontend | sort)" "$before"
    run grep -c 'reconfiguring' <(tail -n "+$(($(cat "$store_dir/lines") + 1))" "$log")
    assert_equal "$output" 0
    # Started anew, it begins with those that it knew last.
    grep -q '^D https*://' "$PYGMY_RUN_DIR/frontend/nodes"
    cluster add A
    cluster_names
    wait_until 20 is_in A
    cluster remove D
    cluster_names
    wait_until 20 is_unlisted D
}
