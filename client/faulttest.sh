#!/usr/bin/env bash
# Hurts a running cluster while customers buy and read, and tells what they noticed and whether all replicas are the same afterwards.
#
#   client/faulttest.sh [--target NAME,...] [--signal KILL|STOP] [--seconds N] [--rounds N] [--rate N] [--seed N] [--json]
#
#   --target NAME   who is hurt: catalog-A (the default), order-B, nginx-C, node-C (all of it), etcd-A, etcd-leader, etcd-follower,
#                   frontend, or random; of several names each round takes one
#   --signal KILL   kill -9, and started again afterwards (the default); STOP: frozen, and continued afterwards
#   --seconds N     how long the target stays down or frozen (4)
#   --rounds N      so many times, each at another random moment (1)
#   --rate N        requests per second, two of five are purchases (200)
#   --seed N        repeats the choices of a former run (which printed its seed)
#   --json          the result as one line of JSON; the progress goes to stderr
#
# Needs the cluster of this clone, whole (make cluster). Each round: traffic through the frontend (through the nodes' own ports when the
# frontend is the target), each request one single try; the target is hurt, stays down, is started again, catches up. Every purchase
# without an answer is asked for again under its key through other replicas, and every answered one once more, which must bring the same
# bytes. Then all items and orders of all replicas are compared with each other and with what was acknowledged. The
# traffic buys items of its own, which are deleted at the end; its orders stay. The cluster is left running and whole, also after Ctrl-C.
#
# The verdict is "passed" when everything is the same and right, the target came back, and no request failed that must not: reads never;
# purchases only (with "outcome unknown", and each must have got its answer afterwards) when the target is etcd's leader, which has to be
# elected anew, or the frontend, whose lease must run out before anybody may be told of a change, or is frozen instead of dead.
#
# Exit codes: 0 passed; 1 not passed; 2 wrong usage; 3 there is no cluster, or it is not whole before the test; 4 something else
# is missing or failed; 130 stopped by Ctrl-C or SIGTERM.
# shellcheck source-path=SCRIPTDIR disable=SC2034,SC2154
set -euo pipefail

readonly exit_not_passed=1 exit_usage=2 exit_no_cluster=3 exit_failed=4 exit_interrupted=130
readonly items_many=9 items_scarce=2 supply_many=10000000 supply_scarce=40
readonly back_limit_ms=60000 settle_limit_s=60

clone=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=faulttest/target.sh
. "$clone/client/faulttest/target.sh"
# shellcheck source=faulttest/verdict.sh
. "$clone/client/faulttest/verdict.sh"

tell() { printf '%s\n' "$*" >&2; }
fail() {
    local code=$1
    shift
    printf 'faulttest: %s\n' "$*" >&2
    exit "$code"
}
usage() { sed -n '2,/^# shellcheck/{/^# shellcheck/d;/^#/!d;s/^# \{0,1\}//;p}' "$clone/client/faulttest.sh"; }

cluster() { "$clone/client/cluster.sh" "$@" </dev/null; }
pygmy() { PYGMY_CONFIG=${PYGMY_CLIENT_ENV:-$clone/.build/release/etc/pygmy.env} "$program" "$@" </dev/null; }

# Reads the command line into the names of its options.
read_options() {
    targets=catalog-A signal=KILL seconds=4 rounds=1 rate=200 seed='' form=text
    while [[ $# -gt 0 ]]; do
        case $1 in
            -h | --help | help) usage && exit 0 ;;
            --json) form=json && shift && continue ;;
            --target | --signal | --seconds | --rounds | --rate | --seed) [[ $# -gt 1 ]] || fail "$exit_usage" "$1 needs a value" ;;
            *) fail "$exit_usage" "unknown option '$1'; client/faulttest.sh --help lists them" ;;
        esac
        if [[ $1 == --target ]]; then targets=$2; else printf -v "${1#--}" '%s' "$2"; fi
        shift 2
    done
    signal=${signal^^}
    [[ $signal =~ ^(KILL|STOP)$ ]] || fail "$exit_usage" "--signal is KILL or STOP, not '$signal'"
    [[ $seconds =~ ^[1-9][0-9]{0,3}$ && $rounds =~ ^[1-9][0-9]{0,4}$ && $rate =~ ^[1-9][0-9]{0,4}$ ]] ||
        fail "$exit_usage" "--seconds, --rounds and --rate are numbers above 0"
    : "${seed:=$((RANDOM * 32768 + RANDOM + 1))}"
    [[ $seed =~ ^[1-9][0-9]{0,9}$ ]] || fail "$exit_usage" "--seed is a number above 0"
    RANDOM=$((seed % 32768))
    IFS=, read -r -a targets <<<"$targets"
}

# ---- what is needed ------------------------------------------------------------------------------

find_programs() {
    local tool
    program=$clone/.build/release/bin/pygmy tools=$clone/.build/release/tools
    for tool in jq curl; do
        command -v "$tool" >/dev/null || fail "$exit_failed" "$tool is missing; client/deps.sh cluster installs it"
    done
    [[ -x $program ]] || fail "$exit_no_cluster" "nothing is built yet; 'make cluster' builds and starts a cluster"
    [[ -x $tools/traffic && -x $tools/compare ]] && return
    tell 'Building the programs that make the traffic and compare the replicas'
    make --no-print-directory -C "$clone" SAN= .build/release/tools/traffic .build/release/tools/compare >&2 ||
        fail "$exit_failed" "they could not be built"
}

# Sets what is known of the cluster: frontend, nodes, catalog_of, order_of, etcd_of, nodes_words and tls for the tools and for curl.
find_cluster() {
    local status code=0 name catalog order url
    status=$(cluster status --json) || code=$?
    case $code in
        0) ;;
        3) fail "$exit_no_cluster" "no cluster runs; 'make cluster' starts one" ;;
        *) fail "$exit_no_cluster" "the cluster is not whole, see 'client/cluster.sh status'; 'make cluster' repairs it" ;;
    esac
    frontend=$(jq -r '.frontend | rtrimstr("/")' <<<"$status")
    cluster_folder=$(jq -r .state_dir <<<"$status")
    nodes=() nodes_words=() tls=() curl_tls=()
    declare -gA catalog_of=() order_of=() etcd_of=()
    while IFS=$'\t' read -r name catalog order; do
        nodes+=("$name") catalog_of[$name]=${catalog%/} order_of[$name]=${order%/}
        nodes_words+=(--node "$name=${catalog%/},${order%/}")
        if [[ -r $cluster_folder/$name/store.db ]]; then nodes_words+=(--db "$cluster_folder/$name/store.db"); fi
    done < <(jq -r '.nodes[] | [.name, .catalog, .order] | @tsv' <<<"$status")
    find_etcd "$status"
}

# The members of etcd, and how to speak to them and to the nodes.
find_etcd() {
    local name url settings
    settings=$(cluster env)
    tls_setting() { sed -n "s/^$1=\"\(.*\)\"$/\1/p" <<<"$settings"; }
    if [[ -n $(tls_setting PYGMY_PEER_CA) ]]; then
        tls=(--ca "$(tls_setting PYGMY_PEER_CA)" --cert "$(tls_setting PYGMY_PEER_CERT)" --key "$(tls_setting PYGMY_PEER_KEY)")
        curl_tls=(--cacert "${tls[1]}" --cert "${tls[3]}" --key "${tls[5]}")
    fi
    # Both lists are in the order of the nodes that etcd was made with.
    mapfile -t names < <(jq -r '.processes[].name | select(startswith("etcd-")) | sub("etcd-"; "")' <<<"$1")
    read -r -a urls < <(tls_setting PYGMY_ETCD)
    for name in "${!names[@]}"; do etcd_of[${names[name]}]=${urls[name]}; done
}

# The name of this run is in its keys: a run that is repeated with the same seed makes other purchases.
make_folder() {
    run=$(date +%Y%m%d-%H%M%S)-$BASHPID
    folder=${PYGMY_FAULTTEST_DIR:-$clone/.build/faulttest}/$run
    mkdir -p -- "$folder" || fail "$exit_failed" "cannot make $folder"
}

# Puts items on sale for the traffic: one that everybody wants, some others, and some that will be sold out.
make_items() {
    local i id count
    items=() items_words=() supplies=()
    for ((i = 0; i < items_many + items_scarce; i++)); do
        count=$((i < items_many ? supply_many : supply_scarce))
        id=$(pygmy --json item add --title "Fault test, item $((i + 1))" --topic 'fault test' --cost 1 --count "$count" | jq -er ".item[0].id") ||
            fail "$exit_failed" "no item could be put on sale; does this user read the admin token?"
        items+=("$id") items_words+=(--item "$id") supplies+=(--supplied "$id=$count")
    done
}

delete_items() {
    local id
    for id in "${items[@]}"; do pygmy --quiet item delete "$id" >/dev/null || tell "Item $id of the test could not be deleted"; done
    items=()
}

# ---- traffic -------------------------------------------------------------------------------------

# Starts the traffic of a round into the folder $1.
start_traffic() {
    local where=("--url" "$frontend") node
    if [[ $target == frontend ]]; then
        where=()
        for node in "${nodes[@]}"; do where+=(--read-url "${catalog_of[$node]}" --buy-url "${order_of[$node]}"); done
    fi
    for node in "${nodes[@]}"; do where+=(--again-url "${order_of[$node]}"); done
    # In a session of its own: Ctrl-C is told to it by us.
    setsid "$tools/traffic" "${where[@]}" "${tls[@]}" "${items_words[@]}" --topic fault+test --rate "$rate" --seconds 86400 --quantity-max 3 \
        --settle-seconds "$settle_limit_s" --progress 1 --seed $((seed + round)) --name "$run-$round" --acks "$1/acks" --timeline "$1/timeline.csv" \
        --failures "$1/failures" </dev/null >"$1/traffic.json" &
    traffic_pid=$!
}

stop_traffic() {
    if [[ -z $traffic_pid ]]; then return; fi
    kill -TERM "$traffic_pid" 2>/dev/null || :
    wait "$traffic_pid" || :
    traffic_pid=''
}

# A moment that nobody can foresee: between $1 and $2 tenths of a second.
random_moment() {
    local tenths=$(($1 + RANDOM % ($2 - $1 + 1)))
    rest "$((tenths / 10)).$((tenths % 10))"
}

# Sleeps; a signal is taken at once.
rest() {
    sleep "$1" &
    wait "$!" || :
}

# ---- a round -------------------------------------------------------------------------------------

run_round() {
    local into=$folder/round-$round
    mkdir -p "$into"
    choose_target
    started_ms=$(now_ms)
    start_traffic "$into"
    random_moment 15 30
    hurt_target
    rest "$seconds"
    mark_index
    heal_target
    rest 2
    stop_traffic
    acks+=(--acks "$into/acks")
    compare_code=0
    "$tools/compare" "${nodes_words[@]}" "${tls[@]}" "${acks[@]}" "${supplies[@]}" --wait-seconds 30 >"$into/compare.json" || compare_code=$?
    [[ $compare_code -le 1 ]] || fail "$exit_failed" "the replicas could not be compared"
    judge_round "$into"
}

# Whatever happens, nothing stays frozen or down.
clean_up() {
    local code=$?
    trap '' INT TERM
    trap - EXIT
    if [[ -n ${hurt:-} ]]; then
        tell "Bringing $hurt back"
        bring_back
    fi
    if [[ -n ${traffic_pid:-} ]]; then
        # With two signals it waits for nothing. (Of two that are the same, one may get lost.)
        kill -INT "$traffic_pid" 2>/dev/null || :
        stop_traffic
    fi
    if [[ ${#items[@]} -gt 0 ]]; then delete_items; fi
    exit "$code"
}

main() {
    read_options "$@"
    traffic_pid='' hurt='' frozen=() acks=() results=() items=() passed=yes
    find_programs
    find_cluster
    check_targets
    make_folder
    trap clean_up EXIT
    trap 'exit "$exit_interrupted"' INT TERM
    tell "Fault test, seed $seed: ${targets[*]}, $signal, $rounds rounds of $seconds s at $rate requests per second"
    make_items
    for ((round = 1; round <= rounds; round++)); do run_round; done
    delete_items
    print_result
    [[ $passed == yes ]] || exit "$exit_not_passed"
}

main "$@"
