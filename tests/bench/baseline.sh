# Sourced by the benchmarks: an nginx that answers with the bytes of a lookup by `return 200`: what nginx alone can do on this machine.
#
# Needs BENCH_DIR. baseline_end ends it, also after a failure.

BASELINE_PORT=28009
BASELINE_URL=http://127.0.0.1:$BASELINE_PORT
BASELINE_PID=''
BASELINE_HOME=''

wait_for_http() {
  local end=$((SECONDS + 10))
  until curl -fsS -o /dev/null "$1" 2>"$BENCH_DIR/curl.err"; do
    if [ "$SECONDS" -ge "$end" ]; then cat "$BENCH_DIR/curl.err" >&2; return 1; fi
    sleep 0.05
  done
}

# baseline_start FRONTEND-URL NGINX-CONF: with as many nginx workers as that configuration has, and the answer of that frontend's cache.
baseline_start() {
  local url="$1/lookup?id=1" body headers
  BASELINE_HOME=$(mktemp -d "${TMPDIR:-/var/tmp}/pygmy-bench-baseline.XXXXXX")
  curl -sS "$url" -o /dev/null
  body=$(curl -sS "$url")
  headers=$(curl -sS -o /dev/null -D - "$url" | tr -d '\r' |
    grep -viE '^(HTTP/|server:|date:|content-type:|content-length:|connection:)' |
    sed -nE "s/^([A-Za-z0-9-]+): (.*)\$/      add_header \1 '\2';/p")
  cat >"$BENCH_DIR/baseline.conf" <<CONF
daemon off;
master_process on;
worker_processes $(sed -nE 's/^worker_processes ([0-9]+);.*/\1/p' "$2");
pid $BASELINE_HOME/baseline.pid;
error_log $BENCH_DIR/baseline.log warn;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000;
  client_body_temp_path $BASELINE_HOME/b1; proxy_temp_path $BASELINE_HOME/b2; fastcgi_temp_path $BASELINE_HOME/b3;
  uwsgi_temp_path $BASELINE_HOME/b4; scgi_temp_path $BASELINE_HOME/b5;
  server {
    listen 127.0.0.1:$BASELINE_PORT;
    location = /lookup {
      default_type application/json;
$headers
      return 200 '$body
';
    }
  }
}
CONF
  nginx -c "$BENCH_DIR/baseline.conf" -p "$BASELINE_HOME" &
  BASELINE_PID=$!
  wait_for_http "$BASELINE_URL/lookup?id=1"
}

baseline_end() {
  if [ -n "$BASELINE_PID" ]; then kill "$BASELINE_PID" && wait "$BASELINE_PID" || echo "bench: the baseline nginx had ended" >&2; fi
  if [ -n "$BASELINE_HOME" ]; then rm -rf "$BASELINE_HOME"; fi
  BASELINE_PID='' BASELINE_HOME=''
}
