# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # what coherencetest.sh knows
# What is done to the cluster while the checker reads and writes.

# Sleeps; a signal is taken at once.
rest() {
    sleep "$1" &
    wait "$!" || :
}

any_of() {
    shift $((RANDOM % $#))
    printf '%s' "$1"
}

# ---- one part ------------------------------------------------------------------------------------

freeze() {
    mapfile -t frozen < <(cluster pids "$1")
    tell "      stopping $1 for $2 s"
    kill -STOP "${frozen[@]}"
    rest "$2"
    thaw
    done_faults+=("$3")
}

thaw() {
    if [[ ${#frozen[@]} -gt 0 ]]; then kill -CONT "${frozen[@]}" 2>/dev/null || :; fi
    frozen=()
}

# Killed, and started again.
destroy() {
    hurt=$1
    tell "      killing $1"
    cluster kill "$1" >/dev/null
    rest "$down_s"
    bring_back
    done_faults+=("$2")
}

bring_back() {
    cluster start "$hurt" >/dev/null 2>>"$folder/cluster.log" || not_back+=("$hurt")
    hurt=''
}

is_whole() { cluster status >/dev/null; }

wait_for_all() {
    local deadline=$((SECONDS + back_limit_s))
    until is_whole; do
        if ((SECONDS >= deadline)); then not_back+=("the whole cluster") && return; fi
        rest 0.5
    done
}

fault_freeze_frontend() { freeze "$(any_of "${frontend_names[@]}")" "$frozen_s" 'frontend stopped'; }
fault_kill_frontend() { destroy "$(any_of "${frontend_names[@]}")" 'frontend killed'; }
fault_kill_node() { destroy "node-$(any_of "${nodes[@]}")" 'node killed'; }
fault_freeze_node() { freeze "node-$(any_of "${nodes[@]}")" "$node_frozen_s" 'node stopped'; }
fault_kill_worker() { destroy "$(any_of "${nodes[@]/#/catalog-}" "${nodes[@]/#/order-}")" 'worker killed'; }
fault_kill_etcd_leader() {
    local leader
    leader=$(etcd_leader) || { not_back+=('the leader of etcd') && return; }
    destroy "$leader" 'leader of etcd killed'
}

# ---- all of them ---------------------------------------------------------------------------------

# One after the other, with the network hostile all the time; again until there are enough cached reads.
faults_run() {
    local name
    rest 2
    network_spoil
    while checker_runs; do
        for name in "${fault_list[@]}"; do
            if [[ $name == none ]]; then rest 5 && continue; fi
            rest 3
            if ! checker_runs; then break; fi
            "fault_${name//-/_}"
        done
        wait_for_all
        # It ends as soon as it may.
        kill -USR1 "$checker_pid" 2>/dev/null || :
    done
}

faults_end() {
    thaw
    if [[ -n ${hurt:-} ]]; then
        tell "Bringing $hurt back"
        bring_back
    fi
    [[ ${#not_back[@]} -eq 0 ]]
}
