#!/usr/bin/env bash
# Deploys to four hosts on this machine, for real over ssh, and tests what was deployed. `make test-deploy` builds what it needs first.
#
#   tests/deploy/run.sh [--keep] [NAME...]
#
#   NAME     only these files of tests: site, faults, upgrade, operations ... (tests/deploy/NAME.bats). Those that need hosts
#            need a deployed store: when site is not named, and --keep left none, it is deployed first
#   --keep   leave the hosts up afterwards, and use those that were left up (tests/deploy/hosts.sh --help)
#
# Ends with one line: "N passed, M failed". Exit status: 0 all passed, 1 some failed, 2 wrong usage; 3: this machine can't have such hosts (the last line
# says why), what needs none has passed.
#
# The files run in the order in which they stand below, on the same hosts; each leaves the store whole. Their output is in
# .build/test/deploy/NAME.log. The hosts are removed at the end, whatever happens.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
export LC_ALL=C.UTF-8
unset MAKEFLAGS MAKELEVEL MFLAGS
for variable in "${!PYGMY_@}" "${!ANSIBLE_@}"; do [[ $variable == PYGMY_HOSTS_DIR ]] || unset "$variable"; done

readonly hosts=tests/deploy/hosts.sh logs=.build/test/deploy
readonly on_hosts=(site faults upgrade operations)
readonly host_count=4 file_limit_s=2400 exit_cannot=3

say() { printf '%s\n' "$*"; }
usage() { sed -n '2,/^set /{/^#/!d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

# What is tested without hosts: every other file.
without_hosts() {
    local file name
    for file in tests/deploy/*.bats; do
        name=$(basename -- "$file" .bats)
        [[ ! -e $file || " ${on_hosts[*]} " == *" $name "* ]] || printf '%s\n' "$name"
    done
}

lines() { grep -ac "$1" "$2" || :; }

# Runs one file of tests and adds to the sums.
run_file() {
    local name=$1 log=$logs/$1.log code=0 began=$SECONDS good bad
    timeout --kill-after=60 "$file_limit_s" bats --formatter tap --timing "tests/deploy/$name.bats" >"$log" 2>&1 </dev/null || code=$?
    good=$(lines '^ok ' "$log") bad=$(lines '^not ok ' "$log")
    if [[ $bad -eq 0 && ($code -ne 0 || $good -eq 0) ]]; then bad=1; fi
    passed=$((passed + good)) failed=$((failed + bad))
    say "== $name: $good passed, $bad failed in $((SECONDS - began)) s"
    grep -aE '^(not )?ok ' "$log" | sed 's/^/   /' || :
    if [[ $bad -gt 0 ]]; then
        failures+=("$name")
        { awk '/^(not )?ok / {left = /^not/ ? 60 : 0} left-- > 0' "$log" | grep . || tail -n 60 "$log"; } | cut -c 1-300 | sed 's/^/    /'
    fi
}

# Sets `fresh` to whether the hosts are new ones, with nothing deployed.
bring_up() {
    local began=$SECONDS
    fresh=no
    if [[ $keep == yes && $($hosts status 2>/dev/null) == *' runs '* ]]; then
        say "The hosts are up already" && return
    fi
    fresh=yes
    $hosts up "$host_count"
    say "$host_count hosts are up after $((SECONDS - began)) s"
}

# shellcheck disable=SC2317  # the trap's
clean_up() {
    local code=$?
    trap '' INT TERM
    if [[ $keep == yes ]]; then
        say "The hosts are left up; $hosts down ends them" >&2
    else
        $hosts down || code=1
    fi
    exit "$code"
}

main() {
    local name names=() cannot='' code=0
    keep=no passed=0 failed=0 failures=()
    while [[ $# -gt 0 ]]; do
        case $1 in
            -h | --help) usage && exit ;;
            --keep) keep=yes ;;
            *) [[ -e tests/deploy/$1.bats ]] || { say "run.sh: there is no tests/deploy/$1.bats" >&2 && exit 2; } && names+=("$1") ;;
        esac
        shift
    done
    mkdir -p "$logs"
    if [[ ${#names[@]} -eq 0 ]]; then mapfile -t names < <(without_hosts && printf '%s\n' "${on_hosts[@]}"); fi
    for name in $(without_hosts); do
        if [[ " ${names[*]} " == *" $name "* ]]; then run_file "$name"; fi
    done
    if [[ " ${on_hosts[*]} " =~ \ (${names[0]}$(printf '|%s' "${names[@]:1}"))\  ]]; then
        if cannot=$($hosts check 2>&1); then
            cannot=''
            run_on_hosts "${names[@]}"
        else
            code=$?
            [[ $code -eq $exit_cannot ]] || { say "$cannot" >&2 && exit 1; }
        fi
    fi
    say ''
    for name in "${failures[@]}"; do say "failed: $name"; done
    say "Logs are in $PWD/$logs"
    say "$passed passed, $failed failed${cannot:+; nothing was deployed: ${cannot#hosts: }}"
    [[ $failed -eq 0 ]] || exit 1
    [[ -z $cannot ]] || exit "$exit_cannot"
    [[ $passed -gt 0 ]]
}

run_on_hosts() {
    local name fresh
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    make --no-print-directory deb >"$logs/deb.log" 2>&1 || { tail -n 30 "$logs/deb.log" && say "make deb failed" && exit 1; }
    bring_up
    if [[ $fresh == yes && " $* " != *' site '* ]]; then set -- site "$@"; fi
    for name in "${on_hosts[@]}"; do
        if [[ " $* " == *" $name "* ]]; then run_file "$name"; fi
    done
}

main "$@"
