# Checks a text for Prometheus (format 0.0.4): every line well-formed, every sample of a family with HELP and TYPE before it, every
# histogram with buckets that grow to +Inf = its count. Prints what is wrong; exits with 1 then.

function wrong(why) { printf "line %d: %s: %s\n", NR, why, $0; bad = 1 }

function family_of(name, base) {
    base = name
    if (!(base in type)) sub(/_(bucket|sum|count)$/, "", base)
    return base
}

function series_of(labels) { sub(/,?le="[^"]*"/, "", labels); sub(/^\{\}$/, "", labels); return labels }

/^# HELP / { if ($3 in help) wrong("HELP twice"); if (NF < 4) wrong("HELP without text"); help[$3] = 1; next }
/^# TYPE / {
    if ($3 in type) wrong("TYPE twice")
    if ($4 !~ /^(counter|gauge|histogram)$/) wrong("unknown TYPE")
    type[$3] = $4
    next
}
{
    number = "[-+]?([0-9]+(\\.[0-9]*)?([eE][-+]?[0-9]+)?|Inf|NaN)"
    label = "[a-zA-Z_][a-zA-Z0-9_]*=\"([^\"\\\\]|\\\\.)*\""
    if ($0 !~ "^[a-zA-Z_:][a-zA-Z0-9_:]*(\\{" label "(," label ")*\\})? " number "$") { wrong("malformed"); next }
    name = $0; sub(/[{ ].*/, "", name)
    labels = ""; if ($0 ~ /\{/) { labels = $0; sub(/^[^{]*/, "", labels); sub(/\} .*/, "}", labels) }
    family = family_of(name); value = $NF; samples++
    if (!(family in help) || !(family in type)) wrong("sample without HELP and TYPE")
    if (name labels in seen) wrong("sample twice")
    seen[name labels] = 1
    if (type[family] == "counter" && name !~ /_total$/) wrong("counter without _total")
    if (type[family] != "histogram") next
    series = family series_of(labels)
    if (name ~ /_bucket$/) {
        if (value + 0 < last[series] + 0) wrong("buckets must grow")
        last[series] = value
        if (labels ~ /le="\+Inf"/) infinite[series] = value
    } else if (name ~ /_count$/) {
        if (!(series in infinite) || infinite[series] != value) wrong("count is not the bucket +Inf")
        counted[series] = 1
    } else if (name ~ /_sum$/) {
        summed[series] = 1
    } else wrong("no part of a histogram")
}
END {
    for (series in last) if (!(series in counted) || !(series in summed)) { printf "%s lacks _sum or _count\n", series; bad = 1 }
    if (samples < 10) { print "too few samples: " samples; bad = 1 }
    exit bad
}
