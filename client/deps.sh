#!/usr/bin/env bash
# Installs the Debian packages that Pygmy needs and that are missing.
#
#   client/deps.sh [run|cluster|test|deploy|bench|bench-cluster|fuzz|deb|deb-test]...      (default: run)
#
# When nothing is missing, it asks dpkg's database once and does nothing else. Otherwise it needs root: the
# caller is root, or sudo makes it so.
#
# It promises the machine:
#   * No service runs or starts at boot because of it. Debian's packages would start nginx on port 80, etcd, PostgreSQL and Prometheus.
#   * A service that runs already goes on undisturbed: packages named here that are installed are not upgraded,
#     and the restarts and reloads that maintainer scripts ask for are denied while it installs.
#   * An existing /usr/sbin/policy-rc.d is neither changed nor moved, not even for a moment. Where it permits
#     starts, ours is laid over it in a mount namespace that only the installation sees.
#   * Killed at any moment, it leaves nothing that has an effect (see policy_text).
set -euo pipefail

readonly run_packages=(
    gcc libc6-dev pkg-config
    libfcgi-dev libsqlite3-dev libcurl4-openssl-dev libjansson-dev libsodium-dev
    nginx libnginx-mod-http-lua lua-resty-core libpcre2-dev zlib1g-dev spawn-fcgi multiwatch
    curl ca-certificates iproute2 util-linux procps
)
readonly cluster_packages=(etcd-server jq openssl)
readonly deb_packages=(debhelper dpkg-dev fakeroot)
readonly deb_test_packages=(lintian systemd)
readonly fuzz_packages=(clang libclang-rt-dev)
readonly test_packages=(libcmocka-dev bats jq sqlite3 shellcheck file openssl wrk gnuplot-nox prometheus ansible ansible-lint yamllint pyflakes3)
# The hosts that deployment is tested on, and what deploys.
readonly deploy_packages=(ansible python3-boto3 openssh-client systemd-container mmdebstrap dpkg-dev nftables iproute2 util-linux procps)
readonly bench_packages=(wrk gnuplot-nox jq sqlite3)
readonly bench_cluster_packages=(postgresql-15 wrk jq sqlite3)

# What these packages would start or enable, and the package that brings it.
readonly -A services=([nginx]=nginx-common [etcd]=etcd-server [postgresql]=postgresql-common [prometheus]=prometheus)

clone=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
readonly clone
readonly policy=/usr/sbin/policy-rc.d
readonly lock=/run/pygmy-deps.lock
readonly lock_limit_s=300
readonly mark='pygmy client/deps.sh'

say() { printf '%s\n' "$*"; }
fail() {
    printf 'deps: %s\n' "$*" >&2
    exit 1
}

# Prints what a person would have to do instead.
by_hand() {
    if [[ ${#missing[@]} -eq 0 ]]; then say 'apt-get update'; else say "apt-get install --no-install-recommends ${missing[*]}"; fi
}

usage() {
    sed -n '2,/^set /{/^#/!d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
}

# Prints what of the given packages is not installed, one per line.
missing_packages() {
    local installed
    installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p') || :
    comm -23 <(printf '%s\n' "$@" | sort -u) <(sort -u <<<"$installed")
}

# Whether nginx/headers.sh will find what it needs to compile nginx's module: the headers, or a package list that tells where
# to download them.
headers_available() {
    [[ -r /usr/share/nginx/src/configure || -r $clone/.build/nginx/ngx_auto_config.h ]] ||
        apt-cache show --no-all-versions nginx-dev >/dev/null 2>&1
}

is_complete() { [[ ${#missing[@]} -eq 0 ]] && headers_available && ! { [[ $EUID -eq 0 ]] && policy_is_ours; }; }

# A policy that denies everything while somebody holds the lock, that is: while apt-get runs below us, and even if this
# script was killed with -9. Afterwards it permits everything, as a machine without a policy does.
policy_text() {
    cat <<TEXT
#!/bin/sh
# $mark: no package starts, restarts or reloads a service while its installation runs.
# Without effect (everything is permitted) as soon as nobody holds the lock; may be deleted then.
# Services that come with this installation: ${!new_services[*]}
if flock --nonblock $lock true; then exit 0; fi
exit 101
TEXT
}

policy_is_ours() { [[ -f $policy ]] && grep -qF "$mark" "$policy"; }

policy_denies() {
    local code=0 service
    for service in "${!services[@]}"; do
        code=0
        "$policy" "$service" restart >/dev/null 2>&1 </dev/null || code=$?
        [[ $code -eq 101 ]] || return 1
    done
}

# Removes our policy. One that a killed installation left behind tells which services are still to be disabled.
remove_own_policy() {
    local service left=()
    policy_is_ours || return 0
    read -r -a left < <(sed -n 's/^# Services that come with this installation: //p' "$policy") || :
    for service in "${left[@]}"; do
        if [[ -n ${services[$service]:-} ]]; then new_services[$service]=new; fi
    done
    rm -f "$policy"
}

# Sets `apt_wrapper` to words that run a command in a mount namespace where our policy lies over the machine's.
overlay_policy() {
    local propagation
    for propagation in private unchanged; do
        # In a chroot / is no mount point, so nothing can be made private; then nothing may be shared.
        if [[ $propagation == unchanged ]] && grep -q ' shared:' /proc/self/mountinfo; then return 1; fi
        # shellcheck disable=SC2016  # expanded by the inner shell
        apt_wrapper=(unshare --mount --propagation "$propagation"
            bash -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' deps "$work/policy-rc.d" "$policy")
        if "${apt_wrapper[@]}" true 2>>"$log"; then return; fi
    done
    return 1
}

# Sets `apt_wrapper`: the words before apt-get that keep services from starting.
prepare_policy() {
    apt_wrapper=()
    if [[ ! -e $policy && ! -L $policy ]]; then
        local draft=$policy.$$
        policy_text >"$draft"
        chmod 0755 "$draft"
        # A link, not a rename: whoever made a policy in between keeps it.
        if ln "$draft" "$policy"; then rm -f "$draft"; else rm -f "$draft" && fail "$policy appeared meanwhile; run this again"; fi
    elif ! policy_denies; then
        policy_text >"$work/policy-rc.d"
        chmod 0755 "$work/policy-rc.d"
        overlay_policy ||
            fail "$policy permits service starts and cannot be overlaid here (no right to mount). Install by hand: $(by_hand)"
    fi
}

run_apt() {
    "${apt_wrapper[@]}" env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C.UTF-8 apt-get -y -q \
        -o "DPkg::Lock::Timeout=$lock_limit_s" -o Acquire::Retries=3 -o Acquire::http::Timeout=30 \
        -o Acquire::https::Timeout=30 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        -o Dpkg::Use-Pty=0 "$@" </dev/null >>"$log" 2>&1
}

# apt-get waits for dpkg's lock by itself, but not for the lock of the package lists.
update_lists() {
    local deadline=$((SECONDS + lock_limit_s))
    say "Refreshing the package lists"
    until run_apt update; do
        tail -n 5 "$log" | grep -q 'Could not get lock' || return 0 # the installation will tell whether it matters
        ((SECONDS < deadline)) || fail "the package lists are locked by another apt for more than $lock_limit_s s"
        sleep 1
    done
}

install_missing() {
    if ! run_apt install --simulate --no-install-recommends "${missing[@]}"; then update_lists; fi
    say "Installing ${missing[*]}"
    run_apt install --no-install-recommends "${missing[@]}" && return
    if tail -n 5 "$log" | grep -q 'dpkg --configure -a'; then # an earlier installation was cut off
        say "Finishing an interrupted installation first"
        "${apt_wrapper[@]}" env DEBIAN_FRONTEND=noninteractive dpkg --configure -a --force-confdef --force-confold \
            </dev/null >>"$log" 2>&1 || say "deps: dpkg --configure -a failed" >&2
    fi
    # Lists that are older than the mirror name files which are gone.
    update_lists
    run_apt install --no-install-recommends "${missing[@]}" && return
    tail -n 25 "$log" >&2
    return 1
}

# Services that came with this installation do not start at boot either.
disable_services() {
    local service
    for service in "${!services[@]}"; do
        [[ -n ${new_services[$service]:-} ]] || continue
        [[ -z $(missing_packages "${services[$service]}") ]] || continue
        # (It wants to be told for which package it acts.)
        DPKG_MAINTSCRIPT_PACKAGE=${services[$service]} deb-systemd-helper disable "$service.service" ||
            say "deps: could not keep $service.service from starting at boot" >&2
        update-rc.d "$service" disable || say "deps: could not keep /etc/init.d/$service from starting at boot" >&2
        if [[ -d /run/systemd/system ]] && ! systemctl daemon-reload; then say "deps: systemctl daemon-reload failed" >&2; fi
    done >>"$log"
}

clean_up() {
    local code=$?
    trap '' INT TERM HUP
    disable_services
    remove_own_policy
    if [[ $code -eq 0 ]]; then rm -rf "$work"; else say "deps: the log of apt is $log" >&2; fi
}

# Runs as root.
install_as_root() {
    declare -gA new_services=()
    declare -g work log apt_wrapper
    local service
    export PATH="$PATH:/usr/sbin:/sbin"
    umask 022
    work=$(mktemp -d "${TMPDIR:-/tmp}/pygmy-deps.XXXXXX")
    chmod 0755 "$work"
    log=$work/apt.log
    : >"$log"
    exec 8>"$lock"
    flock --wait "$lock_limit_s" 8 || fail "another installation by this script takes more than $lock_limit_s s"
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    remove_own_policy
    mapfile -t missing < <(missing_packages "${wanted[@]}")
    if [[ ${#missing[@]} -eq 0 ]]; then
        headers_available || update_lists
        exit 0
    fi
    for service in "${!services[@]}"; do
        if [[ -n $(missing_packages "${services[$service]}") ]]; then new_services[$service]=new; fi
    done
    prepare_policy
    install_missing || fail "apt-get could not install: ${missing[*]}"
    mapfile -t missing < <(missing_packages "${wanted[@]}")
    [[ ${#missing[@]} -eq 0 ]] || fail "still missing after the installation: ${missing[*]}"
    headers_available || update_lists
}

main() {
    declare -ga wanted=() missing=()
    local set as_root=no
    if [[ ${1:-} == --as-root ]]; then as_root=yes && shift; fi
    if [[ $# -eq 0 ]]; then set -- run; fi
    for set in "$@"; do
        case $set in
            run) wanted+=("${run_packages[@]}") ;;
            cluster) wanted+=("${run_packages[@]}" "${cluster_packages[@]}") ;;
            deb) wanted+=("${run_packages[@]}" "${deb_packages[@]}") ;;
            deb-test) wanted+=("${run_packages[@]}" "${deb_packages[@]}" "${deb_test_packages[@]}" bats) ;;
            fuzz) wanted+=("${run_packages[@]}" "${fuzz_packages[@]}") ;;
            test) wanted+=("${run_packages[@]}" "${cluster_packages[@]}" "${test_packages[@]}" "${fuzz_packages[@]}") ;;
            deploy) wanted+=("${deploy_packages[@]}") ;;
            bench) wanted+=("${run_packages[@]}" "${bench_packages[@]}") ;;
            -h | --help) usage && exit 0 ;;
            bench-cluster) wanted+=("${run_packages[@]}" "${cluster_packages[@]}" "${bench_cluster_packages[@]}") ;;
            *) fail "unknown package set '$set' (run, cluster, test, deploy, bench, bench-cluster, fuzz, deb or deb-test)" ;;
        esac
    done
    command -v dpkg-query >/dev/null || fail "this is not a Debian system; Pygmy is built and tested on Debian 12"
    mapfile -t missing < <(missing_packages "${wanted[@]}")
    if is_complete; then exit 0; fi

    if [[ $EUID -eq 0 ]]; then
        install_as_root
    elif [[ $as_root == yes ]]; then
        fail "sudo did not give root's rights"
    elif ! command -v sudo >/dev/null; then
        fail "packages are missing and there is no sudo. As root: $(by_hand)"
    elif ! sudo -n true 2>/dev/null && ! { [[ -t 0 ]] && [[ -t 2 ]]; }; then
        fail "packages are missing and sudo wants a password. As root: $(by_hand)"
    else
        say "Pygmy needs packages that are not installed; asking sudo for the right to install them"
        sudo -- bash "${BASH_SOURCE[0]}" --as-root "$@"
    fi
}

main "$@"
