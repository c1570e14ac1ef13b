#!/usr/bin/env bash
# The benchmark: how fast the store is, beside what nginx alone can do on this machine, all in one run.
#
#   tests/bench/bench.sh [--quick]
#
# Starts a store of its own (own folder, own ports), measures it with the seven books, then with a million items and a million
# orders, and prints a table with ratios. The figures also go to .build/bench/: figures.csv (every run), summary.csv,
# and plots. --quick takes fewer and shorter rounds: a look, not a measurement.
#
# nginx, the workers and the load generator share this machine, so only ratios of one run say much. Nothing here passes or
# fails by a time; it fails when a request fails.
#
# What several frontends cost and bring is measured by frontends_bench.sh, which `make bench` runs behind this one.
#
# Settings: BENCH_SECONDS (5) per run, BENCH_ROUNDS (3), BENCH_ITEMS and BENCH_ORDERS (1000000), BENCH_ZIPF_SECONDS (20).
set -euo pipefail

BENCH_SOURCE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd -- "$BENCH_SOURCE/../.." && pwd -P)
cd "$root"

case ${1:-} in
  --quick) : "${BENCH_SECONDS:=2}" "${BENCH_ROUNDS:=1}" "${BENCH_ITEMS:=200000}" "${BENCH_ORDERS:=100000}" "${BENCH_ZIPF_SECONDS:=5}" ;;
  --help | -h) sed -n '2,/^set /{/^#/!d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
  '') ;;
  *) echo "bench: unknown argument $1 (see --help)" >&2; exit 2 ;;
esac
: "${BENCH_SECONDS:=5}" "${BENCH_ROUNDS:=3}" "${BENCH_ITEMS:=1000000}" "${BENCH_ORDERS:=1000000}" "${BENCH_ZIPF_SECONDS:=20}"

BENCH_DIR=$root/.build/bench
BENCH_CSV=$BENCH_DIR/figures.csv
rm -rf "$BENCH_DIR"
mkdir -p "$BENCH_DIR"
echo 'name,round,requests_per_second,median_us,p99_us,failures' >"$BENCH_CSV"
ROUND=0

# shellcheck source=tests/bench/wrk.sh
. "$BENCH_SOURCE/wrk.sh"
# shellcheck source=tests/bench/baseline.sh
. "$BENCH_SOURCE/baseline.sh"
# shellcheck source=tests/bench/zipf.sh
. "$BENCH_SOURCE/zipf.sh"
# shellcheck source=tests/bench/store.sh
. "$BENCH_SOURCE/store.sh"
# shellcheck source=tests/bench/table.sh
. "$BENCH_SOURCE/table.sh"

trap bench_clean EXIT

measure() {
  local size=$1
  for ((ROUND = 1; ROUND <= BENCH_ROUNDS; ROUND++)); do
    run_wrk "$size-return-200" 64 lookup.lua "$BASELINE_URL" 1
    run_wrk "$size-lookup-cached" 64 lookup.lua "$FRONTEND_URL" 1
    run_wrk "$size-lookup-uncached" 64 lookup.lua "$FRONTEND_URL" 1 strict
    run_wrk "$size-buy-16" 16 buy.lua "$FRONTEND_URL" 1
    run_wrk "$size-buy-1" 1 buy.lua "$FRONTEND_URL" 1
  done
}

echo "Starting a store for the benchmark ..."
bench_store_start
bench_memory >"$BENCH_DIR/memory.txt"
bench_stock 1 1000000000
baseline_start "$FRONTEND_URL" "$PYGMY_RUN_DIR/nginx.conf"
SYNC_BEFORE_US=$(.build/release/tools/sync_cost "$BENCH_HOME")
echo "Seven books, $BENCH_ROUNDS rounds of $BENCH_SECONDS s:"
measure small
echo "Loading $BENCH_ITEMS items and $BENCH_ORDERS orders ..."
bench_grow "$BENCH_ITEMS" "$BENCH_ORDERS"
echo "$BENCH_ITEMS items, $BENCH_ORDERS orders, $BENCH_ROUNDS rounds of $BENCH_SECONDS s:"
measure large
ROUND=1 run_wrk large-lookup-cached-spread 64 lookup.lua "$FRONTEND_URL" 10000
ROUND=1 run_wrk large-lookup-uncached-spread 64 lookup.lua "$FRONTEND_URL" "$BENCH_ITEMS" strict
ROUND=1 run_wrk large-buy-16-spread 16 buy.lua "$FRONTEND_URL" "$BENCH_ITEMS"
# (The first 10000 are in the cache by now.)
zipf_items 100000 "$((BENCH_ITEMS > 100000 ? BENCH_ITEMS - 99999 : 1))" >"$BENCH_HOME/zipf.items"
ROUND=1 zipf_run zipf-1 "$BENCH_HOME/zipf.items" "$FRONTEND_URL"
SYNC_AFTER_US=$(.build/release/tools/sync_cost "$BENCH_HOME")
bench_check_books
print_table | tee "$BENCH_DIR/table.txt"
draw_plots
echo "Every run: $BENCH_CSV; summary and plots in $BENCH_DIR"
if awk -F, 'NR > 1 && $6 != 0 { bad = 1 } END { exit !bad }' "$BENCH_CSV"; then
  echo "bench: requests failed (see the rows above)" >&2
  exit 1
fi
