# shellcheck shell=bash
# Starting, repairing and ending the machines of a cluster. All of this runs as the cluster's user, under the lock. What begins
# with machine_ acts on the machine that was entered.

readonly cluster_etcd_quota_bytes=$((256 * 1024 * 1024))
readonly cluster_etcd_wait_ms=30000 cluster_ready_wait_ms=60000

# ---- one machine ---------------------------------------------------------------------------------

# A member of etcd; multiwatch starts it again when it dies. See db/etcd.h for what the store wants of it.
launch_etcd() {
    local name=$1 node=${1#etcd-} program members='' member peer_url
    program=$(command -v etcd) || { say "$me: etcd is missing; client/deps.sh cluster installs it" >&2 && return 1; }
    for member in $PYGMY_CLUSTER_ETCD; do members+=,$member=$cluster_scheme://$(cluster_address "$member"):$PYGMY_PORT_ETCD_PEER; done
    peer_url=$cluster_scheme://$PYGMY_LISTEN:$PYGMY_PORT_ETCD_PEER
    local words=(--name "$node" --data-dir "$PYGMY_STATE_DIR/etcd"
        --listen-client-urls "$(cluster_etcd_url "$node")" --advertise-client-urls "$(cluster_etcd_url "$node")"
        --listen-peer-urls "$peer_url" --initial-advertise-peer-urls "$peer_url"
        --initial-cluster "${members#,}" --initial-cluster-state new --initial-cluster-token "pygmy$(cluster_etcd_token)"
        --heartbeat-interval 50 --election-timeout 500 --pre-vote
        --snapshot-count 2000 --max-wals 2 --max-snapshots 2 --quota-backend-bytes "$cluster_etcd_quota_bytes"
        --experimental-initial-corrupt-check=true --experimental-corrupt-check-time 10m
        --logger zap --log-outputs stderr --log-level warn)
    if [[ $PYGMY_CLUSTER_TLS == on ]]; then
        words+=(--client-cert-auth --trusted-ca-file "$PYGMY_PEER_CA" --cert-file "$PYGMY_PEER_CERT" --key-file "$PYGMY_PEER_KEY"
            --peer-client-cert-auth --peer-trusted-ca-file "$PYGMY_PEER_CA" --peer-cert-file "$PYGMY_PEER_CERT" --peer-key-file "$PYGMY_PEER_KEY")
    fi
    launch_log "$name.log"
    process_start "$name" "$PYGMY_LOG_DIR/$name.log" env -i PATH=/usr/bin:/bin LANG=C.UTF-8 "PYGMY_SUPERVISED_IN=$PYGMY_RUN_DIR" \
        "$(command -v multiwatch)" -s TERM -r 1000 -t 500 -- "$program" "${words[@]}"
}

# Prints what tells a restored cluster's etcd from the one that was.
cluster_etcd_token() {
    if [[ -e $cluster_state/etcd.token ]]; then printf -- '-%s' "$(<"$cluster_state/etcd.token")"; fi
}

# Sets `machine_words` to the words with which curl asks as a machine would.
machine_curl() {
    machine_words=(--silent --globoff --noproxy '*' --max-time 2)
    if [[ $PYGMY_CLUSTER_TLS == on ]]; then machine_words+=(--cacert "$PYGMY_PEER_CA" --cert "$PYGMY_PEER_CERT" --key "$PYGMY_PEER_KEY"); fi
}

machine_url() {
    local scheme=$cluster_scheme
    if [[ $1 == frontend* ]]; then scheme=http; fi
    printf '%s://%s:%s%s' "$scheme" "$reach" "$2" "$3"
}

# Prints the names of the machine's processes that do not answer that they are ready. (Replaces the store's.) While a node's
# nginx does not answer, only nginx is named: its workers can't be asked.
launch_unready() {
    local name port path number code nginx='' names=() urls=() machine_words
    machine_curl
    while read -r name port path; do
        if [[ $path == - ]]; then continue; fi
        names+=("$name")
        urls+=(--output /dev/null "$(machine_url "$name" "$port" "$path")")
    done < <(settings_listeners)
    if [[ ${#names[@]} -eq 0 ]]; then return; fi
    while read -r number code; do
        name=${names[number]}
        if [[ $code == 000 && $name == [co]*-* ]]; then
            nginx=nginx-$PYGMY_NODE
        elif [[ $code != 200 ]] || { [[ $name == frontend* ]] && ! machine_has_lease; }; then
            printf '%s\n' "$name"
        fi
    done < <(curl "${machine_words[@]}" --parallel --parallel-immediate --write-out '%{urlnum} %{http_code}\n' "${urls[@]}" 2>/dev/null </dev/null)
    if [[ -n $nginx ]]; then printf '%s\n' "$nginx"; fi
}

# Whether the frontend's cache works: it holds a lease.
machine_has_lease() {
    curl --silent --max-time 1 --unix-socket "$PYGMY_RUN_DIR/frontend.sock" http://frontend/coherence/status | grep -q '"leased":true'
}

# Prints why process $1 says that it is not ready; nothing when it does not answer. (Replaces the store's.)
launch_reason() {
    local name port path machine_words
    machine_curl
    while read -r name port path; do
        if [[ $name != "$1" || $path == - ]]; then continue; fi
        if [[ $name == frontend* ]]; then
            machine_has_lease || printf 'no node answers the frontend, so its cache does not work'
            continue
        fi
        curl "${machine_words[@]}" "$(machine_url "$name" "$port" "$path")" </dev/null | sed -nE 's/.*"message":"([^"]*)".*/\1/p; s/.*"health":"false".*/no quorum/p' || :
    done < <(settings_listeners)
}

# Starts those of the processes $@ (all: no words) that do not run. Prints the names of who was started.
machine_start() {
    local name
    if [[ $# -eq 0 ]]; then set -- "${process_names[@]}"; fi
    for name in "$@"; do
        if process_is_alive "$name"; then continue; fi
        launch_process "$name" || { say "$me: $name does not start" >&2 && return 1; }
        printf '%s\n' "$name"
    done
    machine_close_sockets
}

# nginx makes its sockets writable for everybody; the folder is private, and so are they.
machine_close_sockets() {
    local socket
    for socket in "$PYGMY_RUN_DIR"/*.sock; do
        if [[ -S $socket ]]; then chmod 0600 -- "$socket" || [[ ! -e $socket ]] || return; fi
    done
}

# Ends the processes $@ (all: no words) gracefully, first who takes requests from outside.
machine_stop() {
    local i result=0 names=("$@")
    if [[ $# -eq 0 ]]; then names=("${process_names[@]}"); fi
    for ((i = ${#names[@]} - 1; i >= 0; i--)); do stop_process "${names[i]}" || result=1; done
    if [[ $# -eq 0 ]]; then
        process_end_lost || result=1
        rm -f -- "$PYGMY_RUN_DIR"/*.sock "$PYGMY_RUN_DIR/nginx.pid" "$PYGMY_RUN_DIR"/*.new
    fi
    return "$result"
}

# Ends the processes $@ (all: no words), with everybody whom they started, at once: kill -9.
machine_kill() {
    local name who pids=()
    if [[ $# -eq 0 ]]; then set -- "${process_names[@]}"; fi
    for name in "$@"; do
        while read -r who _; do pids+=("$who"); done < <(process_members "$name")
    done
    if [[ ${#pids[@]} -gt 0 ]]; then kill -KILL "${pids[@]}" 2>/dev/null || :; fi
    # Again, since a supervisor may have started somebody at the last moment.
    for name in "$@"; do process_end_listed KILL process_members "$name" || return; done
}

# Prints the pids of the processes $@ (all: no words), with everybody whom they started.
machine_pids() {
    local name
    if [[ $# -eq 0 ]]; then set -- "${process_names[@]}"; fi
    for name in "$@"; do process_members "$name" | cut -d ' ' -f 1; done
}

# ---- the cluster ---------------------------------------------------------------------------------

# Waits until of the processes whose names match pattern $1 all are ready, on the machines $3... Returns 1 after $2 ms, or as
# soon as one of them does not run or dies as soon as it starts; says who, and why.
cluster_wait() {
    local pattern=$1 limit_ms=$2 now_ms began machine waiting told=no
    shift 2
    clock_read
    began=$now_ms
    while :; do
        waiting=()
        for machine in "$@"; do
            mapfile -t -O "${#waiting[@]}" waiting < <(in_machine "$machine" machine_waiting "$pattern")
        done
        [[ ${#waiting[@]} -gt 0 ]] || return 0
        clock_read
        if ((now_ms - began >= limit_ms)) || [[ " ${waiting[*]} " == *'!'* ]]; then break; fi
        if [[ $told == no ]] && ((now_ms - began > 3000)); then told=yes && say "Waiting for ${waiting[*]}" >&2; fi
        sleep 0.1
    done
    for machine in "$@"; do in_machine "$machine" machine_explain "${waiting[@]#!}"; done
    return 1
}

# Prints those of the machine's processes that match pattern $1 and are not ready; with a ! in front who will not get ready.
machine_waiting() {
    local name unready
    unready=" $(launch_unready | tr '\n' ' ')"
    for name in "${process_names[@]}"; do
        # shellcheck disable=SC2053  # a pattern
        if [[ $name != $1 ]]; then continue; fi
        if ! process_is_alive "$name"; then
            printf '!%s\n' "$name"
        elif [[ $unready == *" $name "* ]]; then
            if launch_is_dying "$name"; then printf '!'; fi
            printf '%s\n' "$name"
        fi
    done
}

# Explains why those of the processes $@ that are of this machine are not ready.
machine_explain() {
    local name
    for name in "${process_names[@]}"; do
        if [[ " $* " == *" $name "* ]]; then launch_explain "$name"; fi
    done
}

# Brings everything up that is not: etcd, the log (once, when the cluster is made: $1 is `make`), nodes, frontend.
# Prints one word: started, running (nothing was to be done) or repaired.
cluster_launch() {
    local machine name began etcds=() running=0 launched
    for machine in $(cluster_machines); do
        if in_machine "$machine" is_anything_alive; then running=$((running + 1)); fi
    done
    launched=$(
        for machine in $PYGMY_CLUSTER_ETCD; do in_machine "$machine" machine_start "etcd-$machine" || exit 1; done
    ) || return
    read -r -a etcds <<<"$PYGMY_CLUSTER_ETCD"
    cluster_wait 'etcd-*' "$cluster_etcd_wait_ms" "${etcds[@]}" || return
    if [[ ${1:-} == make ]]; then cluster_init || return; fi
    launched+=$(for machine in $(cluster_machines); do in_machine "$machine" machine_start || exit 1; done) || return
    # shellcheck disable=SC2046  # words
    cluster_wait '*' "$cluster_ready_wait_ms" $(cluster_machines) || return
    rm -f -- "$cluster_state/unfinished"
    if [[ -z $launched ]]; then
        printf 'running\n'
    elif [[ $running -eq 0 ]]; then
        printf 'started\n'
    else
        printf 'repaired\n'
    fi
}

# Ends everything: the frontends, then the nodes, then etcd, each kind at the same time.
cluster_stop() {
    local kind machine job jobs result=0
    for kind in frontend nodes etcd; do
        jobs=()
        for machine in $(cluster_all_machines); do
            in_machine "$machine" machine_stop_kind "$kind" &
            jobs+=("$!")
        done
        for job in "${jobs[@]}"; do wait "$job" || result=1; done
    done
    for machine in $(cluster_all_machines); do in_machine "$machine" machine_stop || result=1; done
    return "$result"
}

machine_stop_kind() {
    local name names=()
    for name in "${process_names[@]}"; do
        case $1/$name in
            frontend/frontend* | etcd/etcd-*) names+=("$name") ;;
            nodes/etcd-* | nodes/frontend* | frontend/* | etcd/*) ;;
            *) names+=("$name") ;;
        esac
    done
    if [[ ${#names[@]} -gt 0 ]]; then machine_stop "${names[@]}"; fi
}

cluster_is_anything_alive() {
    local machine
    for machine in $(cluster_all_machines); do
        if in_machine "$machine" is_anything_alive; then return 0; fi
    done
    return 1
}

# Makes the log: an explicit act, once in the life of a cluster. One that was begun before is completed.
cluster_init() {
    local node said words=()
    for node in $PYGMY_CLUSTER_NODES; do words+=(--member "$node=$(in_machine "$node" machine_member_urls)"); done
    if said=$(in_machine frontend cluster_pygmy --json init "${words[@]}" --catalogue "$PYGMY_CATALOGUE" 2>&1) || [[ $said == *'"log_exists"'* ]]; then return; fi
    say "$me: the log can't be made: $said" >&2
    return 1
}

machine_member_urls() { printf '%s,%s' "$(cluster_catalog_url "$PYGMY_NODE")" "$(machine_url node "$PYGMY_PORT_ORDER_A" '')"; }

# The client, with the settings of the machine.
cluster_pygmy() { env -i PATH=/usr/bin:/bin LANG=C.UTF-8 "PYGMY_CONFIG=$PYGMY_STATE_DIR/pygmy.env" "$app/bin/pygmy" "$@"; }
