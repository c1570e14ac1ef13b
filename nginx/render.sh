#!/usr/bin/env bash
# Writes $PYGMY_RUN_DIR/nginx.conf from the PYGMY_* environment.
set -euo pipefail
r=$PYGMY_RUN_DIR
mkdir -p "$r/nginx" "$r/cache"
proxy() { # proxy PORT UPSTREAM
cat <<C
  server { listen $PYGMY_LISTEN:$1; location / { fastcgi_pass $2; } }
C
}
{
cat <<C
worker_processes 2; pid "$r/nginx.pid"; error_log "$PYGMY_LOG_DIR/nginx-error.log" warn;
events { worker_connections 2048; }
http {
 access_log off; server_tokens off; default_type application/json; client_max_body_size 1100k; client_body_buffer_size 1100k;
 client_body_temp_path "$r/nginx/b1"; proxy_temp_path "$r/nginx/b2"; fastcgi_temp_path "$r/nginx/b3"; uwsgi_temp_path "$r/nginx/b4"; scgi_temp_path "$r/nginx/b5";
 upstream catalog { server "unix:$r/catalog-A.sock" max_fails=0; server "unix:$r/catalog-B.sock" max_fails=0; keepalive 16; }
 upstream order { server "unix:$r/order-A.sock" max_fails=0; server "unix:$r/order-B.sock" max_fails=0; keepalive 16; }
C
for w in catalog-A catalog-B order-A order-B; do echo " upstream $w { server \"unix:$r/$w.sock\" max_fails=0; server \"unix:$r/$w.sock\" max_fails=0; keepalive 4; }"; done
cat <<C
 fastcgi_keep_conn on; fastcgi_next_upstream error timeout invalid_header http_503 non_idempotent; fastcgi_next_upstream_tries 4; fastcgi_next_upstream_timeout 8s;
 fastcgi_param REQUEST_METHOD \$request_method; fastcgi_param DOCUMENT_URI \$document_uri; fastcgi_param QUERY_STRING \$query_string; fastcgi_param CONTENT_TYPE \$content_type; fastcgi_param CONTENT_LENGTH \$content_length;
 fastcgi_param REMOTE_ADDR \$remote_addr; fastcgi_param PYGMY_REQUEST_ID \$request_id; fastcgi_param PYGMY_REQUEST_KEY \$pygmy_key;
 map \$msec-\$request_id \$pygmy_key { default "\$msec-\$request_id"; }
 server { listen $PYGMY_LISTEN:$PYGMY_PORT_FRONTEND;
  location = / { return 200 '{"message":"Welcome"}\n'; } location = /healthz { return 200 '{"message":{}}\n'; }
  location = /search { fastcgi_pass catalog; } location = /lookup { fastcgi_pass catalog; } location = /buy { fastcgi_pass order; } }
 server { listen "unix:$r/frontend.sock"; location = /coherence/push { return 204; } }
C
proxy "$PYGMY_PORT_CATALOG_A" catalog-A; proxy "$PYGMY_PORT_CATALOG_B" catalog-B; proxy "$PYGMY_PORT_ORDER_A" order-A; proxy "$PYGMY_PORT_ORDER_B" order-B
echo "}"
} >"$r/nginx.conf"
