# Sourced by bench.sh: the table of results, its CSV, and the plots.

# row NAME LABEL BASE TARGET-TEXT: one line of the table; BASE is what the ratio is taken to.
row() {
  local rate median p99 ratio
  rate=$(median_of "$1" 3)
  median=$(median_of "$1" 4)
  p99=$(median_of "$1" 5)
  ratio=$(ratio_of "$1" "$3")
  printf '%-42s %10.0f %10.0f %10.0f   %6s of %-22s %s\n' "$2" "$rate" "$median" "$p99" "${ratio:-}" "$3" "$4"
  printf '%s,%s,%s,%s,%s,%s\n' "$1" "$rate" "$median" "$p99" "${ratio:-}" "$3" >>"$BENCH_DIR/summary.csv"
}

print_table() {
  echo 'operation,requests_per_second,median_us,p99_us,ratio,ratio_to' >"$BENCH_DIR/summary.csv"
  printf '\n%-42s %10s %10s %10s   %-32s %s\n' '' 'per second' 'median us' 'p99 us' 'ratio (median of rounds)' 'goal'
  row small-return-200 "nginx: return 200, same bytes" small-return-200 ''
  row small-lookup-cached "lookup, cached" small-return-200 'ratio >= 0.85'
  row small-lookup-uncached "lookup, uncached" small-return-200 'ratio >= 0.25'
  row small-buy-16 "durable buy, one hot item, 16 connections" small-return-200 '>= 10000/s'
  row small-buy-1 "durable buy, one hot item, 1 connection" small-return-200 '>= 3000/s'
  echo "with $BENCH_ITEMS items and $BENCH_ORDERS orders:"
  row large-return-200 "nginx: return 200, same bytes" small-return-200 '(the noise)'
  row large-lookup-cached "lookup, cached" small-lookup-cached 'ratio >= 0.75'
  row large-lookup-uncached "lookup, uncached" small-lookup-uncached 'ratio >= 0.75'
  row large-buy-16 "durable buy, one hot item, 16 connections" small-buy-16 'ratio >= 0.75'
  row large-buy-1 "durable buy, one hot item, 1 connection" small-buy-1 'ratio >= 0.75'
  row large-lookup-cached-spread "lookup, cached, 10000 items" large-lookup-cached ''
  row large-lookup-uncached-spread "lookup, uncached, all items" large-lookup-uncached ''
  row large-buy-16-spread "durable buy, all items, 16 connections" large-buy-16 ''
  zipf_row zipf-1 'lookups that hit, one frontend'
  printf '\none sync of this disk, behind a commit of one purchase: %s us before, %s us after the rounds above\n' "$SYNC_BEFORE_US" "$SYNC_AFTER_US"
  printf 'import of %s items: %s ms   ready after start (installing included): %s ms   memory after start (PSS): %s KiB, goal < 61440\n' \
    "$BENCH_ITEMS" "$IMPORT_MS" "$READY_MS" "$(awk '{ sum += $2 } END { print sum }' "$BENCH_DIR/memory.txt")"
}

draw_plots() {
  local format
  for format in svg png; do
    gnuplot <<PLOT
set terminal $format size 1000,560 $([ "$format" = svg ] && echo 'dynamic background "white"')
set output '$BENCH_DIR/throughput.$format'
set datafile separator ','
set title 'Requests per second, median of the rounds (small: seven books, large: with all items and orders)'
set style data histograms
set style histogram clustered gap 0.5
set rmargin 6
set style fill solid 0.8 border -1
set logscale y
set yrange [100:*]
set ylabel 'requests/s'
set grid ytics
set xtics rotate by -30 font ',10'
unset key
plot '$BENCH_DIR/summary.csv' using 2:xtic(1) every ::1 linecolor rgb '#4477aa'
set output '$BENCH_DIR/latency.$format'
set title 'Latency (median and 99th percentile)'
set ylabel 'microseconds'
set yrange [10:*]
set key top left
plot '$BENCH_DIR/summary.csv' using 3:xtic(1) every ::1 title 'median' linecolor rgb '#4477aa', '' using 4 every ::1 title 'p99' linecolor rgb '#cc6677'
PLOT
  done
}
