# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # what coherencetest.sh knows
# The cluster that is tested: one of its own with a hostile network, or the one that runs; and the network itself.

cluster() { "$clone/client/cluster.sh" "$@" </dev/null; }

# ---- a throwaway cluster -------------------------------------------------------------------------

# A net in 127/8 that nobody listens on, so that ports need not differ from those of other clusters. They are not the default ones.
cluster_choose_net() {
    local taken tries
    taken=$(ss -Hltn | awk '{print $4}')
    for tries in {1..100}; do
        PYGMY_CLUSTER_NET=127.$((1 + BASHPID % 254)).$((1 + tries * 7 % 254))
        if [[ $taken != *"$PYGMY_CLUSTER_NET."* ]]; then break; fi
    done
    export PYGMY_CLUSTER_NET PYGMY_LISTEN=$PYGMY_CLUSTER_NET.100 PYGMY_PORT_METRICS=off
    export PYGMY_PORT_FRONTEND=18010 PYGMY_PORT_PUSH=18019 PYGMY_PORT_CATALOG_A=18011 PYGMY_PORT_ORDER_A=18013 \
        PYGMY_PORT_ETCD=18379 PYGMY_PORT_ETCD_PEER=18380
}

cluster_start_own() {
    local variable
    for variable in "${!PYGMY_@}"; do [[ $variable == PYGMY_BUILD ]] || unset "$variable"; done
    own_folder=$(mktemp -d "${TMPDIR:-/var/tmp}/pygmy-coherencetest.XXXXXX")
    chmod 0711 "$own_folder"
    export PYGMY_STATE_DIR=$own_folder/state PYGMY_RUN_DIR=$own_folder/run PYGMY_CLIENT_ENV=$own_folder/pygmy.env PYGMY_CLUSTER_VIA=$via
    cluster_choose_net
    network_start
    tell "Starting a cluster of three nodes and two frontends in $own_folder"
    cluster start --frontends 2 >"$folder/cluster.log" 2>&1 || {
        cat "$folder/cluster.log" >&2
        fail "$exit_no_cluster" "the cluster did not start"
    }
}

cluster_end() {
    local result=0
    if [[ -z $own_folder ]]; then return 0; fi
    cluster reset >>"$folder/cluster.log" 2>&1 || result=1
    if [[ $result -ne 0 ]]; then cat "$folder/cluster.log" >&2; fi
    network_end
    rm -rf -- "$own_folder"
    own_folder=''
    return "$result"
}

# ---- the network between nodes and frontends -----------------------------------------------------

network_start() {
    local words=() node number port
    for node in 1 2 3; do
        words+=(--pass "$PYGMY_CLUSTER_NET.$node:$((PYGMY_PORT_CATALOG_A + via))=$PYGMY_CLUSTER_NET.$node:$PYGMY_PORT_CATALOG_A")
    done
    for number in 0 1; do
        port=$((PYGMY_PORT_PUSH + 10 * number))
        words+=(--pass "$PYGMY_LISTEN:$((port + via))=$PYGMY_LISTEN:$port")
    done
    setsid "$tools/peer_proxy" "${words[@]}" --control "$folder/network" --seed "$seed" </dev/null >"$folder/network.counts" 2>"$folder/network.log" &
    proxy_pid=$!
}

# Of the lost pushes the same share is lost in each of four ways. (They are drawn one after the other, each from what is left.)
network_spoil() {
    if [[ -z $proxy_pid ]]; then return 0; fi
    awk -v pushes="$lost_pushes" -v fills="$slow_fills" -v leases="$lost_leases" -v broken="$broken" 'BEGIN {
        share = pushes / 400
        split("push_swallowed push_unanswered push_broken", names, " ")
        left = 1
        for (i = 1; i <= 3; i++) { printf "%s %.6f\n", names[i], share / left; left -= share }
        if (broken == "yes") { print "push_forged 0.1"; left -= left * 0.1 }
        if (left > 0) printf "push_late %.6f\n", share / left
        printf "fill_trickled %.6f\n", 0.7 * fills / 100
        printf "fill_held %.6f\n", 0.3 * fills / 100 / (1 - 0.7 * fills / 100)
        printf "lease_lost %.6f\nlease_late %.6f\n", leases / 200, leases / 200
    }' >"$folder/network.new"
    mv -- "$folder/network.new" "$folder/network"
}

network_calm() { rm -f -- "$folder/network"; }

network_end() {
    if [[ -z $proxy_pid ]]; then return 0; fi
    kill -TERM "$proxy_pid" 2>/dev/null || :
    wait "$proxy_pid" 2>/dev/null || :
    proxy_pid=''
}

# What it has done, as JSON; null where it is not ours. It must have ended.
network_counts() {
    if [[ -s $folder/network.counts ]]; then tail -n 1 "$folder/network.counts"; else printf 'null\n'; fi
}

# ---- what there is -------------------------------------------------------------------------------

# Sets frontends, catalogs and orders (URLs), frontend_names, nodes, tls and token_file.
cluster_find() {
    local status code=0 settings
    status=$(cluster status --json) || code=$?
    case $code in
        0) ;;
        3) fail "$exit_no_cluster" "no cluster runs; 'make cluster FRONTENDS=2' starts one, --own brings one" ;;
        *) fail "$exit_no_cluster" "the cluster is not whole, see 'client/cluster.sh status'; 'make cluster' repairs it" ;;
    esac
    settings=$(cluster env)
    setting() { sed -n "s/^$1=\"\(.*\)\"$/\1/p" <<<"$settings"; }
    IFS=, read -r -a frontends < <(setting PYGMY_URL)
    mapfile -t frontend_names < <(jq -r '.processes[].name | select(startswith("frontend"))' <<<"$status")
    mapfile -t nodes < <(jq -r '.nodes[].name' <<<"$status")
    mapfile -t catalogs < <(jq -r '.nodes[].catalog | rtrimstr("/")' <<<"$status")
    mapfile -t orders < <(jq -r '.nodes[].order | rtrimstr("/")' <<<"$status")
    mapfile -t etcd_names < <(jq -r '.processes[].name | select(startswith("etcd-"))' <<<"$status")
    read -r -a etcd_urls < <(setting PYGMY_ETCD)
    state_dir=$(jq -r .state_dir <<<"$status") fences_before=0
    fences_before=$(fences_logged)
    token_file=$(setting PYGMY_SECRETS_DIR)/admin.token
    [[ -r $token_file ]] || fail "$exit_failed" "this user can not read the admin token, $token_file"
    tls=() curl_tls=()
    if [[ -n $(setting PYGMY_PEER_CA) ]]; then
        tls=(--ca "$(setting PYGMY_PEER_CA)" --cert "$(setting PYGMY_PEER_CERT)" --key "$(setting PYGMY_PEER_KEY)")
        curl_tls=(--cacert "${tls[1]}" --cert "${tls[3]}" --key "${tls[5]}")
    fi
}

# How often the nodes have had a frontend fenced, by their logs.
fences_logged() { cat -- "$state_dir"/*/logs/*.log 2>/dev/null | grep -c ' is fenced as of index ' || :; }

# The name of the etcd member that leads.
etcd_leader() {
    local i
    for i in "${!etcd_names[@]}"; do
        if [[ $(curl --silent --max-time 2 --noproxy '*' "${curl_tls[@]}" --data '{}' "${etcd_urls[i]}/v3/maintenance/status" |
            jq -r '.leader == .header.member_id') == true ]]; then
            printf '%s' "${etcd_names[i]}" && return
        fi
    done
    return 1
}
