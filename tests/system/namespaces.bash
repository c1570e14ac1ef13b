# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034,SC2030,SC2031  # what cluster.bash sets; what the tests read
# A cluster whose machines are network namespaces: a bridge, and each node behind a cable of its own, so that any two of them can be cut off from
# each other. Load it after cluster.
#
#     setup_file() { namespaces_setup; }
#     setup() { namespaces_names; }
#     teardown() { heal && cluster_check; }
#     teardown_file() { namespaces_teardown; }

# The hub is the machine of the frontends and of the customers. namespaces_setup [words of cluster_start]
namespaces_setup() {
    [[ $EUID -eq 0 ]] || skip 'this needs the right to make network namespaces (root)'
    cluster_setup
    export hub=pygmy$$-hub
    ip netns add "$hub" 2>"$store_dir/netns" || {
        rm -rf -- "$store_dir"
        skip "this needs the right to make network namespaces: $(head -n 1 "$store_dir/netns")"
    }
    net_words=(ip netns exec "$hub")
    export PYGMY_CLUSTER_NET=10.$((RANDOM % 200 + 20)).$((RANDOM % 250 + 1))
    export PYGMY_LISTEN=$PYGMY_CLUSTER_NET.100
    make_hub
    # Made in one place, then each node moves behind its cable, with its address.
    cluster_start "$@"
    cluster stop node-A node-B node-C
    for node in A B C; do make_cable "$node"; done
    for node in A B C; do start_node "$node"; done
    whole
}
namespaces_names() {
    net_words=(ip netns exec "$hub")
    cluster_names
}

namespaces_teardown() {
    local node result=0
    [[ -n ${hub:-} ]] || return 0
    net_words=(ip netns exec "$hub")
    cluster_teardown || result=1
    for node in A B C; do if [[ -e /run/netns/$(space_of "$node") ]]; then ip netns del "$(space_of "$node")" || result=1; fi; done
    ip netns del "$hub" || result=1
    return "$result"
}

# helpers.bash's http, from where the customers are.
curl() { command "${net_words[@]}" curl "$@"; }

space_of() { printf '%s-%s' "${hub%-hub}" "$1"; }

make_hub() {
    local node
    ip -n "$hub" link set lo up
    ip -n "$hub" link add br0 type bridge
    ip -n "$hub" addr add "$PYGMY_LISTEN/24" dev br0
    for node in A B C; do ip -n "$hub" addr add "$(address_of "$node")/24" dev br0; done
    ip -n "$hub" link set br0 up
}

make_cable() {
    local space
    space=$(space_of "$1")
    ip -n "$hub" addr del "$(address_of "$1")/24" dev br0
    ip netns add "$space"
    ip -n "$space" link set lo up
    ip -n "$hub" link add "to-$1" type veth peer name eth0 netns "$space"
    ip -n "$hub" link set "to-$1" master br0 up
    ip -n "$space" addr add "$(address_of "$1")/24" dev eth0
    ip -n "$space" link set eth0 up
}

start_node() { ip netns exec "$(space_of "$1")" "$tree/client/cluster.sh" start --no-wait "node-$1" 3>&- </dev/null; }

# ---- cuts ----------------------------------------------------------------------------------------

# The cable of node $1 is pulled.
unplug() { ip -n "$hub" link set "to-$1" down; }
# Nothing from machine $1 gets to machine $2.
block() { ip -n "$(machine_of "$1")" route replace blackhole "$(address_at "$2")/32"; }
# Nothing from node $1 gets to a TCP port $2, of whatever machine.
block_port() { ip -n "$(space_of "$1")" rule add ipproto tcp dport "$2" blackhole; }
machine_of() { if [[ $1 == frontend ]]; then printf '%s' "$hub"; else space_of "$1"; fi; }
address_at() { if [[ $1 == frontend ]]; then printf '%s' "$PYGMY_LISTEN"; else address_of "$1"; fi; }
others_of() { printf '%s\n' A B C | grep -vx "$1"; }
cut_from_peers() {
    local other
    for other in $(others_of "$1"); do block "$1" "$other" && block "$other" "$1"; done
}

# All that was cut works again.
heal() {
    local machine
    for machine in frontend A B C; do
        ip -n "$(machine_of "$machine")" route flush type blackhole
        while ip -n "$(machine_of "$machine")" rule del type blackhole 2>/dev/null; do :; done
        if [[ $machine != frontend ]]; then ip -n "$hub" link set "to-$machine" up; fi
    done
}
