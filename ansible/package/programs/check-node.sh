#!/usr/bin/env bash
# Tells whether what is enabled of Pygmy on this machine is up and ready: pygmy-check-node [--wait SECONDS] [--quiet]
#
# etcd healthy; the node's two workers ready, drained or not; the frontend answering, with a lease for its cache. Prints a line for each
# that is not, with what it says of itself. Exit status: 0 all ready; 1 not (after SECONDS, if it is to wait); 2 wrong usage.
# Needs root, who alone may read the settings and certificates.
set -euo pipefail

readonly names=(pygmy-etcd pygmy-catalog pygmy-order pygmy-node pygmy-frontend)

fail() {
    printf 'check-node: %s\n' "$2" >&2
    exit "$1"
}

# Prints the value of $2 in the settings file $1, else $3. The last line counts; the value may be in quotes.
setting() {
    local value
    value=$(sed -nE "s/^[[:space:]]*$2=//p" "$1" 2>/dev/null | tail -n 1 | sed -E "s/[[:space:]]+$//; s/^\"(.*)\"$/\1/; s/^'(.*)'$/\1/")
    printf '%s' "${value:-${3:-}}"
}

# Prints a URL's answer, or nothing. Whoever answers with a certificate must show one that is made out to "pygmy".
# ask ADDRESS:PORT PATH CA CERTIFICATE KEY
ask() {
    local words=(--silent --globoff --noproxy '*' --max-time 2 --connect-to "pygmy:${1##*:}:$1")
    if [[ -n $3 ]]; then words+=(--cacert "$3"); fi
    if [[ -n $4 ]]; then words+=(--cert "$4" --key "$5"); fi
    curl "${words[@]}" "http${3:+s}://pygmy:${1##*:}$2" </dev/null || : # (no answer is an empty one)
}

# Prints where a listener is reached from this machine.
reach() { case $1 in 0.0.0.0 | '*') printf 127.0.0.1 ;; '[::]') printf '[::1]' ;; *) printf '%s' "$1" ;; esac }

# ---- what is wrong with each: a line, or nothing ---------------------------------------------------

check_etcd() {
    local file=/etc/pygmy/etcd.env url answer
    url=$(setting "$file" ETCD_LISTEN_CLIENT_URLS http://127.0.0.1:2379)
    url=${url%%,*}
    url=${url%/}
    local address=${url#*://} ca=''
    if [[ $url == https:* ]]; then ca=$(setting "$file" ETCD_TRUSTED_CA_FILE); fi
    answer=$(ask "$(reach "${address%:*}"):${address##*:}" /health "$ca" "${ca:+$(setting "$file" ETCD_CERT_FILE)}" "${ca:+$(setting "$file" ETCD_KEY_FILE)}")
    [[ $answer == *'"health":"true"'* ]] || printf 'etcd: %s\n' "${answer:-does not answer at $url}"
}

check_worker() {
    local file=/etc/pygmy/node.env kind=$1 port answer listen
    case $kind in catalog) port=$(setting "$file" PYGMY_PORT_CATALOG_A 8011) ;; order) port=$(setting "$file" PYGMY_PORT_ORDER_A 8013) ;; esac
    listen=$(reach "$(setting "$file" PYGMY_LISTEN 127.0.0.1)")
    answer=$(ask "$listen:$port" '/readyz?verbose' "$(setting "$file" PYGMY_PEER_CA)" "$(setting "$file" PYGMY_PEER_CERT)" "$(setting "$file" PYGMY_PEER_KEY)")
    [[ $answer == *'"status":"Success"'* ]] || printf '%s: %s\n' "$kind" "${answer:-does not answer at $listen:$port}"
}

check_frontend() {
    local file=/etc/pygmy/frontend.env run listen port answer
    listen=$(reach "$(setting "$file" PYGMY_LISTEN 127.0.0.1)") port=$(setting "$file" PYGMY_PORT_FRONTEND 8010)
    run=$(setting "$file" PYGMY_RUN_DIR /run/pygmy-frontend)
    answer=$(ask "$listen:$port" /healthz '' '' '')
    [[ $answer == *'"status":"Success"'* ]] || { printf 'frontend: %s\n' "${answer:-does not answer at $listen:$port}" && return; }
    answer=$(curl --silent --max-time 2 --unix-socket "$run/frontend.sock" http://pygmy/coherence/status </dev/null || :)
    [[ $answer == *'"leased":true'* ]] || printf 'frontend: it has no lease, so its cache does not work: %s\n' "${answer:-its socket does not answer}"
}

check_all() {
    local name
    for name in "${enabled[@]}"; do
        if ! systemctl --quiet is-active "$name.service"; then
            printf '%s is %s\n' "$name" "$(systemctl show --value --property=ActiveState "$name.service")"
            continue
        fi
        case $name in
            pygmy-etcd) check_etcd ;;
            pygmy-catalog | pygmy-order) if [[ " ${enabled[*]} " == *' pygmy-node '* ]]; then check_worker "${name#pygmy-}"; fi ;;
            pygmy-frontend) check_frontend ;;
        esac
    done
}

wait_s=0 quiet=no
while [[ $# -gt 0 ]]; do
    case $1 in
        --wait) [[ ${2:-} =~ ^[0-9]{1,5}$ ]] || fail 2 '--wait takes a number of seconds' && wait_s=$2 && shift ;;
        --quiet) quiet=yes ;;
        -h | --help) sed -n '2,/^set /{/^#/!d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" && exit 0 ;;
        *) fail 2 "unknown word '$1' (--wait SECONDS, --quiet)" ;;
    esac
    shift
done
[[ $EUID -eq 0 ]] || fail 1 'this needs root'
enabled=()
for name in "${names[@]}"; do
    if systemctl --quiet is-enabled "$name.service" 2>/dev/null; then enabled+=("$name"); fi
done
[[ ${#enabled[@]} -gt 0 ]] || fail 1 'nothing of Pygmy is enabled on this machine'

deadline=$((SECONDS + wait_s))
while problems=$(check_all) && [[ -n $problems ]]; do
    if [[ $SECONDS -ge $deadline ]]; then
        printf '%s\n' "$problems" >&2
        exit 1
    fi
    sleep 0.2
done
if [[ $quiet == no ]]; then printf 'ready: %s\n' "${enabled[*]#pygmy-}"; fi
