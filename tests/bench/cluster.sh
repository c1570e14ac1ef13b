# Sourced by cluster_bench.sh and frontends_bench.sh: the cluster that is measured. It lives below a temporary folder and on addresses and ports of its own;
# cluster_end ends and removes it, also after a failure.

CLUSTER_HOME=$(mktemp -d "${TMPDIR:-/var/tmp}/pygmy-bench-cluster.XXXXXX")
chmod 755 "$CLUSTER_HOME"
unset PYGMY_CONFIG
export PYGMY_STATE_DIR=$CLUSTER_HOME/state PYGMY_RUN_DIR=$CLUSTER_HOME/run PYGMY_CLUSTER_NET=127.0.41
export PYGMY_PORT_FRONTEND=28110 PYGMY_PORT_PUSH=28119 PYGMY_PORT_METRICS=28118 PYGMY_PORT_CATALOG_A=28111 PYGMY_PORT_ORDER_A=28113
export PYGMY_PORT_ETCD=28179 PYGMY_PORT_ETCD_PEER=28180
FRONTEND_URL=http://127.0.0.1:$PYGMY_PORT_FRONTEND
CATALOG_URL=http://$PYGMY_CLUSTER_NET.1:$PYGMY_PORT_CATALOG_A
CLUSTER_LIMIT_S=120

pygmy() {
  "$root/.build/release/bin/pygmy" --url "$FRONTEND_URL" --catalog-url "$CATALOG_URL" --token-file "$PYGMY_STATE_DIR/secrets/admin.token" "$@"
}

# Runs client/cluster.sh quietly; shows what it said when it failed.
cluster() {
  client/cluster.sh "$@" >"$BENCH_DIR/cluster.log" 2>&1 || {
    echo "bench: client/cluster.sh $* failed:" >&2
    cat "$BENCH_DIR/cluster.log" >&2
    return 1
  }
}

cluster_end() {
  cluster reset || echo "bench: the cluster in $CLUSTER_HOME could not be removed" >&2
  rm -rf "$CLUSTER_HOME"
}

cluster_start() { cluster start "$@"; }

cluster_load() {
  jq -nc --argjson n "$1" 'range(1; $n + 1) | {id: ., title: "Book number \(.)", topic: "topic \(. % 1000)", cost: 10, count: 900000000}' \
    >"$CLUSTER_HOME/items.json"
  pygmy import "$CLUSTER_HOME/items.json" --quiet
}

# The index of member NAME as itself says, or nothing while it is not ready.
cluster_index() {
  curl -s --max-time 2 "$CATALOG_URL/members" | jq -r --arg name "$1" '.members[] | select(.name == $name and .phase == "ready") | .index'
}

# Waits until member NAME is ready and has reached index $2.
cluster_wait_member() {
  local end=$((SECONDS + CLUSTER_LIMIT_S)) index
  until index=$(cluster_index "$1") && [ -n "$index" ] && [ "$index" -ge "$2" ]; do
    if [ "$SECONDS" -ge "$end" ]; then echo "bench: member $1 is not at $2 within $CLUSTER_LIMIT_S s" >&2; return 1; fi
    sleep 0.02
  done
}

# Node C misses so many purchases; how long until it is where the others are? (The start of its processes counts.)
cluster_measure_catch_up() {
  local orders target began
  cluster stop node-C
  orders=$(curl -fsS "$CATALOG_URL/status" | jq .worker.orders)
  target=$((orders + $1))
  echo "Node C is down for $1 purchases ..."
  while [ "$orders" -lt "$target" ]; do
    ROUND=1 BENCH_SECONDS=5 run_wrk "one-node-down" 64 buy.lua "$FRONTEND_URL" 1
    orders=$(curl -fsS "$CATALOG_URL/status" | jq .worker.orders)
  done
  target=$(curl -fsS "$CATALOG_URL/status" | jq .worker.revision)
  began=$(date +%s%3N)
  cluster start --no-wait node-C
  cluster_wait_member C "$target"
  CATCH_UP_MS=$(($(date +%s%3N) - began))
}

cluster_measure_join() {
  local target began
  target=$(curl -fsS "$CATALOG_URL/status" | jq .worker.revision)
  echo "A new replica joins ..."
  began=$(date +%s%3N)
  cluster add D
  cluster_wait_member D "$target"
  JOIN_MS=$(($(date +%s%3N) - began))
}

cluster_measure_size() {
  LOG_ENTRIES=$(curl -fsS "$CATALOG_URL/status" | jq .worker.revision)
  ETCD_BYTES=$(stat -c %s "$PYGMY_STATE_DIR"/*/etcd/member/snap/db | sort -n | tail -n 1)
  MEMORY_KIB=$(client/cluster.sh status --json | jq '[.processes[].pss_kib // 0] | add')
}

# All replicas have the same chain hash, and the books of each balance.
cluster_check() {
  local wrong node chains
  for node in A B C D; do cluster_wait_member "$node" "$LOG_ENTRIES"; done
  cluster stop
  for node in A B C D; do
    wrong=$(sqlite3 -readonly "$PYGMY_STATE_DIR/$node/store.db" "SELECT count(*) FROM items LEFT JOIN
      (SELECT item_id, sum(quantity) AS n FROM orders GROUP BY item_id) AS o ON o.item_id = items.id
      WHERE supplied <> count + coalesce(o.n, 0)")
    if [ "$wrong" != 0 ]; then echo "bench: node $node has $wrong items whose stock and orders do not add up" >&2; return 1; fi
  done
  # Audits go on until the end: the entry that all have is compared.
  chains=$(for node in A B C D; do
    sqlite3 -readonly "$PYGMY_STATE_DIR/$node/store.db" "SELECT hex(chain) FROM changes WHERE revision = $LOG_ENTRIES"
  done | sort -u)
  if [ "$(wc -l <<<"$chains")" != 1 ] || [ -z "$chains" ]; then echo "bench: the replicas differ at entry $LOG_ENTRIES" >&2; return 1; fi
  echo "Four replicas are identical at entry $LOG_ENTRIES, and stock and orders of all items add up."
}
