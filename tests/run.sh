#!/usr/bin/env bash
# Runs the tests and ends with one line: "N passed, M failed".
#
#   tests/run.sh [lint|unit|threads|fuzz|system|sanitized]...     (default: all of them, in this order)
#
#   lint     what can be told from the text: shellcheck, layering, banned functions, clang's warnings
#   unit     tests/unit/test_*.c under AddressSanitizer and UndefinedBehaviorSanitizer
#   threads  tests/unit/test_*_threads.c under ThreadSanitizer
#   fuzz     every tests/fuzz/fuzz_*.c for FUZZ_SECONDS (3) over its corpus
#   system   tests/system/*.bats against a real nginx, real workers and the client
#   sanitized  the API's and the bad input's system tests again with workers under AddressSanitizer and
#            UndefinedBehaviorSanitizer, the concurrency's with workers under ThreadSanitizer
#
# SAN=address|thread selects the variant of unit, and of the workers in system. PATTERN=text runs only the unit and
# system test files, and fuzz targets, whose name contains it.
#
# The output of everything goes to .build/test/<part>/<name>.log; what failed is also shown here. A part that cannot
# be built counts as one failure. Nothing here touches the ports or the data of a store that runs.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
export LC_ALL=C.UTF-8
unset MAKEFLAGS MAKELEVEL MFLAGS
for variable in "${!PYGMY_@}"; do unset "$variable"; done

readonly logs=.build/test
readonly unit_limit_s=120 bats_limit_s=600
readonly fuzz_seconds=${FUZZ_SECONDS:-3}
passed=0 failed=0 skipped=0
failures=()

# Sanitizers of this age do not cope with a kernel that scatters memory more widely than they expect.
unrandomised=()
if [[ $(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0) -gt 28 ]] && setarch --addr-no-randomize true 2>/dev/null; then
    unrandomised=(setarch --addr-no-randomize)
fi

say() { printf '%s\n' "$*"; }

# Adds to the sums: count <passed> <failed> <what failed>
count() {
    passed=$((passed + $1)) failed=$((failed + $2))
    if [[ $2 -gt 0 ]]; then failures+=("$3"); fi
}

# Shows why something failed: failure <name> <log file>. Of TAP what belongs to each failed test, else the log's end.
show_failure() {
    say "FAILED: $1 (log: $2)"
    if grep -qa '^not ok ' "$2"; then
        awk '/^(not )?ok / {left = /^not/ ? 15 : 0} /^# ---/ {left = 0} left-- > 0' "$2" | head -n 150 | cut -c 1-300
    else
        tail -n 40 "$2" | cut -c 1-300
    fi | sed 's/^/    /'
}

build() {
    local log=$logs/build-${1//[^a-z]/-}-${2//[^a-z]/-}.log
    if make --no-print-directory -j"$(nproc)" "$@" >"$log" 2>&1; then return; fi
    count 0 1 "build of $*"
    show_failure "build of $*" "$log"
    return 1
}

# Runs one cmocka program and sums what it tells in TAP: run_unit <part> <program>
run_unit() {
    local name=${2##*/} log code=0 good bad
    log=$logs/$1/$name.log
    CMOCKA_MESSAGE_OUTPUT=TAP timeout --kill-after=5 "$unit_limit_s" "${unrandomised[@]}" "$2" >"$log" 2>&1 </dev/null || code=$?
    good=$(grep -ac '^ok ' "$log") || good=0
    bad=$(grep -ac '^not ok ' "$log") || bad=0
    # One that dies, leaks or runs nothing has failed, whatever it printed.
    if [[ $bad -eq 0 && ($code -ne 0 || $good -eq 0) ]]; then
        say "$name ended with code $code after $good passed tests" >>"$log"
        bad=1
    fi
    count "$good" "$bad" "$1/$name"
    if [[ $bad -gt 0 ]]; then show_failure "$1/$name" "$log"; fi
}

run_units() {
    local part=$1 variant=$2 program
    for program in tests/unit/test_*.c; do
        program=$(basename -- "$program" .c)
        if [[ $program != *"${PATTERN:-}"* || ($part == threads && $program != *_threads) ]]; then continue; fi
        run_unit "$part" "./.build/$variant/unit/$program"
    done
}

part_lint() {
    local good bad
    tests/lint.sh >"$logs/lint/lint.log" 2>&1 || : # what it found stands in its log
    good=$(grep -ac '^ok ' "$logs/lint/lint.log") || good=0
    bad=$(grep -ac '^not ok ' "$logs/lint/lint.log") || bad=0
    if [[ $((good + bad)) -eq 0 ]]; then bad=1; fi
    count "$good" "$bad" lint
    if [[ $bad -gt 0 ]]; then show_failure lint "$logs/lint/lint.log"; fi
}

part_unit() {
    local san=${SAN:-address}
    local -A variant=([address]=asan [thread]=tsan)
    build "SAN=$san" unit-build || return 0
    run_units unit "${variant[$san]}"
}

part_threads() {
    build SAN=thread threads-build || return 0
    run_units threads tsan
}

part_fuzz() {
    local program name log work corpus
    build SAN=fuzz fuzz-build || return 0
    for program in tests/fuzz/fuzz_*.c; do
        name=$(basename -- "$program" .c)
        if [[ $name != *"${PATTERN:-}"* ]]; then continue; fi
        log=$logs/fuzz/$name.log
        # New inputs go to the first folder; the corpus in the tree is only read.
        work=$logs/fuzz/$name corpus=("$work")
        if [[ -d tests/fuzz/corpus/${name#fuzz_} ]]; then corpus+=("tests/fuzz/corpus/${name#fuzz_}"); fi
        mkdir -p "$work"
        if timeout --kill-after=5 $((fuzz_seconds + 60)) "${unrandomised[@]}" ".build/fuzz/fuzz/$name" -max_total_time="$fuzz_seconds" -timeout=5 \
            -rss_limit_mb=1024 -artifact_prefix="$work-" -print_final_stats=1 "${corpus[@]}" \
            >"$log" 2>&1 </dev/null; then
            count 1 0 ''
        else
            count 0 1 "fuzz/$name"
            show_failure "fuzz/$name" "$log"
        fi
    done
}

# Runs one file of system tests: run_system <part> <file> <variant of the workers>
run_system() {
    local part=$1 file=$2 name log code=0 good bad started=$SECONDS
    name=$(basename -- "$file" .bats)
    if [[ $name != *"${PATTERN:-}"* ]]; then return; fi
    log=$logs/$part/$name.log
    SAN=$3 timeout --kill-after=30 "$bats_limit_s" "${unrandomised[@]}" bats --formatter tap "$file" >"$log" 2>&1 </dev/null || code=$?
    skipped=$((skipped + $(grep -ac '^ok .* # skip' "$log" || :)))
    good=$(grep -a '^ok ' "$log" | grep -avc ' # skip') || good=0
    bad=$(grep -ac '^not ok ' "$log") || bad=0
    if [[ $bad -eq 0 && $code -ne 0 ]]; then bad=1; fi
    count "$good" "$bad" "$part/$name"
    say "   $name: $good passed, $bad failed in $((SECONDS - started)) s"
    if [[ $bad -gt 0 ]]; then show_failure "$part/$name" "$log"; fi
    grep -a '^ok .* # skip' "$log" | sed 's/^ok [0-9]* /   skipped: /' || :
}

part_system() {
    local file
    build SAN= all tools || return 0
    if [[ -n ${SAN:-} ]]; then build "SAN=$SAN" all || return 0; fi
    for file in tests/system/*.bats; do
        if [[ $file != */sanitized.bats ]]; then run_system system "$file" "${SAN:-}"; fi
    done
}

part_sanitized() {
    local name
    build SAN= all tools && build SAN=address all && build SAN=thread all || return 0
    for name in api bad_input sanitized; do run_system sanitized "tests/system/$name.bats" address; done
    for name in concurrency sanitized; do run_system sanitized "tests/system/$name.bats" thread; done
}

main() {
    local part parts=("$@") started before
    if [[ ${#parts[@]} -eq 0 ]]; then parts=(lint unit threads fuzz system sanitized); fi
    shopt -s nullglob
    for part in "${parts[@]}"; do
        declare -F "part_$part" >/dev/null || { say "tests: unknown part '$part'" >&2 && exit 2; }
        mkdir -p "$logs/$part"
    done
    for part in "${parts[@]}"; do
        started=$SECONDS before="$passed $failed"
        say "== $part"
        "part_$part"
        say "   $((passed - ${before% *})) passed, $((failed - ${before#* })) failed in $((SECONDS - started)) s"
    done
    say ''
    if [[ $skipped -gt 0 ]]; then say "$skipped skipped (see above)"; fi
    for part in "${failures[@]}"; do say "failed: $part"; done
    say "Logs are in $PWD/$logs"
    say "$passed passed, $failed failed"
    [[ $failed -eq 0 && $passed -gt 0 ]]
}

main "$@"
