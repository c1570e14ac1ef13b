# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # what coherencetest.sh knows
# What was tried, how often, and what came of it.

# Prints one reason per line why the test is not passed.
reasons() {
    local name
    jq -r --argjson wanted "$hits" --argjson ratio "$hit_ratio_wanted" '
        (select(.violations > 0) | "\(.violations) stale reads (see check.log)"),
        (select(.unexpected > 0) | "\(.unexpected) answers that make no sense (see check.log)"),
        (select(.hits < $wanted) | "\(.hits) cached reads instead of \($wanted)"),
        (select(.hit_ratio < $ratio) | "a hit ratio of \(.hit_ratio)"),
        (select(.writes == 0) | "nothing was written")' "$folder/check.json"
    for name in "${not_back[@]}"; do printf '%s did not come back\n' "$name"; done
}

# Sets `passed`, prints the result and keeps it.
print_verdict() {
    local why
    why=$(reasons)
    if [[ -n $why ]]; then passed=no; else passed=yes; fi
    jq -c --arg passed "$passed" --arg why "$why" --argjson network "$(network_counts)" --arg folder "$folder" \
        --argjson nodes "${#nodes[@]}" --argjson fences $(($(fences_logged) - fences_before)) --arg faults "$(printf '%s\n' "${done_faults[@]}")" '{
            passed: ($passed == "yes"), reasons: ($why | split("\n") | map(select(. != ""))), nodes: $nodes, fences: $fences,
            faults: ($faults | split("\n") | map(select(. != "")) | group_by(.) | map({(.[0]): length}) | add // {}),
            network: $network, check: ., folder: $folder}' "$folder/check.json" >"$folder/result.json"
    if [[ $form == json ]]; then cat "$folder/result.json" && return; fi
    jq -r '
        def grouped: tostring | [while(. != ""; .[:-3])] | map(.[-3:]) | reverse | join(",");
        def share($of): if $of > 0 then "\(1000 * . / $of | round / 10) %" else "0 %" end;
        "",
        "Coherence test: \(if .passed then "passed" else "NOT PASSED" end)",
        (.reasons[] | "  !             \(.)"),
        "  cluster       \(.nodes) nodes, \(.check.frontends) frontends; \(.check.readers) readers, \(.check.writers) writers, \(.check.things) items, seed \(.check.seed)",
        "  stale reads   \(.check.violations | grouped)",
        "  reads         \(.check.reads | grouped): \(.check.hits | grouped) hits (\(.check.hits | share($r.check.reads))), \(.check.misses | grouped) misses, \(.check.bypasses | grouped) past the cache without a lease, \(.check.strict_reads | grouped) strict",
        "                \(.check.said_stale | grouped) that said how old they may be, \(.check.read_failures | grouped) failed, \(.check.reads_abandoned | grouped) abandoned; \(.check.searches | grouped) searches, \(.check.not_modified | grouped) 304",
        "  writes        \(.check.writes | grouped) acknowledged, \(.check.writes_impatient | grouped) of impatient writers, \(.check.write_retries | grouped) tries again, \(.check.writes_given_up | grouped) given up",
        "  faults        \(if .faults == {} then "none" else .faults | to_entries | map("\(.value) x \(.key)") | join(", ") end); frontends were fenced \(.fences) times",
        (.network | select(. != null) |
            (.pushes_swallowed + .pushes_unanswered + .pushes_broken + .pushes_late) as $lost |
            "  pushes        \(.pushes | grouped), \($lost | grouped) lost (\($lost | share($r.network.pushes))): \(.pushes_swallowed | grouped) swallowed, \(.pushes_unanswered | grouped) unanswered, \(.pushes_broken | grouped) broken off, \(.pushes_late | grouped) late\(if .pushes_forged > 0 then "; \(.pushes_forged | grouped) FORGED" else "" end)",
            "  fills         \(.fills | grouped), \(.fills_held + .fills_trickled | grouped) slow: \(.fills_held | grouped) held back, \(.fills_trickled | grouped) in pieces; by seconds 0 to 5: \(.fill_delays | map(grouped) | join(", "))",
            "  leases        \(.leases | grouped) asked for, \(.leases_lost | grouped) lost, \(.leases_late | grouped) late"),
        "  files         \(.folder)"' --argjson r "$(<"$folder/result.json")" "$folder/result.json"
}
