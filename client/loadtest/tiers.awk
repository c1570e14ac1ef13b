# Sums the differences between metrics pages, given as pairs before.<tier>.<n> after.<tier>.<n>; see tiers.sh for what it prints.
# A process that started anew in between has counted from zero: then all that it counted is the difference.

function label(name,    at, rest) {
    at = index($0, name "=\"")
    if (!at) return ""
    rest = substr($0, at + length(name) + 2)
    return substr(rest, 1, index(rest, "\"") - 1)
}

# Which operation a line of a worker or frontend is about; "" when none.
function operation_of(    route) {
    route = label("operation")
    if (route == "") { route = label("route"); sub(/^\//, "", route) }
    return route ~ /^(search|lookup|buy)$/ ? route : ""
}

FNR == 1 {
    split(FILENAME, words, "/"); split(words[length(words)], name, ".")
    phase = name[length(name) - 2]; tier = name[length(name) - 1]
    if (phase == "before") delete before
}
/^#/ { next }
{ key = $0; sub(/ [^ ]*$/, "", key); value = $NF + 0; metric = $1; sub(/\{.*/, "", metric) }
phase == "before" { before[key] = value; next }
{
    value = before[key] + 0 <= value ? value - before[key] : value
    operation = metric ~ /push/ ? "push" : operation_of()
    if (operation == "" || value == 0) next
    at = tier SUBSEP operation
    if (metric ~ /^pygmy_(http|frontend)_requests_total$/) {
        requests[at] += value
        if (label("code") ~ /^5/) failures[at] += value
    } else if (metric ~ /^pygmy_((http|frontend)_request_duration|frontend_upstream_duration|push)_seconds_/) {
        if (metric ~ /upstream/) at = at SUBSEP "upstream"
        if (metric ~ /_sum$/) sum[at] += value
        if (metric ~ /_count$/) count[at] += value
        if (metric ~ /_bucket$/) {
            bound = label("le") == "+Inf" ? 1e9 : label("le") + 0
            buckets[at, bound] += value
            bounds[bound] = 1
        }
    }
}

# As Prometheus' histogram_quantile: evenly spread inside a bucket. In microseconds.
function quantile(at, share,    i, wanted, below, low) {
    if (!count[at]) return 0
    wanted = share * count[at]; below = 0; low = 0
    for (i = 1; i <= bound_count; i++) {
        if (buckets[at, sorted[i]] >= wanted && buckets[at, sorted[i]] > below) {
            if (sorted[i] >= 1e9) return low * 1e6
            return (low + (sorted[i] - low) * (wanted - below) / (buckets[at, sorted[i]] - below)) * 1e6
        }
        if (((at, sorted[i]) in buckets)) { below = buckets[at, sorted[i]]; low = sorted[i] }
        else if (sorted[i] < 1e9) low = sorted[i]
    }
    return low * 1e6
}

function mean(at) { return count[at] ? sum[at] / count[at] * 1e6 : 0 }

END {
    bound_count = 0
    for (bound in bounds) {
        for (i = bound_count; i > 0 && sorted[i] > bound + 0; i--) sorted[i + 1] = sorted[i]
        sorted[i + 1] = bound + 0; bound_count++
    }
    for (at in requests) {
        split(at, words, SUBSEP)
        printf "%s,%s,%d,%d,%.1f,%.1f,%.1f,%.1f\n", words[1], words[2], requests[at], failures[at], mean(at), quantile(at, 0.5),
            quantile(at, 0.99), mean(at SUBSEP "upstream")
    }
    at = "worker" SUBSEP "push"
    printf "%d,%.1f,%.1f,%.1f\n", count[at], mean(at), quantile(at, 0.5), quantile(at, 0.99) >pushes_file
}
