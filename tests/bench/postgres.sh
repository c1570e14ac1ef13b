# Sourced by cluster_bench.sh: PostgreSQL 15 with two synchronous standbys, doing the work of a purchase, for comparison.
#
# One primary and two standbys below a temporary folder, reached by Unix sockets only; postgres_end ends and removes them, also
# after a failure. A commit returns when both standbys have it on disk (synchronous_standby_names, BENCH_PG_SYNC). A purchase is one
# transaction: decrement the stock, insert the order, insert the request key (UNIQUE), by pgbench with prepared statements.

PG_BIN=/usr/lib/postgresql/15/bin
PG_HOME=''
: "${BENCH_PG_SYNC:=FIRST 2 (s1, s2)}"

# PostgreSQL refuses to run as root: then it runs as the user that its package made.
as_postgres() {
  if [ "$EUID" -eq 0 ]; then (cd / && setpriv --reuid postgres --regid postgres --init-groups "$@"); else "$@"; fi
}

pg_server() { as_postgres "$PG_BIN/pg_ctl" -s -w -t 60 -D "$PG_HOME/$1" "${@:2}"; }
pg_sql() { as_postgres "$PG_BIN/psql" -X -q -v ON_ERROR_STOP=1 -h "$PG_HOME/p-socket" -p 5432 -U bench "$@" bench; }

postgres_settings() {
  cat <<CONF
listen_addresses = ''
unix_socket_directories = '$PG_HOME/$1-socket'
max_connections = 120
shared_buffers = 256MB
max_wal_size = 2GB
wal_level = replica
max_wal_senders = 4
hot_standby = on
CONF
}

# Runs in a process of its own, which ends at the first command that fails.
postgres_set_up() {
  local name
  as_postgres mkdir "$PG_HOME/p-socket" "$PG_HOME/s1-socket" "$PG_HOME/s2-socket"
  as_postgres "$PG_BIN/initdb" -A trust -U bench -D "$PG_HOME/p"
  postgres_settings p | as_postgres tee -a "$PG_HOME/p/postgresql.conf"
  pg_server p -l "$PG_HOME/p.log" start
  as_postgres "$PG_BIN/createdb" -h "$PG_HOME/p-socket" -U bench bench
  for name in s1 s2; do
    as_postgres "$PG_BIN/pg_basebackup" -h "$PG_HOME/p-socket" -U bench -D "$PG_HOME/$name" -R -c fast
    postgres_settings "$name" | as_postgres tee -a "$PG_HOME/$name/postgresql.conf"
    printf "primary_conninfo = 'host=%s user=bench application_name=%s'\n" "$PG_HOME/p-socket" "$name" |
      as_postgres tee -a "$PG_HOME/$name/postgresql.auto.conf"
    pg_server "$name" -l "$PG_HOME/$name.log" start
  done
  pg_sql -c "ALTER SYSTEM SET synchronous_standby_names = '$BENCH_PG_SYNC'" -c 'SELECT pg_reload_conf()'
  postgres_wait_synchronous
  pg_sql -v "items=$1" <<'SQL'
CREATE TABLE items (id bigint PRIMARY KEY, title text NOT NULL, topic text NOT NULL, cost_minor bigint NOT NULL,
  count bigint NOT NULL CHECK (count >= 0), sold bigint NOT NULL DEFAULT 0) WITH (fillfactor = 90);
CREATE TABLE orders (id bigserial PRIMARY KEY, item_id bigint NOT NULL REFERENCES items, quantity bigint NOT NULL,
  unit_cost_minor bigint NOT NULL, created_ms bigint NOT NULL);
CREATE TABLE request_keys (request_key text PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders);
INSERT INTO items SELECT n, 'Book number ' || n, 'topic ' || n % 1000, 1000, 1000000000 FROM generate_series(1, :items) AS n;
ANALYZE;
CHECKPOINT;
SQL
}

postgres_start() {
  PG_HOME=$(mktemp -d "${TMPDIR:-/var/tmp}/pygmy-bench-pg.XXXXXX")
  if [ "$EUID" -eq 0 ]; then chown postgres "$PG_HOME"; fi
  postgres_set_up "$1" </dev/null >"$BENCH_DIR/postgres.log" 2>&1 &
  if ! wait "$!"; then
    echo "bench: PostgreSQL did not start:" >&2
    tail -n 20 "$BENCH_DIR/postgres.log" >&2
    return 1
  fi
}

postgres_wait_synchronous() {
  local end=$((SECONDS + 30))
  until [ "$(pg_sql -At -c "SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')")" = 2 ]; do
    if [ "$SECONDS" -ge "$end" ]; then echo "bench: the standbys are not synchronous" >&2; return 1; fi
    sleep 0.1
  done
}

# postgres_buys NAME CONNECTIONS ITEMS: a row in $BENCH_CSV like those of run_wrk. ITEMS 1: one hot item.
postgres_buys() {
  local name=$1 connections=$2 items=$3 threads=2 out rate median p99 failures
  if [ "$connections" -lt 2 ]; then threads=1; fi
  out=$PG_HOME/run
  rm -rf "$out"
  as_postgres mkdir "$out"
  as_postgres tee "$out/buy.sql" >"$BENCH_DIR/buy.sql" <<'SQL'
\set id random(1, :items)
\set now random(1, 9000000000000000000)
\set salt random(1, 9000000000000000000)
BEGIN;
UPDATE items SET count = count - 1, sold = sold + 1 WHERE id = :id;
INSERT INTO orders (item_id, quantity, unit_cost_minor, created_ms) VALUES (:id, 1, 1000, :now);
INSERT INTO request_keys (request_key, order_id) VALUES ('buy/0/n:' || :now || '-' || :salt, currval('orders_id_seq'));
COMMIT;
SQL
  if ! (cd "$out" && as_postgres sh -c 'cd "$1" && shift && exec "$@"' sh "$out" "$PG_BIN/pgbench" -n -M prepared -h "$PG_HOME/p-socket" \
    -U bench -D "items=$items" -f buy.sql -c "$connections" -j "$threads" -T "$BENCH_SECONDS" -l bench) >"$BENCH_DIR/pgbench.log" 2>&1; then
    tail -n 20 "$BENCH_DIR/pgbench.log" >&2
    return 1
  fi
  rate=$(sed -nE 's/^tps = ([0-9.]+).*/\1/p' "$BENCH_DIR/pgbench.log")
  failures=$(sed -nE 's/^number of failed transactions: ([0-9]+).*/\1/p' "$BENCH_DIR/pgbench.log")
  # Column 3 of pgbench's log is the transaction's time in microseconds.
  read -r median p99 < <(cat "$out"/pgbench_log.* | awk '{print $3}' | sort -n |
    awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)], v[int(NR * 0.99 + 0.5)] }')
  printf '%s,%s,%.0f,%s,%s,%s\n' "$name" "$ROUND" "$rate" "$median" "$p99" "${failures:-0}" >>"$BENCH_CSV"
  printf '  round %s  %-28s %9.0f/s   median %7s us   p99 %8s us\n' "$ROUND" "$name" "$rate" "$median" "$p99"
}

postgres_end() {
  local name
  if [ -z "$PG_HOME" ]; then return 0; fi
  for name in p s1 s2; do
    if [ -e "$PG_HOME/$name/postmaster.pid" ]; then pg_server "$name" -m immediate stop || echo "bench: PostgreSQL $name does not stop" >&2; fi
  done
  rm -rf "$PG_HOME"
  PG_HOME=''
}
