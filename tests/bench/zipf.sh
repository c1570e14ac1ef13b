# Sourced by the benchmarks: a load as a shop has it, and how many of its lookups the caches answer.
#
# zipf_run NAME ITEMS-FILE URL...
#   95 % lookups and 5 % purchases by 16 connections, spread over the frontends, for BENCH_ZIPF_SECONDS, of items whose n-th comes with weight 1/n
#   (Zipf's distribution with exponent 1, client/load/chance.h). Appends a row to $BENCH_CSV (the lookups' figures), and to $BENCH_DIR/zipf.csv
#   `name,lookups,purchases,hits,possible_hits`. At best a lookup can hit if its item was looked up at the same frontend before and not bought
#   since; pygmy-load counts that for the very requests that it sends (client/load/best.h). The caches hold none of the items at first.

zipf_items() { seq "${2:-1}" "$((${2:-1} + $1 - 1))"; }

zipf_run() {
  local name=$1 items=$2 url urls=()
  shift 2
  for url in "$@"; do urls+=(--url "$url"); done
  "$root/.build/release/bin/pygmy-load" "${urls[@]}" --mix lookup=95,buy=5 --zipf 1 --items "$items" --connections 16 \
    --seconds "$BENCH_ZIPF_SECONDS" --seed 1 >"$BENCH_DIR/$name.json"
  jq -r --arg name "$name" --arg round "$ROUND" '.seconds as $s | .operations.lookup | [$name, $round,
    (.requests / $s | round), .latency.p50_us, .latency.p99_us, .failures] | join(",")' "$BENCH_DIR/$name.json" >>"$BENCH_CSV"
  [ -s "$BENCH_DIR/zipf.csv" ] || echo 'name,lookups,purchases,hits,possible_hits' >"$BENCH_DIR/zipf.csv"
  jq -r --arg name "$name" '.operations | [$name, .lookup.requests, .buy.requests, .lookup.hits, .lookup.possible_hits] | join(",")' \
    "$BENCH_DIR/$name.json" >>"$BENCH_DIR/zipf.csv"
}

# zipf_row NAME LABEL: a line for the table.
zipf_row() {
  awk -F, -v name="$1" -v label="$2" '$1 == name {
    printf "%-42s %9.4f of the best possible %.4f: %.3f  (%d lookups, %d purchases, Zipf 1.0 over 100000 items)\n",
      label, $4 / $2, $5 / $2, $5 ? $4 / $5 : 0, $2, $3 }' "$BENCH_DIR/zipf.csv"
}
