#!/usr/bin/env bash
# Looks for a stale read: writes and reads through all frontends of a cluster while its parts are hurt and the network between them is hostile.
#
#   client/coherencetest.sh [--own] [options]
#
#   --own               a throwaway cluster of three nodes and two frontends, with a hostile network between them, deleted at the end (what
#                       `make coherence` does). Without it: the cluster of this clone that runs, whose network is left as it is
#   --hits N            so many answers must come out of caches (1000000)
#   --seconds N         give up when there are less after so long (300)
#   --lost-pushes N     percent of all pushes that get lost: neither delivered nor answered, delivered but not answered, delivered up to 5 s
#                       later, or with a broken connection (50)
#   --slow-fills N      percent of all fills of the cache that take 0 to 5 s longer (5)
#   --lost-leases N     percent of all questions for a lease that get lost or are answered up to 5 s later (10)
#   --faults LIST       what is done, with commas between: freeze-frontend (stopped for 10 s), kill-frontend, kill-node, freeze-node, kill-worker,
#                       kill-etcd-leader, none (all of the former)
#   --readers N         connections that read (64); --writers N: of those that write (3); --rest-ms N: the longest rest between two writes (150)
#   --seed N            repeats the choices of a former run (which printed its seed); the timing of processes stays theirs
#   --broken            shows that stale reads are found: every tenth push is confirmed though no frontend got it
#   --json              the result as one line of JSON; the progress goes to stderr
#
# Writers change items of their own (purchases, prices, topics, deletions) through all nodes and frontends, and note when a write was
# acknowledged. A read that begins after that must show it, at every frontend, from the cache or not; and at one frontend nobody may
# see a resource go back in time. One wrong answer is enough to fail. Answers that say how old they may be are counted, and prove nothing.
#
# The verdict is "passed" when there was no stale read, the wanted number of cached ones, more than 90 % of all reads came out of caches,
# and everything that was hurt came back. What was tried is printed with it, and how often.
#
# Exit codes: 0 passed; 1 not passed; 2 wrong usage; 3 there is no cluster, or it is not whole before the test; 4 something else is
# missing or failed; 130 stopped by Ctrl-C or SIGTERM.
# shellcheck source-path=SCRIPTDIR disable=SC2034,SC2154
set -euo pipefail

readonly exit_not_passed=1 exit_usage=2 exit_no_cluster=3 exit_failed=4 exit_interrupted=130
readonly hit_ratio_wanted=0.9 frozen_s=10 node_frozen_s=4 down_s=2 back_limit_s=60 via=100

clone=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
tools=$clone/.build/release/tools
# shellcheck source=coherencetest/cluster.sh
. "$clone/client/coherencetest/cluster.sh"
# shellcheck source=coherencetest/faults.sh
. "$clone/client/coherencetest/faults.sh"
# shellcheck source=coherencetest/verdict.sh
. "$clone/client/coherencetest/verdict.sh"

tell() { printf '%s\n' "$*" >&2; }
fail() {
    local code=$1
    shift
    printf 'coherencetest: %s\n' "$*" >&2
    exit "$code"
}
usage() { sed -n '2,/^# shellcheck/{/^# shellcheck/d;/^#/!d;s/^# \{0,1\}//;p}' "$clone/client/coherencetest.sh"; }

# Reads the command line into the names of its options.
read_options() {
    local name
    own=no hits=1000000 seconds=300 lost_pushes=50 slow_fills=5 lost_leases=10 readers=64 writers=3 rest_ms=150 seed='' broken=no form=text
    faults=freeze-frontend,kill-worker,kill-node,freeze-node,kill-frontend,kill-etcd-leader
    while [[ $# -gt 0 ]]; do
        case $1 in
            -h | --help | help) usage && exit 0 ;;
            --json) form=json && shift && continue ;;
            --own) own=yes && shift && continue ;;
            --broken) broken=yes && shift && continue ;;
            --hits | --seconds | --lost-pushes | --slow-fills | --lost-leases | --faults | --readers | --writers | --rest-ms | --seed)
                [[ $# -gt 1 ]] || fail "$exit_usage" "$1 needs a value"
                ;;
            *) fail "$exit_usage" "unknown option '$1'; client/coherencetest.sh --help lists them" ;;
        esac
        name=${1#--}
        printf -v "${name//-/_}" '%s' "$2"
        shift 2
    done
    for name in lost_pushes slow_fills lost_leases; do
        [[ ${!name} =~ ^[0-9]{1,3}$ && ${!name} -le 100 ]] || fail "$exit_usage" "--${name//_/-} takes a percentage from 0 to 100: ${!name}"
    done
    for name in hits seconds readers writers rest_ms; do
        [[ ${!name} =~ ^[1-9][0-9]{0,9}$ ]] || fail "$exit_usage" "--${name//_/-} takes a number above 0: ${!name}"
    done
    : "${seed:=$((RANDOM * 32768 + RANDOM + 1))}"
    [[ $seed =~ ^[1-9][0-9]{0,9}$ ]] || fail "$exit_usage" "--seed is a number above 0: $seed"
    RANDOM=$((seed % 32768))
    IFS=, read -r -a fault_list <<<"$faults"
    for name in "${fault_list[@]}"; do
        [[ $name == none ]] || declare -F "fault_${name//-/_}" >/dev/null || fail "$exit_usage" "unknown fault '$name'; client/coherencetest.sh --help lists them"
    done
    [[ $broken == no || $own == yes ]] || fail "$exit_usage" "--broken needs --own"
}

find_tools() {
    local tool
    for tool in jq curl; do
        command -v "$tool" >/dev/null || fail "$exit_failed" "$tool is missing; client/deps.sh cluster installs it"
    done
    [[ -x $tools/coherence_check && -x $tools/peer_proxy ]] ||
        fail "$exit_failed" "the checker is not built; 'make coherence' does that"
}

# ---- the checker ---------------------------------------------------------------------------------

# In a session of its own: Ctrl-C is told to it by us.
start_checker() {
    local words=() url
    for url in "${frontends[@]}"; do words+=(--frontend "$url"); done
    for url in "${catalogs[@]}"; do words+=(--catalog "$url"); done
    for url in "${orders[@]}"; do words+=(--order "$url"); done
    setsid "$tools/coherence_check" "${words[@]}" "${tls[@]}" --token-file "$token_file" --seconds "$seconds" --hits "$hits" --reads 1000000000000 \
        --readers "$readers" --pipeline 8 --writers "$writers" --things 48 --rest-ms "$rest_ms" --search-percent 2 --strict-percent 1 \
        --impatient-percent 20 --abandon-permille 2 --progress 1 --seed "$seed" </dev/null >"$folder/check.json" 2> >(tee "$folder/check.log" >&2) &
    checker_pid=$!
}

# Ends it when it has seen enough.
end_checker() {
    local code=0
    kill -USR1 "$checker_pid" 2>/dev/null || :
    wait "$checker_pid" || code=$?
    checker_pid=''
    [[ $code -le 1 ]] || fail "$exit_failed" "the checker could not run (see $folder/check.log)"
}

checker_runs() { kill -0 "$checker_pid" 2>/dev/null; }

# Whatever happens, nothing stays frozen or down, and nothing of a throwaway cluster stays.
clean_up() {
    local code=$?
    trap '' INT TERM
    trap - EXIT
    if [[ -n ${checker_pid:-} ]]; then kill -KILL "$checker_pid" 2>/dev/null || :; fi
    faults_end || code=$exit_failed
    cluster_end || code=$exit_failed
    exit "$code"
}

main() {
    read_options "$@"
    checker_pid='' proxy_pid='' own_folder='' hurt='' frozen=() done_faults=() not_back=()
    find_tools
    folder=${PYGMY_COHERENCETEST_DIR:-$clone/.build/coherencetest}/$(date +%Y%m%d-%H%M%S)-$BASHPID
    mkdir -p -- "$folder" || fail "$exit_failed" "cannot make $folder"
    trap clean_up EXIT
    trap 'exit "$exit_interrupted"' INT TERM
    tell "Coherence test, seed $seed"
    if [[ $own == yes ]]; then cluster_start_own; fi
    cluster_find
    start_checker
    faults_run
    network_calm
    end_checker
    network_end
    print_verdict
    [[ $passed == yes ]] || exit "$exit_not_passed"
}

main "$@"
