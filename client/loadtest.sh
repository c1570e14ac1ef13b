#!/usr/bin/env bash
# Loads a Pygmy store as its users would, and tells how it holds up: response times, throughput and failures, per operation and tier.
#
#   client/loadtest.sh [options] [search|lookup|buy|mix]...      (default: all four)
#   client/loadtest.sh --report [--url URL ...] [--report-file FILE]
#       answers three questions with figures of its own runs, in client/loadtest/REPORT.md: what caching brings, what its consistency
#       costs, what a crash looks like from outside (--fault COMMAND: another one than two killed workers). Without --url: --own
#
# Which store:
#   --own                a store of its own, on ports of its own, deleted at the end (what `make loadtest` does)
#   --url URL            a frontend (may be given several times); default: the store that `make run` started from this clone
#   --catalog-url URLS, --order-url URLS, --metrics-url URLS    where workers and frontends tell their own figures, with
#                        commas; defaults: those of the store's settings. What can't be reached is left out of the tables
#   --token-file FILE    the admin token, for --stock
#   --stock N            give every item so many copies first, so that none is sold out (with --own: a billion)
#   --ca-file FILE       who is believed with https
# What is asked:
#   --clients N[,N...]   connections; several: one run for each (1,4,16,64; with --rate only 64)
#   --rate N[,N...]      open loop: so many requests per second, response times counted from the intended start of each.
#                        Without it: closed loop, each client waits for its answer before it asks again
#   --poisson            an open loop of independent clients, instead of even spaces
#   --seconds S          of each run (3)
#   --cache on|off|both  reads as usual, reads past the cache (strict), or both (both)
#   --mix search=W,lookup=W,buy=W     the weights of `mix` (search=30,lookup=60,buy=10)
#   --zipf S             the n-th item comes with weight 1/n^S (0: all the same)
#   --timeout-ms N       an answer that takes longer is none (10000)
#   --driver wrk|pygmy-load           who asks. Default: wrk for reads in a closed loop, pygmy-load for everything else
# What happens meanwhile:
#   --fault COMMAND      run COMMAND in a shell, --fault-at S seconds after a run began (a third of it), and mark it in the plots.
#                        Failures are then part of the result, not a reason to fail
#   --mark FILE          lines `time text` to be marked, in seconds of the run or since the epoch; may still grow while the test runs
# What comes out:
#   --out DIR            CSV files and plots (.build/loadtest/<time>; of the package: pygmy-loadtest/<time> in the current folder)
#   --no-plots, --quiet  no plots; no progress
#   --json               one JSON object instead of the tables
#
# Purchases are real: they stay in the store's books. At the end it is checked that orders and stock add up.
#
# Exit status: 0 done; 1 requests failed, or the books do not add up; 2 wrong usage; 3 the store can't be reached; 5 a tool or a file
# is missing; 130 stopped by Ctrl-C (what was measured until then is shown).
# shellcheck source-path=SCRIPTDIR disable=SC2034,SC2154
set -euo pipefail

fault_name=fault
readonly exit_failed=1 exit_usage=2 exit_unreachable=3 exit_local=5 exit_interrupted=130

clone=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
parts=$clone/client/loadtest
bin=$clone/.build/release/bin results=$clone/.build/loadtest settings=$clone/.build/release/etc/pygmy.env
# Installed by the package: there is no clone, and nothing to be written beside the program.
installed=no
if [[ -x $clone/bin/pygmy ]]; then installed=yes bin=$clone/bin results=$PWD/pygmy-loadtest settings=/etc/pygmy/pygmy.env; fi

say() { if [[ $quiet == no ]]; then printf '%s\n' "$*" >&2; fi; }
fail() {
    local code=$1
    shift
    printf 'loadtest: %s\n' "$*" >&2
    exit "$code"
}
usage() { sed -n '2,/^# is missing/{s/^# \{0,1\}//;p}' "$clone/client/loadtest.sh"; }

# shellcheck source=loadtest/arguments.sh
. "$parts/arguments.sh"
# shellcheck source=loadtest/store.sh
. "$parts/store.sh"
# shellcheck source=loadtest/tiers.sh
. "$parts/tiers.sh"
# shellcheck source=loadtest/drive.sh
. "$parts/drive.sh"
# shellcheck source=loadtest/books.sh
. "$parts/books.sh"
# shellcheck source=loadtest/tables.sh
. "$parts/tables.sh"
# shellcheck source=loadtest/plots.sh
. "$parts/plots.sh"
# shellcheck source=loadtest/report.sh
. "$parts/report.sh"

# All runs that were asked for, one after the other.
run_all() {
    local operation cache clients rate
    for operation in "${operations[@]}"; do
        for cache in "${caches[@]}"; do
            # A purchase has no cache to go past.
            if [[ $operation == buy && $cache != "${caches[0]}" ]]; then continue; fi
            for rate in "${rates[@]}"; do
                for clients in "${clients_list[@]}"; do
                    drive "$operation" "$cache" "$clients" "$rate"
                    if [[ $interrupted == yes ]]; then return; fi
                done
            done
        done
    done
}

finish() {
    local code=0
    if ! books_check; then code=$exit_failed; fi
    if [[ $plots == yes ]]; then plots_draw; fi
    if [[ $json == yes ]]; then tables_json; else tables_print; fi
    if [[ -z $fault && -z $marks && $(tables_failures) -gt 0 ]]; then
        printf 'loadtest: requests failed\n' >&2
        code=$exit_failed
    fi
    if [[ $interrupted == yes ]]; then code=$exit_interrupted; fi
    return "$code"
}

# Ends what this script started, whatever happened.
clean_up() {
    local code=$?
    trap '' INT TERM
    drive_end
    store_end
    exit "$code"
}

main() {
    arguments_read "$@"
    arguments_check_tools
    interrupted=no
    trap clean_up EXIT
    trap 'interrupted=yes; drive_stop' INT TERM
    mkdir -p -- "$out"
    if [[ -n $report && ${#urls[@]} -eq 0 ]]; then own=yes; fi
    store_find
    # For every curl from here on.
    if [[ -n $ca_file ]]; then export CURL_CA_BUNDLE=$ca_file; fi
    store_learn
    if [[ -n $report ]]; then
        report_make
        return
    fi
    books_open
    run_all
    finish
}

main "$@"
