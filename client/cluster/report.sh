# shellcheck shell=bash
# What a cluster tells about itself: status, logs, addresses.

# Prints a line per process of the machine: its name, then those of report_processes (name state pid uptime_s pss_kib restarts).
machine_report() { report_processes | sed "s/^/$1\t/"; }

# Prints these lines for the whole cluster.
cluster_report() {
    local machine
    for machine in $(cluster_all_machines); do in_machine "$machine" machine_report "$machine"; done
}

# Prints the status; $1 is table or json. Returns 0 up, 1 degraded, 3 down.
cluster_status() {
    local lines overall
    lines=$(cluster_report)
    report_overall < <(cut -f 2- <<<"$lines")
    "cluster_$1" "$lines" "$overall"
    case $overall in
        up) return 0 ;;
        degraded) return "$exit_failed" ;;
        *) return "$exit_down" ;;
    esac
}

cluster_table() {
    local lines=$1 overall=$2 node name state pid uptime pss restarts total=0
    say "Pygmy cluster: $overall"
    printf '\n  %-10s %-9s %8s %8s %11s %9s\n' PROCESS STATE PID UPTIME MEMORY RESTARTS
    while IFS=$'\t' read -r node name state pid uptime pss restarts; do
        total=$((total + pss))
        if [[ $pid -eq 0 ]]; then pid=- uptime=- restarts=-; else uptime=$(report_duration "$uptime"); fi
        printf '  %-10s %-9s %8s %8s %11s %9s\n' "$name" "$state" "$pid" "$uptime" "$(report_mib "$pss")" "$restarts"
    done <<<"$lines"
    printf '  %-10s %-9s %8s %8s %11s\n\n' all '' '' '' "$(report_mib "$total")"
    cluster_addresses
}

cluster_addresses() {
    local node
    say "  frontend   http://$cluster_reach:$PYGMY_PORT_FRONTEND/"
    for node in $PYGMY_CLUSTER_NODES; do
        say "  node $node     $cluster_scheme://$(cluster_address "$node"):$PYGMY_PORT_CATALOG_A/ (catalog)" \
            " $cluster_scheme://$(cluster_address "$node"):$PYGMY_PORT_ORDER_A/ (order)"
    done
    say "  etcd       $(cluster_etcd_urls '')"
    say "  data       $cluster_state"
    say "  secrets    $PYGMY_SECRETS_DIR"
    say "  logs       $cluster_state/*/logs"
}

cluster_json() {
    local lines=$1 overall=$2 node name state pid uptime pss restarts total=0 comma=''
    printf '{"status":"%s","frontend":"http://%s:%d/","nodes":[' "$overall" "$cluster_reach" "$PYGMY_PORT_FRONTEND"
    for node in $PYGMY_CLUSTER_NODES; do
        printf '%s{"name":"%s","catalog":"%s://%s:%d/","order":"%s://%s:%d/"}' "$comma" "$node" \
            "$cluster_scheme" "$(cluster_address "$node")" "$PYGMY_PORT_CATALOG_A" "$cluster_scheme" "$(cluster_address "$node")" "$PYGMY_PORT_ORDER_A"
        comma=,
    done
    printf '],"processes":['
    comma=''
    while IFS=$'\t' read -r node name state pid uptime pss restarts; do
        total=$((total + pss))
        printf '%s{"name":"%s","machine":"%s","state":"%s","pid":%d,"uptime_s":%d,"pss_kib":%d,"restarts":%d}' \
            "$comma" "$name" "$node" "$state" "$pid" "$uptime" "$pss" "$restarts"
        comma=,
    done <<<"$lines"
    printf '],"pss_kib":%d,"state_dir":' "$total"
    report_json_string "$cluster_state"
    printf ',"run_dir":'
    report_json_string "$cluster_run"
    printf '}\n'
}

# Prints the last $1 lines of every log; with $2 = follow goes on with what comes.
cluster_logs() {
    local logs
    cd -- "$cluster_state" 2>/dev/null || { say "There are no logs yet ($cluster_state)" && return; }
    logs=(*/logs/*.log)
    if [[ ! -e ${logs[0]} ]]; then say "There are no logs yet ($cluster_state)" && return; fi
    if [[ ${2:-} == follow ]]; then exec tail -n "$1" -F -- "${logs[@]}"; fi
    tail -v -n "$1" -- "${logs[@]}"
}

report_port_advice() {
    say "cluster: stop that program, or choose other ports (PYGMY_PORT_FRONTEND, PYGMY_PORT_PUSH, PYGMY_PORT_CATALOG_A, PYGMY_PORT_ORDER_A,"
    say "         PYGMY_PORT_ETCD, PYGMY_PORT_ETCD_PEER) or addresses (PYGMY_CLUSTER_NET), for example: PYGMY_PORT_FRONTEND=9010 make cluster"
}
