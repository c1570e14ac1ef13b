# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034
# What frontends and workers say of a run: the difference between their metrics before and after it.
#
# They count anyway, so a test asks for two pages per process and run and costs them nothing else. Who can't be asked is left out.

# Prints `tier url`, one per line.
tiers_list() {
    local url
    for url in ${metrics_urls//,/ }; do printf 'frontend %s\n' "$url"; done
    for url in ${catalog_urls//,/ } ${order_urls//,/ }; do printf 'worker %s\n' "$url"; done
}

# Keeps every metrics page: tiers_read <folder> before|after
tiers_read() {
    local tier url number=0
    while read -r tier url; do
        number=$((number + 1))
        curl -fsS --max-time 2 -o "$1/$2.$tier.$number" -- "$url/metrics" 2>>"$1/tiers.log" </dev/null ||
            rm -f -- "$1/$2.$tier.$number"
    done < <(tiers_list)
}

# tiers.csv: tier,operation,requests,failures,mean_us,p50_us,p99_us,upstream_mean_us. And pushes.csv, of the workers: what the
# coherence of the cache costs a write: pushes,mean_us,p50_us,p99_us.
tiers_write() {
    local file before pairs=()
    for file in "$1"/after.*; do
        before=$1/before.${file##*/after.}
        if [[ -e $file && -e $before ]]; then pairs+=("$before" "$file"); fi
    done
    if [[ ${#pairs[@]} -gt 0 ]]; then
        awk -v pushes_file="$1/pushes.csv" -f "$parts/tiers.awk" "${pairs[@]}" >"$1/tiers.csv"
    else
        : >"$1/tiers.csv" >"$1/pushes.csv"
    fi
    rm -f -- "$1"/before.* "$1"/after.*
}
