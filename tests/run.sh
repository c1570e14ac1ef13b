#!/usr/bin/env bash
# Runs the tests and ends with one line: "N passed, M failed".
#
#   tests/run.sh [lint|unit|threads|simulation|fuzz|system|sanitized]...     (default: all of them, in this order)
#
#   lint       what can be told from the text: shellcheck, layering, banned functions, clang's warnings
#   unit       tests/unit/test_*.c under AddressSanitizer and UndefinedBehaviorSanitizer
#   threads    tests/unit/test_*_threads.c under ThreadSanitizer
#   simulation tests/simulation: SIM_SCHEDULES (3000) clusters on a virtual clock. SIM_SEED=n runs one of them and shows all of it
#   fuzz       every tests/fuzz/fuzz_*.c for FUZZ_SECONDS (3) over its corpus
#   system     tests/system/*.bats against a real nginx, real workers and the client
#   sanitized  some of the system tests again: the API's and the bad input's with workers under AddressSanitizer and
#              UndefinedBehaviorSanitizer, the concurrency's with workers under ThreadSanitizer
#
# SAN=address|thread selects the variant of unit, and of the workers in system. PATTERN=text runs only the unit and
# system test files, and fuzz targets, whose name contains it. TEST_JOBS (2) files run at a time.
#
# The output of everything goes to .build/test/<part>/<name>.log; what failed is also shown here. A part that cannot
# be built counts as one failure. Nothing here touches the ports or the data of a store that runs.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
export LC_ALL=C.UTF-8
unset MAKEFLAGS MAKELEVEL MFLAGS
for variable in "${!PYGMY_@}"; do unset "$variable"; done

readonly logs=.build/test
readonly unit_limit_s=180 simulation_limit_s=600 system_limit_s=900
readonly fuzz_seconds=${FUZZ_SECONDS:-3} jobs_max=${TEST_JOBS:-2}
passed=0 failed=0 skipped=0
failures=()
declare -A running=()
# Ctrl-C: no further file is started, and those that run are waited for, so that they end the stores that they started.
interrupted=no
trap 'interrupted=yes && say "Waiting for the test files that run to clean up"' INT TERM

say() { printf '%s\n' "$*"; }

# Sanitizers of this age do not cope with a kernel that scatters memory more widely than they expect.
unrandomised=()
if [[ $(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0) -gt 28 ]] && setarch --addr-no-randomize true 2>/dev/null; then
    unrandomised=(setarch --addr-no-randomize)
fi

# ---- jobs: one file of tests each ----------------------------------------------------------------

# Starts a job when there is room: start_job <part> <name> <function that runs it>. Its log is $logs/<part>/<name>.log. The
# function's output is shown when it ends; it calls `result` once.
start_job() {
    local part=$1 name=$2
    shift 2
    if [[ $name != *"${PATTERN:-}"* ]]; then return; fi
    while [[ ${#running[@]} -ge $jobs_max ]]; do finish_job; done
    if [[ $interrupted == yes ]]; then return; fi
    run_job "$part" "$name" "$@" >"$logs/$part/$name.out" 2>&1 &
    running[$!]=$part/$name
}

run_job() {
    local part=$1 name=$2 log=$logs/$1/$2.log
    shift 2
    "$@"
}

# Tells the outcome of a job: result <passed> <failed> <skipped>
result() { say "RESULT $1 $2 $3"; }

# Waits for one job, shows what it said, and sums. One that tells no outcome has failed.
finish_job() {
    local pid='' name good bad skips
    wait -n -p pid "${!running[@]}" || [[ -n ${pid:-} ]] || return 0 # (its outcome stands in its output; no pid: interrupted)
    name=${running[$pid]}
    unset "running[$pid]"
    grep -av '^RESULT ' "$logs/$name.out" || :
    read -r _ good bad skips < <(grep -a '^RESULT ' "$logs/$name.out" || say 'RESULT 0 1 0')
    count "$good" "$bad" "$skips" "$name"
}

finish_jobs() { while [[ ${#running[@]} -gt 0 ]]; do finish_job; done; }

# Adds to the sums: count <passed> <failed> <skipped> <name>
count() {
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
    if [[ $2 -gt 0 ]]; then failures+=("$4"); fi
}

# Shows why something failed: show_failure <name> <log file>. Of TAP what belongs to each failed test, else the log's end.
show_failure() {
    say "FAILED: $1 (log: $2)"
    if grep -qa '^not ok ' "$2"; then
        awk '/^(not )?ok / {left = /^not/ ? 15 : 0} /^# ---/ {left = 0} left-- > 0' "$2" | head -n 150 | cut -c 1-300
    else
        tail -n 40 "$2" | cut -c 1-300
    fi | sed 's/^/    /'
}

lines() { grep -ac "$1" "$2" || :; }

# ---- what a job does (part, name and log are run_job's) ------------------------------------------
# shellcheck disable=SC2154  # those three

# Sums the TAP in the log of a job: tell_tap <exit code>. Who dies, leaks or runs nothing has failed, whatever it printed.
tell_tap() {
    local good bad skips
    skips=$(lines '^ok .* # skip' "$log")
    good=$(($(lines '^ok ' "$log") - skips))
    bad=$(lines '^not ok ' "$log")
    if [[ $bad -eq 0 && ($1 -ne 0 || $((good + skips)) -eq 0) ]]; then
        say "ended with code $1 after $good passed tests" >>"$log"
        bad=1
    fi
    if [[ $bad -gt 0 ]]; then show_failure "$part/$name" "$log"; fi
    grep -a '^ok .* # skip' "$log" | sed 's/^ok [0-9]* /   skipped: /' || :
    result "$good" "$bad" "$skips"
}

# One cmocka program: job_unit <variant>
job_unit() {
    local code=0
    CMOCKA_MESSAGE_OUTPUT=TAP timeout --kill-after=5 "$unit_limit_s" "${unrandomised[@]}" ".build/$1/unit/$name" \
        >"$log" 2>&1 </dev/null || code=$?
    tell_tap "$code"
}

job_simulation() {
    local code=0
    timeout --kill-after=5 "$simulation_limit_s" .build/release/simulation/simulation >"$log" 2>&1 </dev/null || code=$?
    grep -a '^# .* a person ' "$log" | sed 's/^# /   /' || :
    # A schedule that is run alone tells what happens in it.
    if [[ -n ${SIM_SEED:-} ]]; then cat -- "$log"; fi
    tell_tap "$code"
}

job_fuzz() {
    # New inputs go to the first folder; the corpus in the tree is only read.
    local work=$logs/fuzz/$name folders
    folders=("$work")
    if [[ -d tests/fuzz/corpus/${name#fuzz_} ]]; then folders+=("tests/fuzz/corpus/${name#fuzz_}"); fi
    mkdir -p "$work"
    if timeout --kill-after=5 $((fuzz_seconds + 60)) "${unrandomised[@]}" ".build/fuzz/fuzz/$name" \
        -max_total_time="$fuzz_seconds" -timeout=5 -rss_limit_mb=1024 -artifact_prefix="$work-" -print_final_stats=1 \
        "${folders[@]}" >"$log" 2>&1 </dev/null; then
        result 1 0 0
    else
        show_failure "fuzz/$name" "$log"
        result 0 1 0
    fi
}

# One file of system tests: job_system <variant of the workers>
job_system() {
    local code=0 started=$SECONDS
    SAN=$1 timeout --kill-after=30 "$system_limit_s" "${unrandomised[@]}" bats --formatter tap "tests/system/$name.bats" \
        >"$log" 2>&1 </dev/null || code=$?
    say "   $name: $(lines '^ok ' "$log") of $(sed -n 's/^1\.\.//p' "$log") in $((SECONDS - started)) s"
    tell_tap "$code"
}

job_lint() {
    local code=0
    tests/lint.sh >"$log" 2>&1 || code=$?
    tell_tap "$code"
}

# ---- parts ---------------------------------------------------------------------------------------

build() {
    local log=$logs/build-${*//[^a-z]/-}.log
    if make --no-print-directory -j"$(nproc)" "$@" >"$log" 2>&1; then return; fi
    count 0 1 0 "build of $*"
    show_failure "build of $*" "$log"
    return 1
}

# Prints the names of the files that match: names <suffix> <files...>
names() {
    local suffix=$1 file
    shift
    for file in "$@"; do basename -- "$file" "$suffix"; done
}

part_lint() {
    build SAN= nginx-headers || return 0
    start_job lint lint job_lint
}

part_unit() {
    local name san=${SAN:-address}
    local -A variant=([address]=asan [thread]=tsan)
    build "SAN=$san" unit-build || return 0
    for name in $(names .c tests/unit/test_*.c); do start_job unit "$name" job_unit "${variant[$san]}"; done
}

part_threads() {
    local name
    build SAN=thread threads-build || return 0
    for name in $(names .c tests/unit/test_*_threads.c); do start_job threads "$name" job_unit tsan; done
}

part_simulation() {
    build SAN= simulation-build || return 0
    start_job simulation simulation job_simulation
}

part_fuzz() {
    local name
    build SAN=fuzz fuzz-build || return 0
    for name in $(names .c tests/fuzz/fuzz_*.c); do start_job fuzz "$name" job_fuzz; done
}

part_system() {
    local name
    # sanitized.bats brings its own variant of the workers.
    build SAN= all tools && build "SAN=${SAN:-address}" all || return 0
    # The longest files first, so that none of them is left alone at the end.
    for name in $(stat -c '%s %n' tests/system/*.bats | sort -rn | sed 's|.*/||; s|\.bats$||'); do start_job system "$name" job_system "${SAN:-}"; done
}

part_sanitized() {
    local name
    build SAN= all tools && build SAN=address all && build SAN=thread all || return 0
    for name in api bad_input; do start_job sanitized "$name" job_system address; done
    start_job sanitized concurrency job_system thread
}

main() {
    local part parts=("$@") started before
    if [[ ${#parts[@]} -eq 0 ]]; then parts=(lint unit threads simulation fuzz system sanitized); fi
    shopt -s nullglob
    for part in "${parts[@]}"; do
        declare -F "part_$part" >/dev/null || { say "tests: unknown part '$part'" >&2 && exit 2; }
        mkdir -p "$logs/$part"
    done
    for part in "${parts[@]}"; do
        if [[ $interrupted == yes ]]; then break; fi
        started=$SECONDS before="$passed $failed"
        say "== $part"
        "part_$part"
        finish_jobs
        say "   $((passed - ${before% *})) passed, $((failed - ${before#* })) failed in $((SECONDS - started)) s"
    done
    say ''
    if [[ $skipped -gt 0 ]]; then say "$skipped skipped (see above)"; fi
    for part in "${failures[@]}"; do say "failed: $part"; done
    say "Logs are in $PWD/$logs"
    if [[ $interrupted == yes ]]; then say "interrupted" && exit 130; fi
    say "$passed passed, $failed failed"
    [[ $failed -eq 0 && $passed -gt 0 ]]
}

main "$@"
