# shellcheck shell=bash
# Who is hurt in a fault test, how, and when they are back.
# shellcheck disable=SC2154  # what faulttest.sh knows of the cluster

now_ms() { local t=$EPOCHREALTIME && printf '%s' $((${t/[.,]/} / 1000)); }

# Prints a time in this round, as the traffic's lines do.
moment() { local ms=$(($(now_ms) - started_ms)) && printf '%4d.%01d s' $((ms / 1000)) $((ms % 1000 / 100)); }

ask() { curl --silent --globoff --noproxy '*' --max-time 2 "${curl_tls[@]}" "$@" </dev/null; }

# Whether all names that were given are of this cluster.
check_targets() {
    local name
    for name in "${targets[@]}"; do
        case $name in
            random | frontend | etcd-leader | etcd-follower) continue ;;
            catalog-? | order-? | nginx-? | node-?) [[ -n ${catalog_of[${name##*-}]:-} ]] && continue ;;
            etcd-?) [[ -n ${etcd_of[${name#etcd-}]:-} ]] && continue ;;
        esac
        fail "$exit_usage" "this cluster has no '$name'; there are: frontend, etcd-leader, etcd-follower, random," \
            "and catalog-, order-, nginx-, node- and etcd- of ${nodes[*]}"
    done
}

# Prints the node whose etcd member leads.
find_leader() {
    local name deadline=$(($(now_ms) + 10000))
    while (($(now_ms) < deadline)); do
        for name in "${!etcd_of[@]}"; do
            if [[ $(ask --data '{}' "${etcd_of[$name]}/v3/maintenance/status" | jq -r '.leader == .header.member_id') == true ]]; then
                printf '%s' "$name" && return
            fi
        done
        rest 0.1
    done
    return 1
}

# Sets `target` (a name that cluster.sh knows), `its_node` and `leads`: whether etcd's leader is a part of it.
choose_target() {
    local leader all=()
    leader=$(find_leader) || fail "$exit_failed" "etcd has no leader"
    target=${targets[RANDOM % ${#targets[@]}]}
    if [[ $target == random ]]; then
        for its_node in "${nodes[@]}"; do all+=("catalog-$its_node" "order-$its_node" "nginx-$its_node" "node-$its_node"); done
        for its_node in "${!etcd_of[@]}"; do all+=("etcd-$its_node"); done
        target=${all[RANDOM % ${#all[@]}]}
    fi
    case $target in
        etcd-leader) target=etcd-$leader ;;
        etcd-follower)
            mapfile -t all < <(printf 'etcd-%s\n' "${!etcd_of[@]}" | grep -vx "etcd-$leader" | sort)
            target=${all[RANDOM % ${#all[@]}]}
            ;;
    esac
    its_node=${target##*-} leads=no
    if [[ $target == "etcd-$leader" || $target == "node-$leader" ]]; then leads=yes; fi
}

hurt_target() {
    local note='' pid
    if [[ $leads == yes ]]; then note=", with etcd's leader"; fi
    hurt=$target
    if [[ $signal == KILL ]]; then
        cluster kill "$target" >&2 || fail "$exit_failed" "$target could not be killed"
    else
        mapfile -t frozen < <(cluster pids "$target")
        [[ ${#frozen[@]} -gt 0 ]] || fail "$exit_failed" "$target has no processes"
        # One after the other: the first of them may be gone, and the others are to be frozen all the same.
        for pid in "${frozen[@]}"; do kill -STOP "$pid" || tell "Process $pid of $target is gone"; done
    fi
    hurt_ms=$(now_ms)
    tell "--- $(moment): $target is $(what_happened)$note"
}

what_happened() { if [[ $signal == KILL ]]; then printf 'killed (kill -9)'; else printf 'frozen (SIGSTOP)'; fi; }

# Undoes it; who is frozen is continued whatever else fails.
bring_back() {
    local pid
    for pid in "${frozen[@]}"; do kill -CONT "$pid" 2>/dev/null || tell "Process $pid of $hurt is gone"; done
    frozen=()
    if [[ $signal == KILL ]]; then cluster start --no-wait "$hurt" >&2 || tell "$hurt does not start"; fi
    hurt=''
}

# Sets `mark`: the position that the others are at now, which the target has to reach.
mark_index() {
    local node index
    mark=0
    for node in "${nodes[@]}"; do
        index=$(ask "${catalog_of[$node]}/status" | jq -r '.worker.revision // 0') || index=0
        if [[ $index =~ ^[0-9]+$ && $index -gt $mark ]]; then mark=$index; fi
    done
}

# Whether the target serves again, and its replica has reached the mark.
is_back() {
    case $target in
        frontend) ask --fail "$frontend/lookup?id=${items[0]}" >/dev/null ;;
        etcd-*) [[ $(ask "${etcd_of[$its_node]}/health" | jq -r .health) == true ]] ;;
        *)
            [[ $(ask "${catalog_of[$its_node]}/status" | jq -r ".worker.ready and .worker.revision >= $mark") == true ]] &&
                ask --fail "${order_of[$its_node]}/readyz" >/dev/null
            ;;
    esac
}

# Brings it back and waits until it has caught up; sets `back_ms` (empty: not within the limit).
heal_target() {
    local began_ms
    began_ms=$(now_ms)
    down_ms=$((began_ms - hurt_ms))
    bring_back
    tell "--- $(moment): $target is $(if [[ $signal == KILL ]]; then printf 'started again'; else printf 'continued'; fi)"
    back_ms=''
    while (($(now_ms) - began_ms < back_limit_ms)); do
        if is_back; then
            back_ms=$(($(now_ms) - began_ms))
            tell "--- $(moment): $target is back and has caught up, after $back_ms ms"
            return
        fi
        rest 0.02
    done
    tell "--- $(moment): $target is not back after $((back_limit_ms / 1000)) s"
}
