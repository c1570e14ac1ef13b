# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034
# The plots, as SVG and PNG:
#     latency-<operation>     the distribution of response times, of every run
#     clients-<operation>     response time and throughput against the number of clients, where there are several
#     time-<run>              throughput, failures and response times over time, with what happened meanwhile

readonly plots_colours=('#4477aa' '#cc6677' '#228833' '#aa3377' '#ccbb44' '#66ccee' '#888888' '#222222')

# Draws one: plots_draw_one <name> <width,height> <<<gnuplot's commands
plots_draw_one() {
    local format commands
    commands=$(cat)
    for format in svg png; do
        {
            printf "set terminal %s size %s background 'white'\nset output '%s.%s'\n" "${format/png/pngcairo}" "$2" "$out/$1" "$format"
            printf '%s\n' "set datafile separator ','" 'set grid linecolor rgb "#dddddd"' 'set key outside below' 'set rmargin 4' 'set lmargin 11' "$commands"
        } >"$out/plots.gnuplot"
        gnuplot "$out/plots.gnuplot" 2>>"$out/plots.log" || say "a plot could not be drawn: $1 (see $out/plots.log)"
    done
}

# How a run is called in a plot.
plots_title() {
    local cache=$1 loop=$2 clients=$3 rate=$4 operation=$5 text="$3 clients"
    if [[ $clients == 1 ]]; then text='1 client'; fi
    if [[ $loop == open ]]; then text="$rate/s"; fi
    if [[ $operation != buy ]]; then text="$([[ $cache == strict ]] && printf 'no cache' || printf cache), $text"; fi
    printf '%s' "$text"
}

# The distribution of a run's operation as `1/(1-share) ms`: plots_percentiles <latency.csv> <operation> <file>
plots_percentiles() {
    awk -F, -v operation="$2" '
        $1 == operation && $2 == from { n++; up[n] = $3; count[n] = $4; sum += $4 }
        $1 == operation && from == "" { from = $2; n = 1; up[1] = $3; count[1] = $4; sum = $4 }
        END {
            for (i = 1; i <= n; i++) {
                seen += count[i]
                x = seen < sum ? sum / (sum - seen) : 2 * sum
                printf "%.4f,%.4f\n", x, (up[i] > 0 ? up[i] : 1) / 1000
            }
        }' "$1" >"$3"
}

plots_latency() {
    local operation=$1 folder name cache loop clients rate lines='' number=0 data
    while read -r folder name cache loop clients rate; do
        if ! grep -q "^$operation," "$folder/latency.csv"; then continue; fi
        data=$folder/percentiles-$operation.csv
        plots_percentiles "$folder/latency.csv" "$operation" "$data"
        lines+="${lines:+, }'$data' using 1:2 with steps linewidth 2 linecolor rgb '${plots_colours[number % 8]}' title '$(plots_title "$cache" "$loop" "$clients" "$rate" "$operation")$([[ $name == "$operation" ]] || printf ' (%s)' "$name")'"
        number=$((number + 1))
    done <"$out/runs.list"
    if [[ -z $lines ]]; then return; fi
    plots_draw_one "latency-$operation" 900,600 <<PLOT
set title 'Response times of $operation: so much of the requests took at most so long'
set logscale xy
set xlabel 'share of the requests'
set xtics ('50 %%' 2, '90 %%' 10, '99 %%' 100, '99.9 %%' 1000, '99.99 %%' 10000, '99.999 %%' 100000)
set xrange [1:*]
set ylabel 'milliseconds'
plot $lines
PLOT
}

plots_clients() {
    local operation=$1 cache data title left='' right='' number=0 count
    for cache in "${caches[@]}"; do
        data=$out/clients-$operation-$cache.csv
        awk -F, -v operation="$operation" -v cache="$cache" '
            NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
            $column["operation"] == operation && $column["cache"] == cache && $column["loop"] == "closed" && $column["run"] ~ ("-" operation "-") {
                print $column["clients"] "," $column["mean_us"] / 1000 "," $column["p99_us"] / 1000 "," $column["per_second"]
            }' "$out/results.csv" | sort -t, -n >"$data"
        count=$(wc -l <"$data")
        if [[ $count -lt 2 ]]; then continue; fi
        title=$([[ $cache == strict ]] && printf 'no cache: ' || printf 'cache: ')
        if [[ $operation == buy ]]; then title=''; fi
        left+="${left:+, }'$data' using 1:2 with linespoints linewidth 2 pointtype 7 linecolor rgb '${plots_colours[number]}' title '${title}average'"
        left+=", '' using 1:3 with linespoints linewidth 2 dashtype 2 pointtype 6 linecolor rgb '${plots_colours[number]}' title '${title}99th percentile'"
        right+="${right:+, }'$data' using 1:4 with linespoints linewidth 2 pointtype 7 linecolor rgb '${plots_colours[number]}' title '${title}throughput'"
        number=$((number + 1))
    done
    if [[ -z $left ]]; then return; fi
    plots_draw_one "clients-$operation" 900,760 <<PLOT
set multiplot layout 2,1 title '$operation against the number of clients (closed loop)'
set logscale xy
set xlabel 'clients'
set xtics (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
set ylabel 'response time, ms'
plot $left
set ylabel 'requests per second'
plot $right
unset multiplot
PLOT
}

# The marks of a run as `seconds text`, relative to its begin.
plots_marks() {
    local folder=$1 began
    began=$(<"$folder/began")
    cat "$folder/marks" ${marks:+"$marks"} 2>/dev/null |
        awk -v began="$began" -v end="$(awk -v s="$seconds" 'BEGIN {print s * 1.5}')" \
            'NF { at = $1 > 1e8 ? $1 - began : $1; $1 = ""; sub(/^ /, ""); gsub(/[\x27"\\@{}^_]/, " "); if (at >= 0 && at <= end) printf "%.2f %s\n", at, substr($0, 1, 60) }' || :
}

plots_time() {
    local folder=$1 title=$2 name=${1##*/} at text labels='' arrows='' number=0
    if [[ ! -s $folder/series.csv ]]; then return; fi
    while read -r at text; do
        arrows+="set arrow from $at, graph 0 to $at, graph 1 nohead linewidth 1.5 dashtype 2 linecolor rgb '#aa3377'"$'\n'
        # One below the other, so that those of the same moment can be read.
        labels+="set label '$text' at $at, graph $(awk -v n="$number" 'BEGIN {print 0.95 - n % 8 * 0.08}') left offset 0.5,0 front textcolor rgb '#aa3377'"$'\n'
        number=$((number + 1))
    done < <(plots_marks "$folder")
    plots_draw_one "time-$name" 1000,760 <<PLOT
set multiplot layout 2,1 title '$title'
set xlabel 'seconds'
set xrange [0:*]
set ylabel 'per second'
set yrange [0:*]
$arrows$labels
plot '$folder/series.csv' using 1:2 every ::1 with steps linewidth 2 linecolor rgb '#4477aa' title 'answers', '' using 1:3 every ::1 with steps linewidth 2 linecolor rgb '#cc6677' title 'failures'
unset label
set ylabel 'response time, ms'
set logscale y
set yrange [*:*]
plot '$folder/series.csv' using 1:(\$4 > 0 ? \$4 / 1000 : NaN) every ::1 with steps linewidth 2 linecolor rgb '#228833' title 'median', '' using 1:(\$5 > 0 ? \$5 / 1000 : NaN) every ::1 with steps linewidth 2 linecolor rgb '#ccbb44' title '99th percentile', '' using 1:(\$6 > 0 ? \$6 / 1000 : NaN) every ::1 with points pointtype 7 pointsize 0.5 linecolor rgb '#888888' title 'slowest'
unset multiplot
PLOT
}

plots_draw() {
    local operation folder cache loop clients rate
    if [[ ! -s $out/runs.list ]]; then return; fi
    say "Drawing"
    tables_make
    for operation in search lookup buy first_read next_read; do
        plots_latency "$operation"
        plots_clients "$operation"
    done
    while read -r folder operation cache loop clients rate; do
        plots_time "$folder" "$operation: $(plots_title "$cache" "$loop" "$clients" "$rate" "$operation")"
    done <"$out/runs.list"
    rm -f -- "$out/plots.gnuplot"
}
