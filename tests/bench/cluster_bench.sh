#!/usr/bin/env bash
# The benchmark of the cluster: three replicas and three etcd members on this machine, beside PostgreSQL 15 with two synchronous
# standbys doing the same work in the same run.
#
#   tests/bench/cluster_bench.sh [--quick]
#
# Measures purchases of one hot item and of uniformly chosen items through the frontend, how long a replica that was down for
# BENCH_MISSED purchases takes to catch up, and how long a new replica takes to join a store of BENCH_ITEMS items. Prints a table with
# ratios; the figures also go to .build/bench-cluster/figures.csv. --quick takes fewer and shorter rounds: a look, not a measurement.
#
# Everything shares this machine, so only ratios of one run say much. Nothing here passes or fails by a time; it fails when a
# request fails, when replicas differ or when the books do not balance.
#
# Settings: BENCH_SECONDS (5) per run, BENCH_ROUNDS (3), BENCH_ITEMS (1000000), BENCH_SPREAD (100000) items of the uniform load,
# BENCH_MISSED (100000), BENCH_PG_SYNC (synchronous_standby_names, FIRST 2 (s1, s2)).
set -euo pipefail

BENCH_SOURCE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd -- "$BENCH_SOURCE/../.." && pwd -P)
cd "$root"

case ${1:-} in
  --quick) : "${BENCH_SECONDS:=2}" "${BENCH_ROUNDS:=1}" "${BENCH_ITEMS:=100000}" "${BENCH_SPREAD:=10000}" "${BENCH_MISSED:=10000}" ;;
  --help | -h) sed -n '2,/^set /{/^#/!d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
  '') ;;
  *) echo "bench: unknown argument $1 (see --help)" >&2; exit 2 ;;
esac
: "${BENCH_SECONDS:=5}" "${BENCH_ROUNDS:=3}" "${BENCH_ITEMS:=1000000}" "${BENCH_SPREAD:=100000}" "${BENCH_MISSED:=100000}"

BENCH_DIR=$root/.build/bench-cluster
BENCH_CSV=$BENCH_DIR/figures.csv
rm -rf "$BENCH_DIR"
mkdir -p "$BENCH_DIR"
echo 'name,round,requests_per_second,median_us,p99_us,failures' >"$BENCH_CSV"
ROUND=0

# shellcheck source=tests/bench/wrk.sh
. "$BENCH_SOURCE/wrk.sh"
# shellcheck source=tests/bench/postgres.sh
. "$BENCH_SOURCE/postgres.sh"
# shellcheck source=tests/bench/cluster.sh
. "$BENCH_SOURCE/cluster.sh"

# Each part is ended whatever became of the others.
bench_end() {
  local status=$?
  set +e
  postgres_end
  cluster_end
  return "$status"
}
trap bench_end EXIT

measure() {
  local connections
  for ((ROUND = 1; ROUND <= BENCH_ROUNDS; ROUND++)); do
    for connections in 1 16 64; do
      run_wrk "hot-$connections" "$connections" buy.lua "$FRONTEND_URL" 1
      postgres_buys "postgres-hot-$connections" "$connections" 1
      run_wrk "uniform-$connections" "$connections" buy.lua "$FRONTEND_URL" "$BENCH_SPREAD"
      postgres_buys "postgres-uniform-$connections" "$connections" "$BENCH_SPREAD"
    done
  done
}

row() {
  printf '%-44s %10.0f %10.0f %10.0f   %-34s %s\n' "$2" "$(median_of "$1" 3)" "$(median_of "$1" 4)" "$(median_of "$1" 5)" \
    "${3:+$(ratio_of "$1" "$3") of $3}" "${4:-}"
}

print_table() {
  printf '\n%-44s %10s %10s %10s   %-34s %s\n' '' 'per second' 'median us' 'p99 us' 'ratio (median of rounds)' 'goal'
  local connections
  for connections in 1 16 64; do
    row "hot-$connections" "purchase, one hot item, $connections connections" "postgres-hot-$connections" \
      "$(case $connections in 1) echo 'median < 5 ms' ;; 64) echo '>= 4000/s, ratio >= 5' ;; esac)"
    row "postgres-hot-$connections" "  PostgreSQL, two synchronous standbys"
    row "uniform-$connections" "purchase, $BENCH_SPREAD items, $connections connections" "postgres-uniform-$connections" \
      "$(case $connections in 64) echo '>= 4000/s, ratio >= 1.5' ;; esac)"
    row "postgres-uniform-$connections" "  PostgreSQL, two synchronous standbys"
  done
  printf '\ncatching up on %s purchases: %s ms, goal 10000   a new replica of %s items joins: %s ms, goal 10000\n' \
    "$BENCH_MISSED" "$CATCH_UP_MS" "$BENCH_ITEMS" "$JOIN_MS"
  printf 'etcd databases after %s log entries: %s bytes   memory of all (PSS): %s KiB\n' "$LOG_ENTRIES" "$ETCD_BYTES" "$MEMORY_KIB"
}

echo "Starting a cluster of three nodes for the benchmark ..."
cluster_start --nodes 3
echo "Loading $BENCH_ITEMS items ..."
cluster_load "$BENCH_ITEMS"
echo "Starting PostgreSQL with two synchronous standbys ($BENCH_PG_SYNC) ..."
postgres_start "$BENCH_SPREAD"
echo "$BENCH_ROUNDS rounds of $BENCH_SECONDS s, 1, 16 and 64 connections:"
measure
postgres_end
cluster_measure_catch_up "$BENCH_MISSED"
cluster_measure_join
cluster_measure_size
cluster_check
print_table | tee "$BENCH_DIR/table.txt"
echo "Every run: $BENCH_CSV"
if awk -F, 'NR > 1 && $6 != 0 { bad = 1 } END { exit !bad }' "$BENCH_CSV"; then
  echo "bench: requests failed (see the rows above)" >&2
  exit 1
fi
