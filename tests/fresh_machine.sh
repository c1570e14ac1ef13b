#!/usr/bin/env bash
# Tries the README's commands on a fresh Debian 12: a minimal system in a chroot, once per scenario.
#
#   tests/fresh_machine.sh [user|root|ci]...       (default: all three)
#
#   user   an ordinary user with sudo, in a clone whose path has a space: make run twice, make stop, make test
#   root   root, in a clone below /root: the same without make test
#   ci     root, on a machine without git and make: .ci/run
#
# It takes the commit that is checked out, needs root, network, about 5 GB below ${TMPDIR:-/var/tmp}, and mmdebstrap, which it
# installs. Every scenario runs in a process and mount namespace of its own: whatever happens, its processes and
# mounts end with it, and the folder is deleted. The network is the machine's, so where the store's ports are taken
# others are used.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
readonly clone=$PWD suite=bookworm
say() { printf '\n==== %s\n' "$*"; }

[[ $EUID -eq 0 ]] || { echo "fresh_machine: needs root" >&2 && exit 1; }
if ! command -v mmdebstrap >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends mmdebstrap </dev/null
fi

work=$(mktemp -d "${TMPDIR:-/var/tmp}/pygmy-fresh.XXXXXX")
chmod 0755 "$work"
trap 'rm -rf --one-file-system -- "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# How this machine reaches its mirror holds inside too.
sources=()
if [[ -f /etc/apt/sources.list.d/debian.sources ]]; then sources=(/etc/apt/sources.list.d/debian.sources); fi
apt-config dump | grep -E '^Acquire::(http|https|Check)' >"$work/apt.conf" || :

say "making a minimal Debian ($suite)"
mmdebstrap --quiet --mode=root --variant=minbase --include=ca-certificates --aptopt="$work/apt.conf" \
    --dpkgopt=force-unsafe-io "$suite" "$work/base.tar" "${sources[@]}"

# Runs a command inside: inside <command...>
inside() {
    # shellcheck disable=SC2016  # expanded by the inner shell
    unshare --mount --pid --fork --kill-child --propagation private bash -euc '
        root=$1; shift
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount -t tmpfs -o mode=0755 run "$root/run"
        exec chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb CI="${CI:-}" "$@"
    ' inside "$work/root" "$@" </dev/null
}

# Makes $work/root anew: fresh_root [package...]
fresh_root() {
    rm -rf --one-file-system -- "$work/root"
    mkdir "$work/root"
    tar -C "$work/root" -xf "$work/base.tar"
    cp /etc/resolv.conf /etc/hosts "$work/root/etc/"
    cp "$work/apt.conf" "$work/root/etc/apt/apt.conf.d/99host"
    rm -f "$work/root/usr/sbin/policy-rc.d"
    if [[ $# -gt 0 ]]; then
        inside bash -c "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $*" >"$work/apt.log" 2>&1 ||
            { tail -n 20 "$work/apt.log" && return 1; }
    fi
    # A user's machine may have forgotten its package lists.
    rm -rf "$work/root/var/lib/apt/lists"
}

# The words that choose other ports where the store's are taken on this machine.
ports() {
    local names=(FRONTEND CATALOG_A CATALOG_B ORDER_A ORDER_B METRICS) i
    if [[ -z $(ss -Hltn '( ( sport >= 8010 and sport <= 8014 ) or sport = 8018 )') ]]; then return; fi
    for i in "${!names[@]}"; do printf 'export PYGMY_PORT_%s=%d; ' "${names[i]}" $((18010 + i)); done
}

# What every scenario but ci does, as text for a shell inside.
shop() {
    ports
    cat <<'SHOP'
set -eu
echo '--- make run, the first time'; time make run
echo '--- make run, again'; time make run | tee /tmp/again
grep -q 'runs already' /tmp/again
make status
test "$(.build/release/bin/pygmy orders | wc -l)" -ge 3
if [ -e /etc/systemd/system/multi-user.target.wants/nginx.service ]; then echo 'nginx is enabled'; exit 1; fi
if ls /etc/rc[2-5].d/S*nginx >/dev/null 2>&1; then echo 'nginx would start at boot'; exit 1; fi
if [ -e /usr/sbin/policy-rc.d ]; then echo 'policy-rc.d was left behind'; exit 1; fi
if ps -eo args= | grep '^nginx: master' | grep -v pygmy; then echo 'this nginx should not run'; exit 1; fi
echo '--- make stop'; make stop
if ps -eo stat=,args= | grep -v '^Z' | grep -E 'nginx:|multiwatch|/app/bin/' | grep -v grep; then echo 'these should have ended'; exit 1; fi
SHOP
}

# make test, as text for a shell inside; it brings etcd, which must stay as quiet as nginx.
test_suite() {
    cat <<'TEST'
echo '--- make test'; time make test
if [ -e /etc/systemd/system/multi-user.target.wants/etcd.service ]; then echo 'etcd is enabled'; exit 1; fi
if ls /etc/rc[2-5].d/S*etcd >/dev/null 2>&1; then echo 'etcd would start at boot'; exit 1; fi
if ps -eo args= | grep -E '(^|/)etcd '; then echo 'this etcd should not run'; exit 1; fi
TEST
}

scenario_user() {
    fresh_root git make sudo
    inside useradd --create-home --shell /bin/bash shopper
    echo 'shopper ALL=(ALL) NOPASSWD: ALL' >"$work/root/etc/sudoers.d/shopper"
    git clone --quiet --no-hardlinks -- "$clone" "$work/root/home/shopper/my store"
    { printf 'cd "/home/shopper/my store"\n' && shop && test_suite; } >"$work/root/home/shopper/shop.sh"
    inside chown -R shopper:shopper /home/shopper
    inside su - shopper -c 'bash shop.sh'
}

scenario_root() {
    fresh_root git make
    git clone --quiet --no-hardlinks -- "$clone" "$work/root/root/pygmy"
    { printf 'cd /root/pygmy\n' && shop; } >"$work/root/root/shop.sh"
    inside env HOME=/root bash /root/shop.sh
}

scenario_ci() {
    fresh_root
    git clone --quiet --no-hardlinks -- "$clone" "$work/root/build"
    CI=true inside bash -c 'cd /build && time .ci/run'
}

main() {
    local name code failed=()
    if [[ $# -eq 0 ]]; then set -- user root ci; fi
    for name in "$@"; do
        declare -F "scenario_$name" >/dev/null || { echo "fresh_machine: unknown scenario $name" >&2 && exit 2; }
    done
    for name in "$@"; do
        say "$name"
        # In a shell of its own, so that an error ends the scenario and not the others.
        set +e
        (set -e; "scenario_$name")
        code=$?
        set -e
        if [[ $code -ne 0 ]]; then failed+=("$name"); fi
    done
    say "$(($# - ${#failed[@]})) scenarios passed, ${#failed[@]} failed ${failed[*]}"
    [[ ${#failed[@]} -eq 0 ]]
}

main "$@"
