# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034
# The report: three questions about a replicated, caching store, answered with figures. One command measures and writes it again.
#
# The runs are named by what they are for; their figures are taken from the same files as the tables'.

readonly report_rate=1000 report_fault_seconds=12

report_make() {
    local code=0
    books_open
    report_measure
    if [[ $interrupted == yes ]]; then return "$exit_interrupted"; fi
    books_check || code=$exit_failed
    tables_make
    plots_draw
    report_write
    say "The report is in $report_file"
    return "$code"
}

report_measure() {
    local wanted_fault=$fault
    loop_seconds=$seconds
    fault='' caches=(cached strict)
    operations=(search lookup) rates=(0)
    run_all
    operations=(mix) rates=("$report_rate") clients_list=(64)
    run_all
    after_write=$out/runs/$(printf '%02d' $((runs_done + 1)))-after-write-cached-1
    if [[ $interrupted == no ]]; then drive after-write cached 1 0; fi
    fault=$wanted_fault
    if [[ -z $fault && -n $catalog_urls && -n $order_urls ]]; then
        # (Its own marks are finer than one at its beginning.)
        fault="$(printf '%q %q %q' "$parts/crash.sh" "${catalog_urls%%,*}" "${order_urls%%,*}") >>\"\$LOADTEST_FOLDER/marks\""
        fault_name=''
    fi
    crash=
    if [[ $interrupted == yes || -z $fault ]]; then return; fi
    crash=$out/runs/$(printf '%02d' $((runs_done + 1)))-mix-cached-64-${report_rate}ps
    seconds=$report_fault_seconds fault_at=4
    drive mix cached 64 "$report_rate"
}

# ---- words and figures ---------------------------------------------------------------------------

# Microseconds as milliseconds: three digits that count.
report_ms() { awk -v us="$1" 'BEGIN {printf us < 10000 ? "%.3f" : us < 100000 ? "%.2f" : "%.0f", us / 1000}'; }

# A figure of results.csv: report_figure <operation> <cache> <clients> <rate> <column>, of the run for this operation alone.
report_figure() {
    awk -F, -v operation="$1" -v cache="$2" -v clients="$3" -v rate="$4" -v column="$5" '
        NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        $at["operation"] == operation && $at["cache"] == cache && $at["clients"] == clients && $at["rate"] == rate && $at["run"] !~ crash {
            if (rate != 0 || $at["run"] ~ ("-" operation "-")) { print $at[column]; exit }
        }' crash="${crash##*/}" "$out/results.csv"
}

report_ratio() { awk -v a="$1" -v b="$2" 'BEGIN {if (b > 0) printf "%.1f", a / b; else printf "-"}'; }

# Latency of an operation in a run: report_latency <folder> <operation> <member>
report_latency() { jq -r --arg operation "$2" --arg member "$3" '.operations[$operation].latency[$member] // 0' "$1/load.json"; }

report_how() {
    local cores
    cores=$(nproc)
    printf 'Measured on %s with %s processors and %s GiB of memory, ' "$(uname -m)" "$cores" \
        "$(awk '/^MemTotal/ {printf "%.0f", $2 / 1048576}' /proc/meminfo)"
    if [[ -n $own_folder ]]; then
        printf 'with the store, its disk and the clients that ask it all on that machine, so that they compete with each other'
    else
        printf 'against %s' "${urls[*]}"
    fi
    printf '. The store had %s items. Compare figures of one report with each other, not with those of another machine.\n' "$(wc -l <"$out/items")"
}

report_caching() {
    local operation clients cached strict
    cat <<TEXT
## What does caching bring?

Each client asks again as soon as it has its answer (closed loop, $loop_seconds s per row). *No cache*: the same requests with
\`X-Pygmy-Consistency: strict\`, which go past the frontend's cache to a worker and its database.

| | clients | average, cache | average, no cache | times | median, cache | median, no cache | times | per second, cache | per second, no cache | times |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
TEXT
    for operation in search lookup; do
        for clients in 1 4 16 64; do
            cached=$(report_figure "$operation" cached "$clients" 0 mean_us) strict=$(report_figure "$operation" strict "$clients" 0 mean_us)
            printf '| %s | %s | %s ms | %s ms | %s ' "$operation" "$clients" "$(report_ms "$cached")" "$(report_ms "$strict")" "$(report_ratio "$strict" "$cached")"
            cached=$(report_figure "$operation" cached "$clients" 0 p50_us) strict=$(report_figure "$operation" strict "$clients" 0 p50_us)
            printf '| %s ms | %s ms | %s ' "$(report_ms "$cached")" "$(report_ms "$strict")" "$(report_ratio "$strict" "$cached")"
            cached=$(report_figure "$operation" cached "$clients" 0 per_second) strict=$(report_figure "$operation" strict "$clients" 0 per_second)
            printf '| %.0f | %.0f | %s |\n' "$cached" "$strict" "$(report_ratio "$cached" "$strict")"
        done
    done
    cat <<TEXT

![lookup against the number of clients]($figures/clients-lookup.png)

![how long lookups took]($figures/latency-lookup.png)

With purchases in between, which outdate what is cached: a mix ($mix) at a fixed rate of $report_rate requests per second, response times
counted from the moment at which each request was meant to start.

| | hits | average, cache | average, no cache | median, cache | median, no cache | p99, cache | p99, no cache |
|---|---:|---:|---:|---:|---:|---:|---:|
TEXT
    for operation in search lookup buy; do
        printf '| %s | %s | %s ms | %s ms | %s ms | %s ms | %s ms | %s ms |\n' "$operation" \
            "$(if [[ $operation == buy ]]; then printf -- '-'; else
                awk -v h="$(report_figure "$operation" cached 64 "$report_rate" hits)" -v n="$(report_figure "$operation" cached 64 "$report_rate" requests)" \
                    'BEGIN {printf "%.0f %%", n ? 100 * h / n : 0}'
            fi)" "$(report_ms "$(report_figure "$operation" cached 64 "$report_rate" mean_us)")" \
            "$(report_ms "$(report_figure "$operation" strict 64 "$report_rate" mean_us)")" \
            "$(report_ms "$(report_figure "$operation" cached 64 "$report_rate" p50_us)")" \
            "$(report_ms "$(report_figure "$operation" strict 64 "$report_rate" p50_us)")" \
            "$(report_ms "$(report_figure "$operation" cached 64 "$report_rate" p99_us)")" \
            "$(report_ms "$(report_figure "$operation" strict 64 "$report_rate" p99_us)")"
    done
}

report_consistency() {
    local pushes push_mean push_p50 push_p99 buy first next step name
    IFS=, read -r pushes push_mean push_p50 push_p99 <"$after_write/pushes.csv" || pushes=0
    : "${pushes:=0}"
    buy=$(report_latency "$after_write" buy mean_us) first=$(report_latency "$after_write" first_read mean_us) next=$(report_latency "$after_write" next_read mean_us)
    cat <<TEXT

## What does consistency of the cache cost?

One client buys a copy of an item, reads the item as soon as the purchase is acknowledged, and reads it again. The first read never finds
the outdated answer: the write has given the item's slot a new revision at the frontend, under which nothing is cached yet, so
it is answered by a worker. From then on the new answer is cached.

| | average | median | p99 | from the cache |
|---|---:|---:|---:|---:|
TEXT
    for step in buy first_read next_read; do
        case $step in buy) name='the purchase' ;; first_read) name='first read after it' ;; *) name='next read' ;; esac
        printf '| %s | %s ms | %s ms | %s ms | %s |\n' "$name" "$(report_ms "$(report_latency "$after_write" "$step" mean_us)")" \
            "$(report_ms "$(report_latency "$after_write" "$step" p50_us)")" "$(report_ms "$(report_latency "$after_write" "$step" p99_us)")" \
            "$(jq -r --arg step "$step" '.operations[$step] | if $step == "buy" then "-" else "\(100 * .hits / .requests | round) %" end' "$after_write/load.json")"
    done
    printf '\nThe first read after a write costs %s times a read from the cache, once per write and frontend.\n' "$(report_ratio "$first" "$next")"
    if [[ $pushes -gt 0 ]]; then
        printf 'On a write, consistency costs the push to the frontends before the acknowledgement: %s ms on average, %s ms at the median and %s ms at p99\n' \
            "$(report_ms "$push_mean")" "$(report_ms "$push_p50")" "$(report_ms "$push_p99")"
        printf '(%d pushes, as the workers counted them), which is %s %% of the average purchase of this run.\n' "$pushes" \
            "$(awk -v p="$push_mean" -v b="$buy" 'BEGIN {printf "%.0f", 100 * p / b}')"
    else
        printf 'What the push before the acknowledgement costs a write is known to the workers, whose metrics could not be read.\n'
    fi
}

# Figures of the crash, from its series: sums and extremes before, during and after.
report_crash_rows() {
    local killed=$1 ready=$2
    awk -F, -v killed="$killed" -v ready="$ready" '
        NR == 1 { next }
        { width = $1 - last; last = $1 }
        { part = $1 < killed - 0.1 ? "before" : $1 <= ready + 0.4 ? "during" : "after" }
        { n[part]++; answers[part] += $2; failures[part] += $3; if ($5 > p99[part]) p99[part] = $5; if ($6 > max[part]) max[part] = $6; p50[part] += $4 }
        END {
            split("before during after", parts, " ")
            for (i = 1; i <= 3; i++) {
                part = parts[i]
                if (n[part]) printf "| %s | %.0f | %.0f | %.2f ms | %.2f ms | %.0f ms |\n", part, answers[part] / n[part], failures[part] / n[part],
                    p50[part] / n[part] / 1000, p99[part] / 1000, max[part] / 1000
            }
        }' "$crash/series.csv"
}

report_crash() {
    local marks_text killed='' ready='' at text what='a fault is injected'
    printf '\n## What do a crash and the recovery look like from outside?\n\n'
    if [[ -z $crash ]]; then
        printf 'Not measured: no fault was given (--fault), and the workers of this store are not reachable.\n'
        return
    fi
    marks_text=$(plots_marks "$crash")
    while read -r at text; do
        : "${killed:=$at}"
        ready=$at
    done <<<"$marks_text"
    if [[ $fault_name == '' && $fault == *crash.sh* ]]; then what='one of the two catalog workers and one of the two order workers are killed (kill -9)'; fi
    cat <<TEXT
The mix at $report_rate requests per second (open loop). After $fault_at s $what.

| | answers per second | failures per second | median | slowest p99 of a stretch | slowest request |
|---|---:|---:|---:|---:|---:|
$(report_crash_rows "$killed" "$ready")

TEXT
    while read -r at text; do printf -- '* %s s: %s\n' "$at" "$text"; done <<<"$marks_text"
    printf '\nIn all %s of %s requests failed' "$(jq .failures "$crash/load.json")" "$(jq .requests "$crash/load.json")"
    jq -r '[.operations[].ends | to_entries[]] | group_by(.key) | map({key: .[0].key, value: (map(.value) | add)}) |
        map(select(.value > 0 and .key != "done" and .key != "refused")) | if length == 0 then "." else " (" + (map("\(.value) \(.key)") | join(", ")) + ")." end' "$crash/load.json"
    if [[ $ready != "$killed" ]]; then
        printf 'Killed workers were ready again after %s s.\n' "$(awk -v a="$killed" -v b="$ready" 'BEGIN {printf "%.2f", b - a}')"
    fi
    printf '\n![throughput and response times while workers are killed](%s/time-crash.png)\n' "$figures"
}

report_write() {
    local figures
    figures=$(basename -- "$report_file" .md | tr '[:upper:]' '[:lower:]')-figures
    mkdir -p -- "$(dirname -- "$report_file")/$figures"
    cp -- "$out/clients-lookup.png" "$out/latency-lookup.png" "$(dirname -- "$report_file")/$figures/" 2>>"$out/plots.log" || :
    if [[ -n $crash ]]; then cp -- "$out/time-${crash##*/}.png" "$(dirname -- "$report_file")/$figures/time-crash.png" 2>>"$out/plots.log" || :; fi
    {
        # shellcheck disable=SC2016
        printf '# Three questions about a replicated store\n\nWritten by `client/loadtest.sh --report`, which measures everything again. '
        report_how
        printf '\n'
        report_caching
        report_consistency
        report_crash
        printf '\n## Do the books add up?\n\n%s.\n' "${books_text:-They were not checked: the orders of this store can not be asked for}"
    } >"$report_file.new"
    mv -f -- "$report_file.new" "$report_file"
}
