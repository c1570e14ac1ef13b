# shellcheck shell=bash
# What a fault test concludes from what the traffic saw and from the comparison of the replicas.
# shellcheck disable=SC2154,SC2034  # what faulttest.sh knows of the round

# Prints, one per line, why the round in folder $1 did not pass; nothing when it did.
reasons_of() {
    if [[ -z $back_ms ]]; then printf '%s did not come back within %d s\n' "$target" $((back_limit_ms / 1000)); fi
    local may_wait=$leads
    if [[ $target == frontend || $signal == STOP ]]; then may_wait=yes; fi
    jq -r --arg may_wait "$may_wait" '
        (.reads | select(.failed > 0) | "\(.failed) reads failed: \(.failures)"),
        (.writes | select(.failed > 0 and $may_wait == "no") | "\(.failed) purchases failed: \(.failures)"),
        (.writes | select($may_wait == "yes") | .failures | to_entries[] | select(.key != "outcome_unknown" and .key != "no_quorum") | "\(.value) purchases failed: \(.key)"),
        (.purchases | select(.unanswered > 0) | "\(.unanswered) purchases never got an answer"),
        (.purchases | select(.different > 0) | "\(.different) purchases got different answers when asked for again"),
        (.purchases | select(.verified < .acknowledged + .refused) | "\(.acknowledged + .refused - .verified) purchases could not be asked for again"),
        (.purchases | select(.acknowledged == 0) | "nothing was bought")' "$1/traffic.json" || printf 'the traffic told no result\n'
    jq -r '.problems[]' "$1/compare.json"
}

# Judges the round in folder $1: adds to `results`, clears `passed`, and tells the verdict of the round.
judge_round() {
    local reasons
    reasons=$(reasons_of "$1")
    if [[ -n $reasons ]]; then passed=no; fi
    results+=("$(jq -c --slurpfile compare "$1/compare.json" --arg reasons "$reasons" --arg target "$target" --arg signal "$signal" --arg leads "$leads" \
        --arg back "$back_ms" --argjson down "$down_ms" --argjson round "$round" --arg folder "$1" '{
            round: $round, target: $target, signal: $signal, leader: ($leads == "yes"), passed: ($reasons == ""),
            reasons: ($reasons | split("\n") | map(select(. != ""))), down_ms: $down,
            caught_up_ms: (if $back == "" then null else ($back | tonumber) end), traffic: ., compare: $compare[0], folder: $folder}' "$1/traffic.json")")
    if [[ $form == text ]]; then show_round "${results[-1]}"; else show_round "${results[-1]}" >&2; fi
}

# Shows the result of a round, JSON, to people.
show_round() {
    jq -r '
        def grouped: tostring | [while(. != ""; .[:-3])] | map(.[-3:]) | reverse | join(",");
        def requests: "\(.requests | grouped) requests, \(.failed | grouped) failed\(if .failed > 0 then " \(.failures | tojson)" else "" end), longest stall \(.longest_stall_ms | grouped) ms, slowest \(.slowest_ms | grouped) ms";
        "",
        "Round \(.round): \(if .passed then "passed" else "NOT PASSED" end)",
        (.reasons[] | "  !               \(.)"),
        "  target          \(.target), \(if .signal == "KILL" then "killed" else "frozen" end) for \(.down_ms | grouped) ms\(if .leader then ", with etcd'"'"'s leader" else "" end)",
        "  reads           \(.traffic.reads | requests)",
        "  purchases       \(.traffic.writes | requests)",
        "  orders          \(.traffic.purchases.acknowledged | grouped) acknowledged, \(.traffic.purchases.refused | grouped) sold out, \(.traffic.purchases.unanswered | grouped) without an answer",
        "  asked again     \(.traffic.purchases.verified | grouped) purchases, through other replicas; \(.traffic.purchases.different | grouped) got another answer",
        "  caught up       \(if .caught_up_ms == null then "not" else "\(.caught_up_ms | grouped) ms after it was \(if .signal == "KILL" then "started" else "continued" end)" end)",
        "  replicas        \(.compare.nodes), \(.compare.verdict): index \(.compare.index | grouped), chain \(.compare.chain[:16]), \(.compare.items | grouped) items, \(.compare.orders | grouped) orders",
        "  details         \(.folder)"' <<<"$1"
}

# The result of all rounds.
print_result() {
    local verdict=passed all
    if [[ $passed == no ]]; then verdict='NOT PASSED'; fi
    all=$(printf '%s\n' "${results[@]}" | jq -sc --argjson seed "$seed" --arg folder "$folder" --arg logs "$cluster_folder" \
        '{verdict: (if all(.passed) then "passed" else "not_passed" end), seed: $seed, rounds: ., folder: $folder, logs: $logs}')
    printf '%s\n' "$all" >"$folder/result.json"
    if [[ $form == json ]]; then printf '%s\n' "$all" && return; fi
    jq -r --arg verdict "$verdict" '
        "", "Verdict: \($verdict), \([.rounds[] | select(.passed)] | length) of \(.rounds | length) rounds (seed \(.seed))",
        "  reads           \([.rounds[].traffic.reads.failed] | add) failed of \([.rounds[].traffic.reads.requests] | add), longest stall \([.rounds[].traffic.reads.longest_stall_ms] | max) ms",
        "  purchases       \([.rounds[].traffic.writes.failed] | add) failed of \([.rounds[].traffic.writes.requests] | add), longest stall \([.rounds[].traffic.writes.longest_stall_ms] | max) ms",
        "  caught up       after \([.rounds[].caught_up_ms // infinite] | max) ms at the latest",
        "  details         \(.folder)",
        "  logs            \(.logs)/*/logs"' <<<"$all"
}
