# shellcheck shell=bash
# What the tests of the deployment share. tests/deploy/run.sh has brought the hosts up: n1, n2 and n3 become the store, n1 and n2 its frontends, n4 is
# an empty machine. A test file says in setup: load helpers; deploy_load.
#
# bats has file descriptor 3 open, which nobody who stays may inherit.

tree=$(cd -- "$BATS_TEST_DIRNAME/../.." && pwd -P)
# What belongs to the deployment, beside the hosts' disks: it goes with them.
work=${PYGMY_HOSTS_DIR:-$tree/.build/deploy}/run
inventory=$work/hosts.yml
frontends=(http://10.77.0.11:8010 http://10.77.0.12:8010)

hosts() { "$tree/tests/deploy/hosts.sh" "$@" 3>&- </dev/null; }
into() { hosts ssh "$@"; }

deploy_load() {
    [[ -e $work/prefix ]] || { echo 'there are no hosts; run tests/deploy/run.sh' && return 1; }
    # shellcheck disable=SC2046
    eval $(hosts settings)
    if [[ ! -e $inventory ]]; then inventory_write n1,n2,n3 n1,n2,n3 n1,n2; fi
    mkdir -p "$work/controller"
}

# inventory_write ETCD REPLICAS FRONTENDS [CLIENTS]: lists with commas.
# shellcheck disable=SC2154  # what `hosts settings` says
inventory_write() {
    local host
    {
        printf 'all:\n  vars:\n    ansible_user: %s\n    ansible_ssh_private_key_file: %s\n' "$hosts_user" "$hosts_key"
        printf '    ansible_ssh_common_args: -o UserKnownHostsFile=%s -o IdentitiesOnly=yes -F /dev/null\n' "$hosts_known"
        printf '    ansible_python_interpreter: /usr/bin/python3\n'
        printf '    pygmy_deployment: deploy-test\n    pygmy_secrets_dir: %s\n    pygmy_vault_password_file: %s\n' "$work/secrets" "$work/vault-password"
        printf '    pygmy_time_service: false\n    pygmy_logs_dir: %s\n' "$work/logs"
        printf '  hosts:\n'
        for host in n1 n2 n3 n4; do printf '    %s:\n      ansible_host: 10.77.0.1%s\n' "$host" "${host#n}"; done
        inventory_group etcd "$1"
        inventory_group replicas "$2"
        inventory_group frontends "$3"
        if [[ -n ${4:-} ]]; then inventory_group clients "$4"; fi
    } >"$inventory"
}

inventory_group() {
    local host
    printf '%s:\n  hosts:\n' "$1"
    for host in ${2//,/ }; do printf '    %s:\n' "$host"; done
}

# Runs a playbook as the controller would: play site.yml -e x=y
play() {
    (
        cd "$tree/ansible" || exit
        hosts run env -u PYTHONPATH HOME="$work/controller" ANSIBLE_CONFIG="$tree/ansible/ansible.cfg" ANSIBLE_NOCOLOR=1 ANSIBLE_STDOUT_CALLBACK=default \
            ANSIBLE_SSH_CONTROL_PATH_DIR="$(control_folder)" ansible-playbook -i "$inventory" "$@"
    )
}

# ssh's shared connections are Unix sockets, whose names must be short. One folder per run.
control_folder() {
    if [[ ! -e $work/control ]]; then ln -s "$(mktemp -d /tmp/pygmy-ssh.XXXXXX)" "$work/control"; fi
    readlink "$work/control"
}

# shellcheck disable=SC2154  # of bats' run
# Whether the recap of a play in $output says that nothing was changed, and nothing failed, on all of $@.
changed_nothing() {
    local host
    for host in "$@"; do
        grep -Eq "^$host +: ok=[0-9]+ +changed=0 +unreachable=0 +failed=0" <<<"$output" || { echo "$host was changed" && return 1; }
    done
}

# curl as a customer: ask URL [words for curl]
ask() { hosts run curl -sS --max-time 10 "$@"; }

# The administrator's client on a host: pygmy_on n1 status
pygmy_on() {
    local host=$1
    shift
    into "$host" sudo pygmy "$(printf '%q ' "$@")"
}

# wait_until SECONDS COMMAND...
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || { echo "not within its time: $*" && return 1; }
        sleep 0.2
    done
}

host_is_ready() { into "$1" sudo /usr/lib/pygmy/check-node >/dev/null 2>&1; }

# ---- traffic -------------------------------------------------------------------------------------

# Puts two items on sale for the traffic of a test, and sets `items`, `supplies`.
traffic_items() {
    local i id
    items=() supplies=()
    for i in 1 2; do
        id=$(pygmy_on n1 --json item add --title "$BATS_TEST_NAME $i" --topic deploy --cost 1 --count 1000000 | jq -er '.item[0].id')
        items+=(--item "$id") supplies+=(--supplied "$id=1000000")
    done
}

# Customers at both frontends, in the background, until traffic_end (at most 10 minutes): traffic_begin RATE [words for traffic]
traffic_begin() {
    local rate=$1
    shift
    traffic_items
    rm -f "$work"/traffic.*
    "$tree/tests/deploy/hosts.sh" run "$tree/.build/release/tools/traffic" --url "${frontends[0]}" --url "${frontends[1]}" "${items[@]}" --topic deploy --rate "$rate" --seconds 600 \
        --settle-seconds 30 --acks "$work/traffic.acks" --failures "$work/traffic.failures" --timeline "$work/traffic.timeline" "$@" \
        >"$work/traffic.json" 2>"$work/traffic.err" 3>&- </dev/null &
    traffic_pid=$!
    wait_until 10 test -e "$work/traffic.failures"
}

# Ends it, and fails unless every purchase got one definite answer.
traffic_end() {
    local code=0
    kill -s TERM "$traffic_pid"
    wait "$traffic_pid" || code=$?
    traffic_pid=''
    cat "$work/traffic.err"
    jq -c '{purchases, reads, writes}' "$work/traffic.json"
    head -n 20 "$work/traffic.failures"
    return "$code"
}

# Fails unless no request of the traffic failed: no single try, of reads or purchases.
traffic_lost_nothing() {
    jq -e '.reads.failed == 0 and .writes.failed == 0 and .reads.requests > 0 and .purchases.acknowledged > 0' "$work/traffic.json"
}

# Fails unless all replicas hold the same, and every acknowledged order of the traffic, once. Asked from within, since the firewall lets only
# the deployment's own hosts ask replicas: books_agree n1 n2 n3
books_agree() {
    local host nodes=() words
    for host in "$@"; do nodes+=(--node "$host=https://10.77.0.1${host#n}:8011,https://10.77.0.1${host#n}:8013"); done
    words=$(printf '%q ' "${nodes[@]}" "${supplies[@]}")
    "$tree/tests/deploy/hosts.sh" ssh n1 'cat >/tmp/compare && chmod 0755 /tmp/compare' <"$tree/.build/release/tools/compare" 3>&-
    "$tree/tests/deploy/hosts.sh" ssh n1 'cat >/tmp/acks' <"$work/traffic.acks" 3>&-
    into n1 "sudo /tmp/compare $words --acks /tmp/acks --ca /etc/pygmy/tls/ca.crt --cert /etc/pygmy/tls/node.crt --key /etc/pygmy/tls/node.key --wait-seconds 30"
}

# Prints how many copies the traffic has bought, as a frontend tells.
sold() { ask "${2:-${frontends[0]}}/lookup?id=${items[$((2 * $1 + 1))]}" | jq '1000000 - .item[0].count'; }
has_sold() { [[ $(sold 0 "${2:-}") -gt $1 ]]; }

# Waits until the traffic has bought so many more, which must not take longer than SECONDS: goes_on COUNT SECONDS
goes_on() { wait_until "$2" has_sold $(($(sold 0) + $1)); }

# In teardown: no traffic stays when a test fails.
traffic_teardown() {
    if [[ -n ${traffic_pid:-} ]]; then
        kill -s TERM "$traffic_pid" && wait "$traffic_pid" || echo "the traffic ended with $?"
    fi
}
