#!/usr/bin/env bash
# Hosts to deploy to, on one machine: each with a systemd of its own, its own disk, address and ssh server. Needs root.
#
#   tests/deploy/hosts.sh check              whether this machine can have such hosts; code 3, and why, if it can't
#   tests/deploy/hosts.sh up [COUNT]         COUNT (4) bare hosts n1, n2, ... at 10.77.0.11, .12, ...; ends when ssh answers on all
#   tests/deploy/hosts.sh run COMMAND...     run it as the controller: in the hosts' network, at 10.77.0.1
#   tests/deploy/hosts.sh ssh HOST [COMMAND] log in as the user "admin", who has sudo
#   tests/deploy/hosts.sh kill HOST...       dies as a machine without power does: kill -9 of its init, and no packet leaves it
#   tests/deploy/hosts.sh start HOST...      boot it again from the same disk
#   tests/deploy/hosts.sh replace HOST...    an empty machine in its place, with the same name and address
#   tests/deploy/hosts.sh cut|heal HOST...   pull its network cable, put it in again
#   tests/deploy/hosts.sh status             which hosts there are, and whether they run
#   tests/deploy/hosts.sh settings           where the key and known_hosts are, as KEY="value" lines
#   tests/deploy/hosts.sh down               end all of it, and delete their disks
#   tests/deploy/hosts.sh clean              also delete the tree that they are made from
#
# A host is a systemd-nspawn container, booted, in a network namespace of its own. Its disk is an overlay over a base tree, which
# mmdebstrap makes once, of the distribution of this machine. The base tree holds a small repository of packages for apt, so
# that hosts need no way out: a bridge between them and the controller is all the network there is. Neither this machine's
# network nor anything outside of the folder is changed, so several such groups of hosts can run on a machine, each with the same addresses.
#
# Everything is below $PYGMY_HOSTS_DIR (.build/deploy in the clone). What `up` made and nobody ended, since it was killed itself, the
# next `up` or `down` ends.
#
# Not as on a real machine: there are no cgroup controllers (MemoryMax, CPUQuota and TasksMax have no effect), all share a kernel, a clock
# and a disk, and a power cut loses nothing that was written.
set -euo pipefail
export LC_ALL=C.UTF-8 PATH="$PATH:/usr/sbin:/sbin"

clone=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
readonly clone
readonly folder=${PYGMY_HOSTS_DIR:-$clone/.build/deploy}
readonly run=$folder/run
readonly net=10.77.0 controller=10.77.0.1 user=admin
readonly boot_limit_s=60 end_limit_s=10 host_max=9
readonly exit_usage=2 exit_cannot=3

# What a bare host has, as an image of a cloud has it.
readonly base_packages=(systemd systemd-sysv dbus libpam-systemd openssh-server python3 python3-apt sudo iproute2 ca-certificates)
# What a deployment installs, beside the project's own package.
readonly pool_packages=(nginx libnginx-mod-http-lua lua-resty-core spawn-fcgi multiwatch libfcgi0ldbl libfcgi-bin libsqlite3-0 libcurl4 libjansson4
    libsodium23 libxml2 zlib1g etcd-server etcd-client nftables logrotate curl openssl jq sqlite3 wrk gnuplot-nox procps util-linux
    python3-cryptography acl rsync adduser dbus-user-session cron)

say() { printf '%s\n' "$*" >&2; }
fail() {
    local code=$1
    shift
    say "hosts: $*"
    exit "$code"
}
usage() { sed -n '2,/^set /{/^#/!d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

address() { printf '%s.1%s' "$net" "${1#n}"; }
is_host() { [[ $1 =~ ^n[1-9]$ && -d $run/$1 ]]; }
hosts() { find "$run" -mindepth 1 -maxdepth 1 -type d -name 'n[1-9]' -printf '%f\n' 2>/dev/null | sort; }
# Names that all of the machine see begin with this: network namespaces, machines, cgroups.
prefix() { cat -- "$run/prefix"; }
hub() { printf '%s-hub' "$(prefix)"; }

# ---- what the machine must be able to do -----------------------------------------------------------

# Prints the writable cgroup hierarchies that a booted systemd needs: the one of a unified layout, or the two of a hybrid one.
cgroup_roots() {
    local path
    if [[ $(stat -fc %T /sys/fs/cgroup 2>/dev/null) == cgroup2fs ]]; then
        printf '/sys/fs/cgroup\n'
    else
        for path in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
            if [[ -d $path ]]; then printf '%s\n' "$path"; fi
        done
    fi
}

has_systemd() { [[ -d /run/systemd/system ]]; }

check_cgroups() {
    local root probe
    if has_systemd; then return; fi
    [[ -n $(cgroup_roots) ]] || fail "$exit_cannot" "no cgroup hierarchy is mounted at /sys/fs/cgroup, which systemd needs to boot a host"
    while read -r root; do
        probe=$root/pygmy-probe-$$
        if ! mkdir -- "$probe" 2>/dev/null; then fail "$exit_cannot" "$root is not writable: a host's systemd could not start"; fi
        rmdir -- "$probe"
    done < <(cgroup_roots)
}

check_overlay() {
    local probe said
    mkdir -p -- "$folder"
    probe=$(mktemp -d "$folder/probe.XXXXXX")
    mkdir "$probe"/{lower,upper,work,root}
    said=$(unshare --mount --propagation private mount -t overlay overlay -o "lowerdir=$probe/lower,upperdir=$probe/upper,workdir=$probe/work" \
        "$probe/root" 2>&1) || { rm -rf -- "$probe" && fail "$exit_cannot" "no overlay file system can be mounted in $folder: ${said:-unshare failed}"; }
    rm -rf -- "$probe"
}

check_network() {
    local name=pygmy-probe-$$ said
    said=$(ip netns add "$name" 2>&1) || fail "$exit_cannot" "no network namespace can be made: $said"
    said=$(ip -n "$name" link add br0 type bridge 2>&1 && ip -n "$name" link add veth0 type veth peer name veth1 2>&1 &&
        ip netns exec "$name" nft 'add table inet pygmy_probe' 2>&1) ||
        { ip netns del "$name" && fail "$exit_cannot" "no bridge, veth or nftables in a network namespace: $said"; }
    ip netns del "$name"
}

check() {
    local program missing=()
    for program in systemd-nspawn mmdebstrap ip nft ssh ssh-keygen dpkg-scanpackages unshare flock; do
        if ! command -v "$program" >/dev/null; then missing+=("$program"); fi
    done
    [[ ${#missing[@]} -eq 0 ]] || fail "$exit_cannot" "missing: ${missing[*]}; client/deps.sh deploy installs them"
    case $folder in *[:,\ ]*) fail "$exit_cannot" "an overlay cannot be mounted below '$folder': its name holds a blank, comma or colon" ;; esac
    check_cgroups
    check_overlay
    check_network
}

# ---- the base tree -------------------------------------------------------------------------------

# shellcheck source=/dev/null
distribution() { (. /etc/os-release && printf '%s' "${!1}"); }

# Prints this machine's sources of its distribution's packages, without what else it may have.
base_sources() {
    local origin
    origin=$(distribution ID)
    # shellcheck disable=SC2016  # apt's own words
    apt-get indextargets --format '$(ORIGIN)|deb $(REPO_URI) $(SUITE) $(COMPONENT)' 'Created-By: Packages' | sed -n "s/^${origin^}|//p" | sort -u
}

# Changes when another base tree is needed.
base_key() { { distribution VERSION_CODENAME && sed -n '/^readonly base_packages/,/^$/p; /^base_make/,/^}/p' "${BASH_SOURCE[0]}"; } | sha256sum | cut -c 1-16; }

# Makes the base tree, unless there is one that fits. One base tree is kept.
base() {
    local key pool
    key=$(base_key)
    if [[ $(cat -- "$folder/base.key" 2>/dev/null) == "$key" ]]; then return; fi
    say "Making the tree of a bare host (once)"
    rm -rf -- "$folder/base" "$folder/base.key"
    base_make >"$folder/base.log" 2>&1 || { tail -n 20 "$folder/base.log" >&2 && fail 1 "mmdebstrap failed; all of it is in $folder/base.log"; }
    pool=$(du -sm "$folder/base" | cut -f 1)
    say "It takes $pool MB in $folder/base"
    printf '%s\n' "$key" >"$folder/base.key"
}

base_make() {
    local sources options=() line hook
    sources=$(base_sources)
    [[ -n $sources ]] || { printf 'apt knows no package list of this distribution: apt-get update\n' && return 1; }
    while read -r line; do options+=("--aptopt=$line"); done < <(apt-config dump | grep -E '^Acquire::https?::Proxy ' || :)
    # What the deployment will install is downloaded and becomes a repository inside.
    hook=$folder/base.hook
    # shellcheck disable=SC2016  # the hook's own variables
    printf '%s\n' '#!/bin/bash' 'set -euo pipefail' \
        'chroot "$1" apt-get install --yes --download-only --no-install-recommends '"${pool_packages[*]}" \
        'mkdir -p "$1/srv/pool" && find "$1/var/cache/apt/archives" -name "*.deb" -exec mv -t "$1/srv/pool" {} +' \
        'cd "$1/srv/pool" && dpkg-scanpackages --multiversion . >Packages' \
        'rm -rf "$1"/etc/apt/sources.list.d/* "$1"/var/lib/apt/lists/*' \
        'echo "deb [trusted=yes] file:/srv/pool ./" >"$1/etc/apt/sources.list" && chroot "$1" apt-get update' >"$hook"
    chmod 0755 "$hook"
    mmdebstrap --mode=root --variant=minbase --include="$(IFS=, && printf '%s' "${base_packages[*]}")" \
        --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Retries "3"' "${options[@]}" \
        --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook="$hook" --skip=cleanup/apt/lists "$(distribution VERSION_CODENAME)" "$folder/base" - <<<"$sources" || return
    rm -f -- "$folder/base"/etc/ssh/ssh_host_* "$folder/base/usr/sbin/policy-rc.d" "$folder/base/etc/resolv.conf" "$hook"
    : >"$folder/base/etc/machine-id"
    printf 'nameserver 127.0.0.1\n' >"$folder/base/etc/resolv.conf" # nobody answers, at once
    chroot "$folder/base" useradd --create-home --shell /bin/bash "$user"
    printf '%s ALL=(ALL) NOPASSWD:ALL\n' "$user" >"$folder/base/etc/sudoers.d/90-cloud"
    chmod 0440 "$folder/base/etc/sudoers.d/90-cloud"
}

# ---- network -------------------------------------------------------------------------------------

network_make() {
    local space
    space=$(hub)
    ip netns add "$space"
    ip -n "$space" link set lo up
    ip -n "$space" link add br0 type bridge
    ip -n "$space" address add "$controller/24" dev br0
    ip -n "$space" link set br0 up
}

# network_add HOST
network_add() {
    local space
    space=$(prefix)-$1
    ip netns add "$space"
    ip -n "$space" link set lo up
    ip link add eth0 netns "$space" type veth peer name "$1" netns "$(hub)"
    ip -n "$(hub)" link set "$1" master br0 up
    ip -n "$space" address add "$(address "$1")/24" dev eth0
    ip -n "$space" link set eth0 up
    ip -n "$space" route add default via "$controller" # for who asks which address is the machine's; nothing is forwarded
}

network_delete() {
    local space
    ip netns list | cut -d ' ' -f 1 | grep -E "^$(prefix)-(hub|n[1-9])$" | while read -r space; do ip netns del "$space"; done || :
}

# ---- one host ------------------------------------------------------------------------------------

# A fresh disk: disk_make HOST
disk_make() {
    local host=$1 upper=$run/$1/upper
    rm -rf -- "${run:?}/$host"
    mkdir -p -- "$run/$host"/{upper/etc/ssh,upper/home/$user/.ssh,work,root}
    printf '%s\n' "$host" >"$upper/etc/hostname"
    printf '127.0.0.1 localhost\n%s %s\n' "$(address "$host")" "$host" >"$upper/etc/hosts"
    tr -d - </proc/sys/kernel/random/uuid >"$upper/etc/machine-id"
    ssh-keygen -q -t ed25519 -N '' -C "$host" -f "$upper/etc/ssh/ssh_host_ed25519_key"
    # (A directory of an upper layer hides the owner and mode of the one below.)
    chown -R --reference="$folder/base/home/$user" "$upper/home/$user"
    chmod --reference="$folder/base/home/$user" "$upper/home/$user"
    install -m 0600 --owner="$(stat -c %u "$folder/base/home/$user")" --group="$(stat -c %g "$folder/base/home/$user")" "$run/key.pub" "$upper/home/$user/.ssh/authorized_keys"
    chmod 0700 "$upper/home/$user/.ssh"
    touch -- "$run/known_hosts"
    ssh-keygen -q -f "$run/known_hosts" -R "$(address "$host")" >/dev/null 2>&1 || :
    printf '%s %s\n' "$(address "$host")" "$(cut -d ' ' -f 1,2 "$upper/etc/ssh/ssh_host_ed25519_key.pub")" >>"$run/known_hosts"
}

# Sets `since` to the time at which a process began. Who waits to be collected by its parent does not live: lives PID
lives() {
    local text='' words
    { IFS= read -r text <"/proc/$1/stat"; } 2>/dev/null || return 1
    read -r -a words <<<"${text##*) }"
    since=${words[19]}
    [[ ${words[0]} != [ZX]* ]]
}

# Prints the pid of the process that is the host, if it lives: nspawn_pid HOST
nspawn_pid() {
    local pid began since
    read -r pid began 2>/dev/null <"$run/$1/process" && lives "$pid" && [[ $since == "$began" ]] && printf '%s\n' "$pid"
}

# Prints the pid, as seen from here, of the host's init: init_pid HOST
init_pid() {
    local pid
    pid=$(nspawn_pid "$1") && ps --ppid "$pid" -o pid= | head -n 1 | tr -d ' ' | grep .
}

# boot HOST: returns at once.
boot() {
    local host=$1 name words=() root since
    if nspawn_pid "$host" >/dev/null; then fail 1 "$host runs already"; fi
    name=$(prefix)-$host
    ip -n "$(hub)" link set "$host" up
    # Without a systemd that would make a scope, the host gets a cgroup from here.
    if ! has_systemd; then words+=(--keep-unit); fi
    (
        if ! has_systemd; then
            while read -r root; do
                mkdir -p -- "$root/$name"
                printf '%s\n' "$BASHPID" >"$root/$name/cgroup.procs"
            done < <(cgroup_roots)
        fi
        # The hosts see one cgroup hierarchy, and may set what belongs to their network. The disk is mounted for them only: it goes with them.
        # shellcheck disable=SC2016  # expanded by the inner shell
        exec setsid env SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_API_VFS_WRITABLE=network \
            unshare --mount --propagation private bash -c \
            'mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root" && shift 2 && exec systemd-nspawn "$@"' host \
            "$folder/base" "$run/$host" --quiet --boot --directory="$run/$host/root" --machine="$name" --register=no "${words[@]}" \
            --network-namespace-path="/run/netns/$name" --capability=CAP_NET_ADMIN \
            --resolv-conf=off --timezone=off --link-journal=no --console=pipe
    ) </dev/null >>"$run/$host/console.log" 2>&1 3>&- 8>&- &
    if lives "$!"; then printf '%s %s\n' "$!" "$since" >"$run/$host/process"; fi
}

# Waits until ssh answers and all units were started: await HOST
await() {
    local host=$1 deadline=$((SECONDS + boot_limit_s)) state=''
    until state=$(into "$host" systemctl is-system-running --wait 2>&1) || [[ $state == degraded ]]; do
        if ((SECONDS >= deadline)) || ! nspawn_pid "$host" >/dev/null; then
            tail -n 20 "$run/$host/console.log" >&2
            fail 1 "$host does not boot: ${state##*$'\n'}"
        fi
        sleep 0.2
    done
}

# Ends a host's init by SIGKILL; the kernel then kills all its processes: end HOST
end() {
    local host=$1 pid init root deadline since
    if pid=$(nspawn_pid "$host"); then
        if init=$(init_pid "$host"); then kill -s KILL "$init"; else kill -s KILL "$pid"; fi
        deadline=$((SECONDS + end_limit_s))
        while lives "$pid"; do
            ((SECONDS < deadline)) || fail 1 "$host does not end (pid $pid)"
            sleep 0.05
        done
    fi
    rm -f -- "$run/$host/process"
    if [[ -d /run/systemd/nspawn/propagate/$(prefix)-$host ]]; then rmdir -- "/run/systemd/nspawn/propagate/$(prefix)-$host"; fi
    if has_systemd; then return; fi
    while read -r root; do
        if [[ -d $root/$(prefix)-$host ]]; then cgroup_delete "$root/$(prefix)-$host"; fi
    done < <(cgroup_roots)
}

# Ends who is left in a cgroup, and deletes it, which works a moment after the last of its processes has ended.
cgroup_delete() {
    local pid deadline=$((SECONDS + end_limit_s))
    until find "$1" -depth -type d -exec rmdir -- {} + 2>/dev/null; do
        ((SECONDS < deadline)) || fail 1 "the cgroup $1 can't be deleted"
        find "$1" -name cgroup.procs -exec cat -- {} + 2>/dev/null | while read -r pid; do kill -s KILL "$pid" 2>/dev/null || :; done
        sleep 0.05
    done
}

# ---- access --------------------------------------------------------------------------------------

# into HOST COMMAND...
into() {
    local host=$1
    shift
    ip netns exec "$(hub)" ssh -i "$run/key" -o UserKnownHostsFile="$run/known_hosts" -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes -o ConnectTimeout=3 \
        -o ServerAliveInterval=3 -o ServerAliveCountMax=3 -o LogLevel=ERROR -o BatchMode=yes -F /dev/null "$user@$(address "$host")" "$@"
}

settings() {
    printf 'hosts_key="%s"\nhosts_known="%s"\nhosts_user="%s"\nhosts_controller="%s"\n' "$run/key" "$run/known_hosts" "$user" "$controller"
}

status() {
    local host state
    for host in $(hosts); do
        if state=$(init_pid "$host"); then state="runs (init is $state)"; else state='is down'; fi
        printf '%s %s %s, %s MB written\n' "$host" "$(address "$host")" "$state" "$(du -sm "$run/$host/upper" | cut -f 1)"
    done
}

# ---- all of them ---------------------------------------------------------------------------------

up() {
    local count=$1 i
    if [[ -e $run/prefix ]]; then down; fi
    check
    base
    mkdir -p -- "$run"
    printf 'pygmy-%s\n' "$$" >"$run/prefix"
    trap 'trap - EXIT && say "hosts: not up; cleaning up" && down' EXIT
    ssh-keygen -q -t ed25519 -N '' -C pygmy-test-hosts -f "$run/key"
    network_make
    for ((i = 1; i <= count; i++)); do
        disk_make "n$i"
        network_add "n$i"
        boot "n$i"
    done
    for ((i = 1; i <= count; i++)); do await "n$i"; done
    trap - EXIT
}

# Ends whatever runs in the hosts' network: the hosts, and what the controller left there, such as ssh's shared connections.
down() {
    local host pid deadline=$((SECONDS + end_limit_s))
    if [[ ! -e $run/prefix ]]; then return; fi
    for host in $(hosts); do end "$host"; done
    while [[ -e /run/netns/$(hub) && -n $(ip netns pids "$(hub)") ]]; do
        ((SECONDS < deadline)) || fail 1 "these do not end: $(ip netns pids "$(hub)" | tr '\n' ' ')"
        for pid in $(ip netns pids "$(hub)"); do kill -s KILL "$pid" 2>/dev/null || :; done
        sleep 0.05
    done
    network_delete
    # (The tests' folder of shared ssh connections, whose paths must be short: helpers.bash.)
    if [[ -L $run/control ]]; then rm -rf -- "$(readlink "$run/control")"; fi
    rm -rf -- "$run"
}

require_hosts() {
    local host
    [[ -e $run/prefix ]] || fail 1 "there are no hosts; $0 up makes them"
    for host in "$@"; do is_host "$host" || fail "$exit_usage" "there is no host '$host'; there are: $(hosts | tr '\n' ' ')"; done
}

main() {
    local command=${1:-} host
    if [[ $# -gt 0 ]]; then shift; fi
    case $command in
        '' | -h | --help | help) usage && exit ;;
        run | ssh | status | settings) require_hosts ;;
        check | up | kill | start | replace | cut | heal | down | clean)
            [[ $EUID -eq 0 ]] || fail "$exit_cannot" "hosts with a systemd of their own can only be made by root"
            mkdir -p -- "$folder"
            exec 8>"$folder/lock"
            flock --wait 120 8 || fail 1 "another $0 works on these hosts for more than two minutes"
            ;;
        *) fail "$exit_usage" "unknown command '$command'; $0 --help tells them" ;;
    esac
    case $command in
        check) check ;;
        up)
            [[ ${1:-4} =~ ^[1-9]$ && ${1:-4} -le $host_max ]] || fail "$exit_usage" "up takes a number of hosts from 1 to $host_max"
            up "${1:-4}"
            ;;
        run) exec ip netns exec "$(hub)" "$@" ;;
        ssh)
            require_hosts "${1:-}"
            into "$@"
            ;;
        kill)
            require_hosts "$@"
            for host in "$@"; do
                ip -n "$(hub)" link set "$host" down # first, so that no RST tells anybody
                end "$host"
            done
            ;;
        start)
            require_hosts "$@"
            for host in "$@"; do boot "$host"; done
            for host in "$@"; do await "$host"; done
            ;;
        replace)
            require_hosts "$@"
            for host in "$@"; do
                ip -n "$(hub)" link set "$host" down
                end "$host"
                disk_make "$host"
                boot "$host"
            done
            for host in "$@"; do await "$host"; done
            ;;
        cut | heal)
            require_hosts "$@"
            for host in "$@"; do ip -n "$(hub)" link set "$host" "$([[ $command == cut ]] && echo down || echo up)"; done
            ;;
        status) status ;;
        settings) settings ;;
        down) down ;;
        clean) down && rm -rf -- "$folder/base" "$folder/base.key" "$folder/base.log" ;;
    esac
}

main "$@"
