# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034
# The tables: results.csv, a row per run and operation, and what is printed of it.

readonly tables_columns=run,operation,cache,loop,clients,rate,requests,per_second,mean_us,p50_us,p90_us,p99_us,p999_us,max_us,hits,refused,failures,frontend_requests,frontend_mean_us,frontend_p50_us,frontend_p99_us,frontend_upstream_us,frontend_failures,worker_requests,worker_mean_us,worker_p50_us,worker_p99_us,worker_failures

# What a tier says of an operation, commas in front: requests, mean, p50, p99, (upstream,) failures. Empty where nothing is known.
tables_tier() {
    awk -F, -v tier="$2" -v operation="$3" '
        BEGIN { upstream = tier == "frontend" }
        $1 == tier && $2 == operation { found = 1; printf ",%s,%s,%s,%s%s,%s", $3, $5, $6, $7, upstream ? "," $8 : "", $4 }
        END { if (!found) printf upstream ? ",,,,,," : ",,,,," }' "$1/tiers.csv"
}

tables_csv() {
    local folder operation cache loop clients rate name row
    printf '%s\n' "$tables_columns"
    while read -r folder _ cache loop clients rate; do
        while IFS=$'\t' read -r name row; do
            printf '%s,%s,%s,%s,%s,%s,%s' "${folder##*/}" "$name" "$cache" "$loop" "$clients" "$rate" "$row"
            operation=$name
            if [[ $name == *_read ]]; then operation=lookup; fi
            tables_tier "$folder" frontend "$operation"
            tables_tier "$folder" worker "$operation"
            printf '\n'
        done < <(jq -r '.seconds as $s | .operations | to_entries[] | .key as $name | .value |
            [$name, ([.requests, (if $s > 0 then (.ends.done + .ends.refused) / $s * 10 | round / 10 else 0 end), (.latency.mean_us * 10 | round / 10),
             .latency.p50_us, .latency.p90_us, .latency.p99_us, .latency.p999_us, .latency.max_us, .hits, .ends.refused, .failures]
             | map(. // "" | tostring) | join(","))] | @tsv' "$folder/load.json")
    done <"$out/runs.list"
}

# How many requests failed in all runs.
tables_failures() {
    local folder sum=0
    if [[ ! -e $out/runs.list ]]; then printf 0 && return; fi
    while read -r folder _; do sum=$((sum + $(jq .failures "$folder/load.json"))); done <"$out/runs.list"
    printf '%d' "$sum"
}

tables_make() {
    if [[ ! -e $out/runs.list ]]; then : >"$out/runs.list"; fi
    tables_csv >"$out/results.csv"
}

tables_print() {
    tables_make
    awk -F, -f "$parts/tables.awk" "$out/results.csv"
    printf '\n'
    if [[ -n $books_text ]]; then printf '%s.\n' "${books_text%.}"; fi
    printf 'Figures%s: %s\n' "$([[ $plots == no ]] || printf ' and plots')" "$out"
}

tables_json() {
    tables_make
    jq -n -c --rawfile csv "$out/results.csv" --arg verdict "$books_verdict" --arg text "$books_text" --arg out "$out" \
        --argjson interrupted "$([[ $interrupted == yes ]] && printf true || printf false)" --argjson failures "$(tables_failures)" '
        ($csv | rtrimstr("\n") | split("\n") | map(split(","))) as $lines | $lines[0] as $names |
        {books: {verdict: $verdict, text: $text}, failures: $failures, interrupted: $interrupted, out: $out,
         runs: [$lines[1:][] | [$names, .] | transpose | map({(.[0]): (.[1] | if . == "" then null else (tonumber? // .) end)}) | add]}'
}
