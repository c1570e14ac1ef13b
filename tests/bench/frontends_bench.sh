#!/usr/bin/env bash
# The benchmark of the frontends' coherent caches: what they cost a purchase, and what they bring.
#
#   tests/bench/frontends_bench.sh [--quick]
#
# On a cluster of its own with two frontends it measures, in interleaved rounds:
#   * cached lookups through a frontend, beside nginx's `return 200` of the same bytes;
#   * purchases at the node's own port while no frontend, one and two have joined: what it costs to push to them;
#   * the hit ratio of a skewed load beside the best possible one, with one frontend and with two.
# Prints a table; the figures also go to .build/bench-frontends/. --quick takes fewer and shorter rounds.
#
# Everything shares this machine, so only ratios and differences of one run say much. Nothing here passes or fails by a time; it
# fails when a request fails.
#
# Settings: BENCH_SECONDS (5) per run, BENCH_ROUNDS (3), BENCH_ZIPF_SECONDS (20), BENCH_NODES (1).
set -euo pipefail

BENCH_SOURCE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd -- "$BENCH_SOURCE/../.." && pwd -P)
cd "$root"

case ${1:-} in
  --quick) : "${BENCH_SECONDS:=2}" "${BENCH_ROUNDS:=1}" "${BENCH_ZIPF_SECONDS:=5}" ;;
  --help | -h) sed -n '2,/^set /{/^#/!d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
  '') ;;
  *) echo "bench: unknown argument $1 (see --help)" >&2; exit 2 ;;
esac
: "${BENCH_SECONDS:=5}" "${BENCH_ROUNDS:=3}" "${BENCH_ZIPF_SECONDS:=20}" "${BENCH_NODES:=1}"

BENCH_DIR=$root/.build/bench-frontends
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
# shellcheck source=tests/bench/cluster.sh
. "$BENCH_SOURCE/cluster.sh"
SECOND_URL=http://127.0.0.1:$((PYGMY_PORT_FRONTEND + 10))
ORDER_URL=http://$PYGMY_CLUSTER_NET.1:$PYGMY_PORT_ORDER_A

bench_end() {
  local status=$?
  set +e
  baseline_end
  cluster_end
  return "$status"
}
trap bench_end EXIT

# How many frontends are registered and not fenced.
joined() { curl -fsS "$CATALOG_URL/members" | jq '[.frontends[] | select(.fenced | not)] | length'; }

# Ends both frontends; then nobody is pushed to. A frontend is forgotten when its lease has lapsed.
forget_all() {
  local name end=$((SECONDS + 20))
  cluster stop frontend
  cluster stop frontend-2
  for name in F1 F2; do
    until pygmy member forget "$name" >"$BENCH_DIR/forget.log" 2>&1; do
      if [ "$SECONDS" -ge "$end" ]; then cat "$BENCH_DIR/forget.log" >&2; return 1; fi
      sleep 0.2
    done
  done
}

# join N: starts frontend N and waits until so many have joined and it answers.
join() {
  local end=$((SECONDS + 20))
  cluster start "$([ "$1" = 1 ] && echo frontend || echo "frontend-$1")"
  until [ "$(joined)" = "$1" ]; do
    if [ "$SECONDS" -ge "$end" ]; then echo "bench: frontend $1 has not joined" >&2; return 1; fi
    sleep 0.1
  done
}

measure_pushes() {
  local count connections
  forget_all
  for count in 0 1 2; do
    if [ "$count" -gt 0 ]; then join "$count"; fi
    for connections in 1 16; do run_wrk "push-$count-$connections" "$connections" buy.lua "$ORDER_URL" 1; done
  done
}

row() {
  printf '%-46s %10.0f %10.0f %10.0f   %s\n' "$2" "$(median_of "$1" 3)" "$(median_of "$1" 4)" "$(median_of "$1" 5)" "${3:-}"
}

# The median over the rounds of median(A) - median(B), in milliseconds.
cost_of() {
  awk -F, -v a="$1" -v b="$2" '$1 == a { x[$2] = $4 } $1 == b { y[$2] = $4 } END { for (r in x) if (r in y) print (x[r] - y[r]) / 1000 }' "$BENCH_CSV" |
    sort -n | awk '{ v[NR] = $1 } END { if (NR) printf "%+.2f ms", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

print_table() {
  local count connections
  printf '\n%-46s %10s %10s %10s\n' '' 'per second' 'median us' 'p99 us'
  row return-200 "nginx: return 200, same bytes"
  row cached "lookup through a frontend, cached" "$(ratio_of cached return-200) of it, goal 0.85"
  for connections in 1 16; do
    row "push-0-$connections" "purchase, no frontend, $connections connections"
    for count in 1 2; do
      row "push-$count-$connections" "purchase, pushed to $count, $connections connections" \
        "$(cost_of "push-$count-$connections" "push-0-$connections")$([ "$count" = 1 ] || echo ', goal <= 0.5')"
    done
  done
  zipf_row zipf-1 'lookups that hit, one frontend'
  zipf_row zipf-2 'lookups that hit, two frontends'
}

echo "Starting a cluster with two frontends ..."
cluster_start --nodes "$BENCH_NODES" --frontends 2
cluster_load 200000
baseline_start "$FRONTEND_URL" "$PYGMY_RUN_DIR/frontend/nginx.conf"
zipf_items 100000 1 >"$CLUSTER_HOME/zipf-1.items"
zipf_items 100000 100001 >"$CLUSTER_HOME/zipf-2.items"
echo "The skewed load, $BENCH_ZIPF_SECONDS s each:"
ROUND=1 zipf_run zipf-1 "$CLUSTER_HOME/zipf-1.items" "$FRONTEND_URL"
ROUND=1 zipf_run zipf-2 "$CLUSTER_HOME/zipf-2.items" "$FRONTEND_URL" "$SECOND_URL"
echo "$BENCH_ROUNDS rounds of $BENCH_SECONDS s:"
for ((ROUND = 1; ROUND <= BENCH_ROUNDS; ROUND++)); do
  run_wrk return-200 64 lookup.lua "$BASELINE_URL" 1
  run_wrk cached 64 lookup.lua "$FRONTEND_URL" 1
  measure_pushes
done
print_table | tee "$BENCH_DIR/table.txt"
echo "Every run: $BENCH_CSV"
if awk -F, 'NR > 1 && $6 != 0 { bad = 1 } END { exit !bad }' "$BENCH_CSV"; then
  echo "bench: requests failed (see the rows above)" >&2
  exit 1
fi
