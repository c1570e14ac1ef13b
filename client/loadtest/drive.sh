# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034
# One run: who asks, for how long, and where its figures go. Every run has a folder below $out/runs with
#     load.json     what the clients saw, as pygmy-load prints it
#     latency.csv   the distribution of response times; series.csv: over time (not from wrk)
#     acks          lines `order-id item-id` of acknowledged purchases; marks: what happened when
#     tiers.csv     what frontends and workers say themselves (tiers.sh)
# and a line in $out/runs.list: folder operation cache loop clients rate.

driver_pid='' fault_pid='' runs_done=0

# (wrk prints its figures on SIGINT only.)
drive_stop() { if [[ -n $driver_pid ]]; then kill -INT "$driver_pid" 2>/dev/null || :; fi; }

drive_end() {
    local pid
    for pid in $driver_pid $fault_pid; do
        kill -TERM "$pid" 2>/dev/null || continue
        wait "$pid" || :
    done
    driver_pid='' fault_pid=''
}

# Which driver a run takes: drive_choose <operation> <rate>
drive_choose() {
    if [[ $driver != auto ]]; then
        printf '%s' "$driver"
    elif [[ $2 == 0 && ($1 == search || $1 == lookup) && -z $fault$marks && $zipf == 0 && ${#urls[@]} -eq 1 ]]; then
        printf wrk
    else
        printf pygmy-load
    fi
}

# drive <operation> <cache> <clients> <rate>; rate 0: closed loop. The operation may be after-write, too.
drive() {
    local operation=$1 cache=$2 clients=$3 rate=$4 name loop=closed who folder code=0
    if [[ $rate != 0 ]]; then loop=open; fi
    who=$(drive_choose "$operation" "$rate")
    runs_done=$((runs_done + 1))
    name=$(printf '%02d-%s-%s-%s%s' "$runs_done" "$operation" "$cache" "$clients" "$([[ $loop == closed ]] || printf -- '-%sps' "$rate")")
    folder=$out/runs/$name
    mkdir -p -- "$folder"
    tiers_read "$folder" before
    date +%s.%N >"$folder/began"
    drive_fault "$folder"
    "drive_${who//-/_}" "$folder" "$operation" "$cache" "$clients" "$rate" &
    driver_pid=$!
    # (An interrupted wait returns at once: the driver has been told, so it ends soon.)
    wait "$driver_pid" || code=$?
    while kill -0 "$driver_pid" 2>/dev/null; do wait "$driver_pid" || code=$?; done
    driver_pid=''
    if [[ -n $fault_pid ]]; then
        if [[ $interrupted == yes ]]; then kill -TERM "$fault_pid" 2>/dev/null || :; fi
        wait "$fault_pid" || say "the fault's command ended with status $?"
        fault_pid=''
    fi
    if [[ ! -s $folder/load.json ]]; then
        if [[ $interrupted == yes ]]; then rm -rf -- "$folder" && return; fi
        cat "$folder/driver.log" >&2
        if [[ $code -eq 3 ]]; then fail "$exit_unreachable" "${urls[0]} cannot be reached"; fi
        fail "$exit_local" "$who printed no figures (status $code)"
    fi
    tiers_read "$folder" after
    tiers_write "$folder"
    printf '%s %s %s %s %s %s\n' "$folder" "$operation" "$cache" "$loop" "$clients" "$rate" >>"$out/runs.list"
    drive_tell "$folder" "$name"
}

drive_tell() {
    if [[ $quiet == yes ]]; then return; fi
    jq -r --arg name "$2" '[.operations[].latency | select(.count > 0) | .mean_us * .count] as $sums |
        "\($name)\t\(.answers_per_second | floor)\t\(($sums | add // 0) / ([.operations[].latency.count] | add | if . == 0 then 1 else . end) / 10 | floor / 100)\t\(.failures)"' \
        "$1/load.json" | awk -F '\t' '{printf "  %-34s %9s/s   mean %9s ms%s\n", $1, $2, $3, ($4 > 0 ? "   " $4 " FAILED" : "")}' >&2
}

# Starts the fault's clock. What the command says goes to fault.log; a mark tells when it ran.
drive_fault() {
    local folder=$1
    if [[ -z $fault ]]; then return; fi
    # shellcheck disable=SC2016  # expanded by the inner shell
    LOADTEST_FOLDER=$folder bash -c '
        sleep "$1" & sleeper=$!
        trap "kill $sleeper 2>/dev/null; exit 143" TERM
        wait $sleeper
        if [[ -n $4 ]]; then printf "%s %s\n" "$(date +%s.%N)" "$4" >>"$3"; fi
        eval "$2"' fault "$fault_at" "$fault" "$folder/marks" "${fault_name-fault}" >"$folder/fault.log" 2>&1 </dev/null &
    fault_pid=$!
}

drive_pygmy_load() {
    local folder=$1 operation=$2 cache=$3 clients=$4 rate=$5 words=() url limit
    for url in "${urls[@]}"; do words+=(--url "$url"); done
    case $operation in
        mix) words+=(--mix "$mix") ;;
        after-write) words+=(--after-write) ;;
        *) words+=(--mix "$operation=1") ;;
    esac
    if [[ $cache == strict ]]; then words+=(--strict); fi
    if [[ $rate != 0 ]]; then words+=(--rate "$rate"); fi
    if [[ $poisson == yes ]]; then words+=(--poisson); fi
    if [[ -n $ca_file ]]; then words+=(--ca-file "$ca_file"); fi
    if [[ $quiet == no && ${seconds%.*} -ge 5 ]]; then words+=(--progress); fi
    limit=$(awk -v s="$seconds" -v t="$timeout_ms" 'BEGIN {print int(s + t / 1000 + 15)}')
    # Progress is for the eyes, all else of standard error for the log.
    exec timeout --kill-after=5 "$limit" "$bin/pygmy-load" "${words[@]}" --connections "$clients" --seconds "$seconds" --timeout-ms "$timeout_ms" \
        --items "$out/items" --topics "$out/topics" --zipf "$zipf" --series "$folder/series.csv" --interval-ms "$(awk -v s="$seconds" 'BEGIN {print s < 10 ? 100 : 250}')" --latency "$folder/latency.csv" \
        --acks "$folder/acks" >"$folder/load.json" 2> >(tee "$folder/driver.log" >&2)
}

drive_wrk() {
    local folder=$1 operation=$2 cache=$3 clients=$4 threads=2 limit
    if [[ $clients -lt 2 ]]; then threads=1; fi
    limit=$(awk -v s="$seconds" -v t="$timeout_ms" 'BEGIN {print int(s + t / 1000 + 15)}')
    LOADTEST_ITEMS=$out/items LOADTEST_TOPICS=$out/topics LOADTEST_FOLDER=$folder LOADTEST_OPERATION=$operation LOADTEST_CLIENTS=$clients \
        exec timeout --kill-after=5 "$limit" wrk -t "$threads" -c "$clients" -d "${seconds%.*}s" --timeout "$((timeout_ms / 1000 + 1))s" \
        -s "$parts/wrk.lua" "${urls[0]}" -- "$operation" "$cache" >"$folder/driver.log" 2>&1
}
