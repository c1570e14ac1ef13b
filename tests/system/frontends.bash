# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # what cluster.bash sets
# What the tests of several frontends share: what a frontend knows, what the nodes know of it, and the checker that looks for stale reads.
# Load it after cluster.

# What a frontend's table knows: table_of frontend-2 .leased
table_of() { curl --silent --max-time 2 --unix-socket "$PYGMY_RUN_DIR/$1/frontend.sock" http://frontend/coherence/status | jq -r "$2"; }

# The frontends as a node sees them: registered A '.[] | select(.name == "F2").fenced'
registered() { ask "${catalog_of[$1]}/members" | jq -r ".frontends | $2"; }
counts() { [[ $(registered A ".[] | select(.name == \"$1\").fenced") == false ]]; }
is_fenced() { [[ $(registered A ".[] | select(.name == \"$1\").fenced") == true ]]; }
is_pushed_to() { [[ $(table_of "$1" .pushes) -gt 10 ]]; }
has_lease() { [[ $(table_of "$1" .leased) == true ]]; }

# Writes wait for both, and both serve from their caches.
everybody_counts() {
    local name
    for name in F1 F2; do wait_until 40 counts "$name"; done
    for name in "${frontend_names[@]}"; do wait_until 40 has_lease "$name"; done
}

# The sum of a counter of all workers of nodes.
total() {
    local url sum=0 value
    for url in "${catalog_of[@]}" "${order_of[@]}"; do
        value=$(ask "$url/metrics" | awk -v name="$1" '$1 == name {print $2}')
        sum=$((sum + value))
    done
    printf '%d' "$sum"
}

# ---- the checker ---------------------------------------------------------------------------------

check_begin() {
    local words=() node url
    for url in "${frontends[@]}"; do words+=(--frontend "$url"); done
    for node in "${nodes[@]}"; do words+=(--catalog "${catalog_of[$node]}" --order "${order_of[$node]}"); done
    "${net_words[@]}" "$tree/.build/release/tools/coherence_check" "${words[@]}" "${tls_words[@]}" --token-file "$PYGMY_STATE_DIR/secrets/admin.token" --seconds 600 \
        --reads 1000000000 --readers 4 --writers 3 --rest-ms 20 >"$store_dir/check" 2>"$store_dir/check.errors" 3>&- </dev/null &
    check_pid=$!
}

# Ends it: nothing stale, nothing that may not be.
check_end() {
    local code=0 pid=$check_pid
    check_pid=''
    kill -USR1 "$pid"
    wait "$pid" || code=$?
    cat "$store_dir/check" "$store_dir/check.errors"
    assert_equal "$code" 0 'a frontend was not coherent'
    [[ $(jq .hits "$store_dir/check") -gt 0 && $(jq .writes "$store_dir/check") -gt 0 ]]
}

check_kill() {
    if [[ -n ${check_pid:-} ]]; then kill -KILL "$check_pid" 2>/dev/null || :; fi
    check_pid=''
}

freeze() {
    local pid
    for pid in $(cluster pids "$1"); do kill -s "$2" "$pid"; done
}
