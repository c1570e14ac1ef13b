# shellcheck shell=bash
# shellcheck disable=SC2154  # what helpers.bash sets
# nginx in the roles of a cluster, for tests: nodes and frontends in front of the workers of a store on one machine, and nodes that
# answer as they are told. Load it after helpers.
#
# The nodes A and B stand in front of the workers A and B of one store. These share a database, as the nodes of a cluster share the
# log: so all that the roles promise can be tried without etcd. Each test process has addresses of its own in 127/8.

# Chooses the addresses; call it behind store_setup.
roles_setup() {
    net=127.$((RANDOM % 200 + 20)).$((RANDOM % 250 + 1))
    export net frontend=http://$net.100:$PYGMY_PORT_FRONTEND push_port=$PYGMY_PORT_CATALOG_B
    export PYGMY_FRONTENDS="unix:$PYGMY_RUN_DIR/frontend.sock unix:$store_dir/frontend/run/frontend.sock"
    # Nobody has to join a store on one machine.
    export PYGMY_FRONTEND_NAME=''
    mkdir -p "$store_dir/secrets"
}

node_address() { case $1 in A) printf '%s.1' "$net" ;; B) printf '%s.2' "$net" ;; *) printf '%s.3' "$net" ;; esac }
node_url() { printf '%s://%s:%s' "${scheme:-http}" "$(node_address "$1")" "$PYGMY_PORT_CATALOG_A"; }
order_url() { printf '%s://%s:%s' "${scheme:-http}" "$(node_address "$1")" "$PYGMY_PORT_ORDER_A"; }

# Runs a command as the user who owns the store.
as_owner() {
    if [[ $EUID -ne 0 ]]; then "$@"; else setpriv --reuid=pygmy --regid=pygmy --clear-groups "$@"; fi
}

# Starts nginx in a role: role_start <name> <role> [NAME=value...]
role_start() {
    local name=$1 role=$2
    shift 2
    role_render "$name" "$role" "$@"
    as_owner env PATH="$PATH:/usr/sbin" nginx -p "$store_dir/$name/run/nginx" -e "$store_dir/$name/logs/nginx-error.log" \
        -c "$store_dir/$name/run/nginx.conf" 3>&- </dev/null
    wait_until 5 test -s "$store_dir/$name/run/nginx.pid"
}

# Runs below the store's copy of the program: its user may not be able to read the clone.
role_render() {
    local name=$1 role=$2
    shift 2
    mkdir -p "$store_dir/$name/run" "$store_dir/$name/logs"
    if [[ $EUID -eq 0 ]]; then chown -R pygmy:pygmy "$store_dir/$name"; fi
    as_owner env PYGMY_ROLE="$role" PYGMY_RUN_DIR="$store_dir/$name/run" PYGMY_LOG_DIR="$store_dir/$name/logs" \
        PYGMY_SECRETS_DIR="$PYGMY_STATE_DIR/secrets" "$@" bash "$PYGMY_STATE_DIR/app/nginx/render.sh" </dev/null
}

# Starts node A or B in front of the store's workers of that name.
node_start() {
    local node=$1 kind
    shift
    mkdir -p "$store_dir/node-$node/run"
    for kind in catalog order; do ln -sfn "$PYGMY_RUN_DIR/$kind-$node.sock" "$store_dir/node-$node/run/$kind-$node.sock"; done
    role_start "node-$node" node PYGMY_NODE="$node" PYGMY_LISTEN="$(node_address "$node")" "$@"
}

# Starts the frontend for the given nodes: frontend_start "A B" [NAME=value...]
frontend_start() {
    local settings=("${@:2}")
    mapfile -t -O "${#settings[@]}" settings < <(frontend_settings "$1")
    role_start frontend frontend "${settings[@]}"
    wait_until 10 test -S "$store_dir/frontend/run/frontend.sock"
}

frontend_settings() {
    local node catalogs='' orders=''
    for node in $1; do catalogs+=,$(node_url "$node") orders+=,$(order_url "$node"); done
    printf '%s\n' "PYGMY_LISTEN=$net.100" "PYGMY_PORT_PUSH=$push_port" "PYGMY_CATALOG_URL=${catalogs#,}" "PYGMY_ORDER_URL=${orders#,}"
}

frontend_reload() {
    local settings=("${@:2}")
    mapfile -t -O "${#settings[@]}" settings < <(frontend_settings "$1")
    role_render frontend frontend "${settings[@]}"
    kill -HUP "$(cat "$store_dir/frontend/run/nginx.pid")"
}

# What the frontend's table knows, on its socket.
frontend_status() { curl -s --max-time 2 --unix-socket "$store_dir/frontend/run/frontend.sock" http://frontend/coherence/status; }
frontend_is_leased() { [[ $(frontend_status | jq .leased) == true ]]; }

# Ends a role with a signal, and waits until all of it is gone: role_end node-A [KILL]
role_end() {
    local pid file=$store_dir/$1/run/nginx.pid pids
    if [[ ! -s $file ]]; then return; fi
    pid=$(cat "$file")
    pids=$(ps -o pid= --ppid "$pid" || :)
    kill -s "${2:-TERM}" "$pid" 2>/dev/null || :
    for pid in $pid $pids; do wait_until 10 is_gone "$pid" || return; done
    rm -f "$file"
}

roles_teardown() {
    local folder
    for folder in "$store_dir"/*/run; do role_end "$(basename "${folder%/run}")" || role_end "$(basename "${folder%/run}")" KILL; done
    if [[ -z ${BATS_TEST_COMPLETED:-} ]]; then tail -n 15 "$store_dir"/*/logs/nginx-error.log || :; fi
}

# ---- nodes that answer as they are told -----------------------------------------------------------

# Starts a node C that answers by the first line of $store_dir/script/manner: ok, 503, hang, slow (0.4 s), drop, stale (503 unless a stale
# answer is allowed), late (the same, and the answer does not say how old it is), overloaded and unknown (as a node says that it is, and that an outcome is), or
# unknown-once (and then 503). To probes (/readyz) it answers by $store_dir/script/readiness, in the same way. $store_dir/script/requests
# has a line per request: its head, with | for line ends.
script_start() {
    local dir=$store_dir/script
    mkdir -p "$dir/run" "$dir/logs"
    script_set ok
    script_set_ready ok
    : >"$dir/requests"
    cat >"$dir/run/nginx.conf" <<CONF
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
worker_processes 1; daemon on; pid $dir/run/nginx.pid; error_log $dir/logs/nginx-error.log info;
events {}
http {
    access_log off; client_body_temp_path $dir/run/1; proxy_temp_path $dir/run/2; fastcgi_temp_path $dir/run/3;
    uwsgi_temp_path $dir/run/4; scgi_temp_path $dir/run/5; default_type application/json;
    server {
        listen $(node_address C):$PYGMY_PORT_CATALOG_A; listen $(node_address C):$PYGMY_PORT_ORDER_A;
        location / {
            content_by_lua_block {
                local function read(name) local f = io.open("$dir/" .. name); local text = f:read("*l"); f:close(); return text end
                local head = ngx.req.raw_header():gsub("\r\n", "|")
                local log = io.open("$dir/requests", "a"); log:write(head, "\n"); log:close()
                local manner = read(ngx.var.uri == "/readyz" and "readiness" or "manner")
                if manner == "hang" then ngx.sleep(30) end
                if manner == "slow" then ngx.sleep(0.4) end
                if manner == "overloaded" then
                    ngx.status = 529
                    ngx.header["Retry-After"] = 1
                    ngx.say('{"code":"overloaded","message":"Said by the node.","status":"Failed","validation_code":503}')
                    return
                end
                if manner == "drop" then return ngx.exit(444) end
                ngx.header["X-Accel-Expires"] = 0
                if manner == "unknown" or (manner == "unknown-once" and not asked) then
                    asked = true
                    ngx.status = 504
                    ngx.header["Retry-After"] = 1
                    ngx.header["X-Pygmy-Request-Key"] = ngx.var.http_x_pygmy_new_key
                    ngx.say('{"code":"outcome_unknown","message":"Said by the node.","status":"Failed","validation_code":503}')
                    return
                end
                if manner == "unknown-once" then asked = nil; manner = "503" end
                local stale = ngx.var.http_x_pygmy_allow_stale == "1"
                if manner == "503" or ((manner == "stale" or manner == "late") and not stale) then
                    ngx.status = 503
                    ngx.header["Retry-After"] = 1
                    ngx.say('{"code":"no_quorum","message":"Said by the node.","status":"Failed","validation_code":503}')
                    return
                end
                if manner == "stale" then ngx.header["X-Pygmy-Stale-Ms"] = 1234 end
                ngx.header["X-Pygmy-Revision"] = 1
                ngx.say('{"message":"Said by the node.","status":"Success","validation_code":200}')
            }
        }
    }
}
CONF
    if [[ $EUID -eq 0 ]]; then chown -R pygmy:pygmy "$dir"; fi
    as_owner env PATH="$PATH:/usr/sbin" nginx -p "$dir/run" -e "$dir/logs/nginx-error.log" -c "$dir/run/nginx.conf" 3>&- </dev/null
    wait_until 5 test -s "$dir/run/nginx.pid"
}

script_set() { printf '%s\n' "$1" >"$store_dir/script/manner"; }
script_set_ready() { printf '%s\n' "$1" >"$store_dir/script/readiness"; }
# Prints how many requests came that begin so: script_requests "POST /buy"
script_requests() { grep -cF "$1" "$store_dir/script/requests" || :; }
# Prints the value of a header of the last request that matches: script_header "GET /lookup" X-Request-Id
script_header() { grep -F "$1" "$store_dir/script/requests" | tail -n 1 | tr '|' '\n' | sed -n "s/^$2: //p"; }
