# Sourced by bench.sh: runs wrk and keeps its figures.
#
# run_wrk NAME CONNECTIONS SCRIPT URL [ARG...]
#   drives URL for BENCH_SECONDS with 2 threads (1 for a single connection), prints a progress line, and appends
#   `name,round,requests/s,median us,p99 us,failures` to $BENCH_CSV. A run in which anything failed is named.

run_wrk() {
  local name=$1 connections=$2 script=$3 url=$4 threads=2 combined figures
  shift 4
  if [ "$connections" -lt 2 ]; then threads=1; fi
  combined=$BENCH_DIR/$name.lua
  cat "$BENCH_SOURCE/$script" "$BENCH_SOURCE/report.lua" >"$combined"
  figures=$(wrk -t "$threads" -c "$connections" -d "${BENCH_SECONDS}s" --timeout 10s --latency -s "$combined" "$url" -- "$@" \
    2>"$BENCH_DIR/wrk.err" | sed -n 's/^FIGURES //p')
  if [ -z "$figures" ]; then
    echo "bench: wrk printed no figures for $name ($url):" >&2
    cat "$BENCH_DIR/wrk.err" >&2
    return 1
  fi
  read -r rate median p99 failures <<<"$figures"
  printf '%s,%s,%s,%s,%s,%s\n' "$name" "$ROUND" "$rate" "$median" "$p99" "$failures" >>"$BENCH_CSV"
  printf '  round %s  %-28s %9s/s   median %7s us   p99 %8s us%s\n' "$ROUND" "$name" "$rate" "$median" "$p99" \
    "$([ "$failures" = 0 ] || echo "   $failures FAILED")"
}

# The median of column COLUMN (3 rate, 4 median, 5 p99) over the rounds of NAME.
median_of() {
  awk -F, -v name="$1" -v column="$2" '$1 == name { print $column }' "$BENCH_CSV" | sort -n |
    awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# The median over the rounds of rate(A) / rate(B), round by round: both stand under the same noise.
ratio_of() {
  awk -F, -v a="$1" -v b="$2" '$1 == a { x[$2] = $3 } $1 == b { y[$2] = $3 } END { for (r in x) if (y[r]) print x[r] / y[r] }' \
    "$BENCH_CSV" | sort -n | awk '{ v[NR] = $1 } END { if (NR) printf "%.2f", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}
