# Prints results.csv as one table per operation: average response time first, as the reports of old had it, then the
# distribution, throughput and failures, and what each tier says of the same requests. Times in milliseconds.

function ms(us) {
    if (us == "") return "-"
    return us < 1000 ? sprintf("%.3f", us / 1000) : us < 100000 ? sprintf("%.2f", us / 1000) : sprintf("%.0f", us / 1000)
}
function or_dash(text) { return text == "" ? "-" : text }

NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
{
    operation = $column["operation"]
    if (!(operation in rows)) order[++operations] = operation
    how = $column["clients"] + 0 == 1 ? "1 client" : $column["clients"] " clients"
    if ($column["loop"] == "open") how = $column["rate"] "/s, " how
    if (operation != "buy") how = ($column["cache"] == "strict" ? "no cache, " : "cache, ") how
    if ($column["run"] ~ /-mix-/) how = "mix: " how
    hits = $column["hits"]
    row = sprintf("  %-32s %9.0f %9s %9s %9s %9s %9s %6s %8s %8d", how, $column["per_second"], ms($column["mean_us"]), ms($column["p50_us"]),
        ms($column["p90_us"]), ms($column["p99_us"]), ms($column["max_us"]),
        hits == "" || operation == "buy" ? "-" : sprintf("%.0f%%", $column["requests"] ? 100 * hits / $column["requests"] : 0), $column["refused"],
        $column["failures"])
    tiers = sprintf("  %-32s %9s | %9s %9s %9s %8s | %9s %9s %9s %8s", how, ms($column["mean_us"]), ms($column["frontend_mean_us"]),
        ms($column["frontend_p99_us"]), ms($column["frontend_upstream_us"]), or_dash($column["frontend_failures"]), or_dash($column["worker_requests"]),
        ms($column["worker_mean_us"]), ms($column["worker_p99_us"]), or_dash($column["worker_failures"]))
    rows[operation] = rows[operation] row "\n"
    tier_rows[operation] = tier_rows[operation] tiers "\n"
}
END {
    for (i = 1; i <= operations; i++) {
        operation = order[i]
        printf "\n%-34s %9s %9s %9s %9s %9s %9s %6s %8s %8s\n", toupper(operation) " (ms)", "per s", "average", "median", "p90", "p99", "max", "hits",
            "refused", "failed"
        printf "%s", rows[operation]
        printf "%-34s %9s | %9s %9s %9s %8s | %9s %9s %9s %8s\n", "  tier by tier", "client", "frontend", "p99", "its wait", "failed", "to worker",
            "worker", "p99", "failed"
        printf "%s", tier_rows[operation]
    }
}
