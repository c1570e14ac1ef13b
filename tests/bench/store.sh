# Sourced by bench.sh: the store that is measured, and its data.
#
# Everything lives below a temporary folder and on ports of its own; bench_clean ends and removes it, also after a failure.

BENCH_HOME=$(mktemp -d "${TMPDIR:-/var/tmp}/pygmy-bench.XXXXXX")
chmod 755 "$BENCH_HOME"
export PYGMY_STATE_DIR=$BENCH_HOME/state PYGMY_RUN_DIR=$BENCH_HOME/run
export PYGMY_PORT_FRONTEND=28010 PYGMY_PORT_CATALOG_A=28011 PYGMY_PORT_CATALOG_B=28012
export PYGMY_PORT_ORDER_A=28013 PYGMY_PORT_ORDER_B=28014 PYGMY_PORT_METRICS=28018
unset PYGMY_CONFIG
FRONTEND_URL=http://127.0.0.1:$PYGMY_PORT_FRONTEND

pygmy() { "$root/.build/release/bin/pygmy" "$@"; }

bench_clean() {
  local status=$?
  baseline_end
  client/store.sh reset >"$BENCH_DIR/reset.log" 2>&1 || cat "$BENCH_DIR/reset.log" >&2
  rm -rf "$BENCH_HOME"
  return "$status"
}

bench_store_start() {
  local began ended
  began=$(date +%s%3N)
  client/store.sh start >"$BENCH_DIR/start.log" 2>&1 || { cat "$BENCH_DIR/start.log" >&2; return 1; }
  ended=$(date +%s%3N)
  READY_MS=$((ended - began))
}

# Proportional set size of every process of the store, in KiB, and their sum.
bench_memory() {
  client/store.sh status --json | jq -r '.processes[] | select(.pss_kib != null) | "\(.name) \(.pss_kib)"'
}

bench_stock() {
  pygmy item set "$1" --count "$2" >/dev/null
}

# Items through `pygmy import`, timed; orders straight into the stopped store's table, as purchases of the past: a million
# purchases through the front door would take longer than the measurement.
bench_grow() {
  local items=$1 orders=$2 began
  jq -nc --argjson n "$items" 'range(1; $n + 1) | {id: ., title: "Book number \(.)", topic: "topic \(. % 1000)", cost: 10, count: 1000}' \
    >"$BENCH_HOME/items.json"
  began=$(date +%s%3N)
  pygmy import "$BENCH_HOME/items.json" --quiet
  IMPORT_MS=$(($(date +%s%3N) - began))
  bench_stock 1 1000000000
  client/store.sh stop >"$BENCH_DIR/stop.log" 2>&1
  sqlite3 "$PYGMY_STATE_DIR/store.db" >"$BENCH_DIR/orders.log" <<SQL
PRAGMA foreign_keys = ON;
BEGIN IMMEDIATE;
INSERT INTO orders (item_id, quantity, unit_cost_minor, created_ms, revision, topic_slot, request_key, payload_hash)
  SELECT 1 + value % $items, 1, 1000, 1700000000000 + value, 1, 0,
         printf('buy/0/n:%d.%03d-%s', 1700000000 + value / 1000, value % 1000, lower(hex(randomblob(16)))), zeroblob(16)
  FROM generate_series(1, $orders);
UPDATE items SET sold = sold + n, supplied = supplied + n
  FROM (SELECT item_id, count(*) AS n FROM orders WHERE revision = 1 GROUP BY item_id) AS past WHERE past.item_id = items.id;
COMMIT;
SQL
  bench_store_start
}

# The books must balance after all of it.
bench_check_books() {
  local wrong
  wrong=$(sqlite3 -readonly "$PYGMY_STATE_DIR/store.db" "SELECT count(*) FROM items LEFT JOIN
    (SELECT item_id, sum(quantity) AS n FROM orders GROUP BY item_id) AS o ON o.item_id = items.id
    WHERE supplied <> count + coalesce(o.n, 0)")
  if [ "$wrong" != 0 ]; then
    echo "bench: $wrong items whose stock and orders do not add up" >&2
    return 1
  fi
  echo "Stock and orders of all items add up."
}
