#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016  # what setup_file sets; what the copy of the machine expands
# The Debian package: what is in it, and what it does to a machine that installs, upgrades, removes and purges it.
#
# It is installed into a copy of this machine, for real and with this machine's packages: an overlay whose upper layer is in memory, in a mount namespace
# that ends with its last process. systemctl is replaced there by a script that writes down what it was asked for.

setup_file() {
    tree=$(cd -- "$BATS_TEST_DIRNAME/../.." && pwd -P)
    "$tree/client/deps.sh" deb-test
    work=$(mktemp -d /tmp/pygmy-package.XXXXXX)
    export tree work
    version=$(sed -n 's/^#define PYGMY_VERSION "\(.*\)"$/\1/p' "$tree/db/version.h")
    export version deb newer
    mkdir "$work/debs"
    for version in "$version-1" "9.8.7-1"; do
        deb=$("$tree/ansible/package/build.sh" "$version" | tail -n 1)
        cp "$tree/$deb" "$work/debs/"
    done
    newer=$work/debs/${deb##*/}
    version=$(sed -n 's/^#define PYGMY_VERSION "\(.*\)"$/\1/p' "$tree/db/version.h")
    deb=$(echo "$work/debs/pygmy_$version-1_"*.deb)
    mkdir "$work/content" "$work/control"
    dpkg-deb -x "$deb" "$work/content"
    dpkg-deb -e "$deb" "$work/control"
    # Without root or mount namespaces, and where / is an overlay itself, there can be no copy.
    machine_start || echo 'this machine can have no copy of itself (root, mount namespaces, an overlay over /)' >"$work/cannot"
}

# In a test that installs the package.
needs_machine() {
    if [[ -s $work/cannot ]]; then skip "$(cat "$work/cannot")"; fi
}

teardown_file() {
    # Whoever holds the namespace is the last one in it.
    if [[ -s $work/holder ]]; then kill "$(cat "$work/holder")" 2>/dev/null || :; fi
    rm -rf -- "$work"
}

# ---- the copy of this machine --------------------------------------------------------------------

machine_start() {
    mkdir "$work/memory"
    unshare --mount --propagation private bash -eu -c '
        work=$1
        mount -t tmpfs -o size=256m none "$work/memory"
        mkdir "$work"/memory/{upper,work,root}
        root=$work/memory/root
        mount -t overlay -o "lowerdir=/,upperdir=$work/memory/upper,workdir=$work/memory/work" none "$root"
        for folder in proc dev; do mount --rbind "/$folder" "$root/$folder"; done
        mount -t tmpfs none "$root/run"
        mount -t tmpfs none "$root/tmp"
        mkdir -p "$root/run/systemd/system" "$root/run/lock"
        for tool in systemctl deb-systemd-invoke; do
            printf "#!/bin/sh\necho %s \"\$@\" >>/tmp/asked\ncase \"\$*\" in *is-enabled*|*is-active*) exit 1 ;; esac\n" "$tool" >"$root/usr/bin/$tool.fake"
            chmod 0755 "$root/usr/bin/$tool.fake"
            mv "$root/usr/bin/$tool.fake" "$root/usr/bin/$tool"
        done
        mkdir -p "$root/tmp/debs" && mount --bind "$work/debs" "$root/tmp/debs"
        echo $$ >"$work/holder"
        exec sleep 1800' machine "$work" >"$work/machine.log" 2>&1 3>&- </dev/null &
    local maker=$!
    for _ in {1..200}; do
        if [[ -s $work/holder ]] || ! kill -0 "$maker" 2>/dev/null; then break; fi
        sleep 0.05
    done
    [[ -s $work/holder ]] || { cat "$work/machine.log" && return 1; }
    # As on a machine that never saw it.
    inside 'if id -u pygmy >/dev/null 2>&1; then userdel pygmy; fi; rm -rf /etc/pygmy /var/lib/pygmy /var/log/pygmy*'
}

# Runs a shell's words in the copy.
inside() {
    nsenter --mount="/proc/$(cat "$work/holder")/ns/mnt" chroot "$work/memory/root" \
        env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        bash -euo pipefail -c "$1" inside "${@:2}" 3>&- </dev/null
}

install_deb() { inside 'rm -f /tmp/asked; dpkg --force-confold -i "/tmp/debs/${1##*/}" >/tmp/dpkg 2>&1 || { cat /tmp/dpkg; exit 1; }; touch /tmp/asked' "$1"; }
asked() { inside 'cat /tmp/asked'; }

equal() {
    if [[ $1 == "$2" ]]; then return; fi
    printf 'expected: %s\nfound:    %s\n' "$2" "$1"
    return 1
}

# ---- what is in it -------------------------------------------------------------------------------

@test "the package has what a node, a frontend, an administrator and a load test need" {
    local file
    for file in bin/{catalog,order,pygmy,pygmy-load} lib/libpygmy_coherence.so catalogue.json nginx/{render.sh,nginx.conf.template,coherence.lua,public.template} \
        client/loadtest.sh client/loadtest/tables.awk {start-worker,start-nginx,stop-frontend,reload-nginx,closing.bash,await,drain,check-node}; do
        [[ -f $work/content/usr/lib/pygmy/$file ]] || { echo "$file is missing" && return 1; }
    done
    for file in pygmy-{etcd,catalog,order,node,frontend}.service pygmy-frontend.socket pygmy.target pygmy-.service.d/10-all.conf; do
        [[ -f $work/content/usr/lib/systemd/system/$file ]] || { echo "$file is missing" && return 1; }
    done
    # Everything of nginx/ that its configuration may ask for.
    for file in "$tree"/nginx/*.{conf,template,lua} "$tree"/nginx/*/*.conf; do cmp -- "$file" "$work/content/usr/lib/pygmy/${file#"$tree"/}"; done
    equal "$(readlink "$work/content/usr/bin/pygmy")" ../lib/pygmy/bin/pygmy
    [[ $(cat "$work/control/control") =~ Depends:.*nginx-abi-[0-9.-]+ ]]
    # Secrets, settings and data are nobody's but the deployment's.
    [[ ! -e $work/control/conffiles && ! -e $work/content/etc && ! -e $work/content/var ]]
}

@test "everything in it belongs to root, and nobody else can write it" {
    equal "$(dpkg-deb -c "$deb" | awk '$1 !~ /^l/ && ($2 != "root/root" || substr($1, 6, 1) == "w" || substr($1, 9, 1) == "w" || $1 ~ /[st]/)')" ''
    equal "$(find "$work/content" -type f \( -name '*.sh' -o -path '*/bin/*' \) ! -path '*/loadtest/*' ! -perm 0755)" ''
    equal "$(find "$work/content" -type f \( -name '*.conf' -o -name '*.service' -o -name '*.so' \) ! -perm 0644)" ''
}

@test "lintian finds nothing" {
    run lintian --fail-on error,warning --tag-display-limit 0 --allow-root "$deb"
    [[ $status -eq 0 && $output != *[EW]:* ]] || { echo "$output" && return 1; }
}

@test "the programs say the package's version" {
    local program
    for program in catalog order pygmy; do equal "$("$work/content/usr/lib/pygmy/bin/$program" --version)" "$program $version"; done
    run "$work/content/usr/lib/pygmy/bin/catalog" --nonsense
    equal "$status" 2
    dpkg-deb -x "$newer" "$work/newer"
    equal "$("$work/newer/usr/lib/pygmy/bin/order" --version)" 'order 9.8.7'
    equal "$("$work/newer/usr/lib/pygmy/bin/pygmy" --version)" 'pygmy 9.8.7'
}

@test "the scripts are clean" {
    shellcheck --external-sources --source-path=SCRIPTDIR "$tree"/ansible/package/{build.sh,install.sh,programs/*.sh}
    shellcheck "$tree"/ansible/package/debian/pygmy.{postinst,prerm,postrm}
}

# ---- what it does to a machine (in this order) -----------------------------------------------------

@test "installed: a user, its folders, and nothing starts or is enabled" {
    needs_machine
    install_deb "$deb"
    equal "$(asked)" 'systemctl --system daemon-reload'
    equal "$(inside 'getent passwd pygmy | cut -d : -f 5-')" 'Pygmy store:/nonexistent:/usr/sbin/nologin'
    equal "$(inside 'stat -c "%n %a %U:%G" /etc/pygmy /var/lib/pygmy /var/log/pygmy /var/log/pygmy-frontend /run/pygmy /run/pygmy-frontend')" \
        '/etc/pygmy 750 root:pygmy
/var/lib/pygmy 750 pygmy:pygmy
/var/log/pygmy 750 pygmy:pygmy
/var/log/pygmy-frontend 750 pygmy:pygmy
/run/pygmy 750 pygmy:pygmy
/run/pygmy-frontend 750 pygmy:pygmy'
    equal "$(inside 'find /etc/systemd -name "pygmy*"')" ''
    equal "$(inside 'pygmy --version && pygmy-loadtest --help | head -n 1')" "pygmy $version
Loads a Pygmy store as its users would, and tells how it holds up: response times, throughput and failures, per operation and tier."
    run inside 'pygmy-loadtest --own'
    equal "$status" 2
}

@test "configuring it again changes nothing" {
    needs_machine
    local before
    inside 'mkdir -p /etc/pygmy/secrets && echo x >/etc/pygmy/secrets/peer.token && chown -R pygmy /etc/pygmy/secrets && chmod 0600 /etc/pygmy/secrets/peer.token'
    before=$(inside 'find /etc/pygmy /var/lib/pygmy /var/log/pygmy* /run/pygmy* /etc/passwd /etc/group -printf "%p %m %u:%g %s\n"')
    inside 'rm -f /tmp/asked; /var/lib/dpkg/info/pygmy.postinst configure; /var/lib/dpkg/info/pygmy.postinst configure 0.0.1-1'
    equal "$(asked | sort -u)" 'systemctl --system daemon-reload'
    equal "$(inside 'find /etc/pygmy /var/lib/pygmy /var/log/pygmy* /run/pygmy* /etc/passwd /etc/group -printf "%p %m %u:%g %s\n"')" "$before"
}

@test "systemd understands the units, and they are shut in" {
    needs_machine
    local unit exposure
    inside 'cd /etc/pygmy && touch etcd.env node.env && printf "PYGMY_LISTEN=10.0.0.1\nPYGMY_PORT_FRONTEND=80\n" >frontend.env'
    equal "$(inside 'systemd-analyze verify --man=no /usr/lib/systemd/system/pygmy*.{service,socket,target} 2>&1 | grep -i pygmy' || :)" ''
    for unit in etcd catalog order node frontend; do
        exposure=$(inside 'systemd-analyze security --offline=yes --no-pager "pygmy-$1.service" | sed -nE "s/.*exposure level for .*: ([0-9.]+) .*/\1/p"' "$unit")
        awk -v "n=$exposure" 'BEGIN {exit !(n != "" && n < 2)}' || { echo "pygmy-$unit: $exposure" && return 1; }
    done
    # What never gives up restarts once a second, and what is common stands in one place.
    for unit in etcd catalog order node frontend; do
        equal "$(inside 'grep -hE "^(Restart|RestartSec|User|StartLimitIntervalSec)=" /usr/lib/systemd/system/pygmy-.service.d/10-all.conf "/usr/lib/systemd/system/pygmy-$1.service" | sort' "$unit")" \
            'Restart=always
RestartSec=1
StartLimitIntervalSec=0
User=pygmy'
    done
}

@test "the frontend's socket listens where its settings say" {
    needs_machine
    local settings expected
    while IFS='|' read -r settings expected; do
        inside 'printf "$1" >/etc/pygmy/frontend.env; rm -rf /tmp/units; mkdir /tmp/units; /usr/lib/systemd/system-generators/pygmy-generator /tmp/units /tmp/units /tmp/units' "$settings"
        equal "$(inside 'tail -n 1 /tmp/units/pygmy-frontend.socket.d/50-settings.conf')" "ListenStream=$expected"
    done <<'CASES'
PYGMY_LISTEN=10.0.0.1\nPYGMY_PORT_FRONTEND=80\n|10.0.0.1:80
PYGMY_LISTEN="*"\n|0.0.0.0:8010
PYGMY_LISTEN='[::]'\nPYGMY_PORT_FRONTEND="8443" \n|[::]:8443
PYGMY_LISTEN=1.1.1.1\nPYGMY_LISTEN=2.2.2.2\n#PYGMY_LISTEN=3.3.3.3\n|2.2.2.2:8010
# nothing\n|127.0.0.1:8010
CASES
    inside 'rm /etc/pygmy/frontend.env; rm -rf /tmp/units; mkdir /tmp/units; /usr/lib/systemd/system-generators/pygmy-generator /tmp/units /tmp/units /tmp/units'
    equal "$(inside 'ls /tmp/units')" ''
}

@test "a machine is drained, and put back" {
    needs_machine
    inside 'rm -f /etc/pygmy/*.env'
    run inside '/usr/lib/pygmy/drain status'
    equal "$status" 1
    inside 'touch /etc/pygmy/node.env'
    equal "$(inside '/usr/lib/pygmy/drain status')" 'node: in service'
    equal "$(inside '/usr/lib/pygmy/drain on; stat -c %U /run/pygmy/draining')" $'node: draining\npygmy'
    equal "$(inside '/usr/lib/pygmy/drain on frontend; /usr/lib/pygmy/drain status frontend')" $'frontend: draining\nfrontend: draining'
    equal "$(inside 'touch /etc/pygmy/frontend.env; /usr/lib/pygmy/drain off; ls /run/pygmy /run/pygmy-frontend | grep -x draining' || :)" $'node: in service\nfrontend: in service'
    run inside '/usr/lib/pygmy/drain maybe'
    equal "$status" 2
    # What the store's user may put there is not followed as root.
    run inside 'setpriv --reuid=pygmy --regid=pygmy --clear-groups ln -s /etc/pygmy/made /run/pygmy/draining; /usr/lib/pygmy/drain on node'
    [[ $status -ne 0 ]]
    inside 'test ! -e /etc/pygmy/made; rm /run/pygmy/draining'
}

@test "check-node says what is not ready" {
    needs_machine
    run inside 'pygmy-check-node'
    equal "$status $output" '1 check-node: nothing of Pygmy is enabled on this machine'
    run inside 'pygmy-check-node --wait x'
    equal "$status" 2
    # One unit that is enabled, and one that runs but does not answer.
    inside 'printf "%s\n" "#!/bin/sh" "case \"\$*\" in *is-enabled*catalog*|*is-enabled*node*|*is-enabled*etcd*|*is-active*etcd*|*is-active*catalog*) exit 0 ;; *ActiveState*) echo failed ;; *) exit 1 ;; esac" >/usr/local/bin/systemctl; chmod 0755 /usr/local/bin/systemctl'
    run inside 'printf "ETCD_LISTEN_CLIENT_URLS=http://127.0.0.1:1\n" >/etc/pygmy/etcd.env; printf "PYGMY_LISTEN=127.0.0.1\nPYGMY_PORT_CATALOG_A=1\n" >/etc/pygmy/node.env; pygmy-check-node --wait 1'
    inside 'rm /usr/local/bin/systemctl /etc/pygmy/*.env'
    equal "$status $output" '1 etcd: does not answer at http://127.0.0.1:1
catalog: does not answer at 127.0.0.1:1
pygmy-node is failed'
}

@test "an upgrade restarts nothing" {
    needs_machine
    inside 'echo order >/var/lib/pygmy/store.db; echo line >/var/log/pygmy/order-A.log'
    install_deb "$newer"
    equal "$(asked)" 'systemctl --system daemon-reload'
    equal "$(inside 'pygmy --version')" 'pygmy 9.8.7'
    # And back, as a rollback does.
    install_deb "$deb"
    equal "$(asked)" 'systemctl --system daemon-reload'
    equal "$(inside 'pygmy --version; cat /var/lib/pygmy/store.db')" "pygmy $version"$'\norder'
}

@test "removed: what runs is stopped, data, settings and logs stay" {
    needs_machine
    inside 'rm -f /tmp/asked; dpkg -r pygmy >/tmp/dpkg 2>&1'
    [[ $(asked) == 'deb-systemd-invoke stop pygmy.target '*pygmy-frontend.socket*pygmy-etcd.service*$'\n'*daemon-reload* ]] || { asked && return 1; }
    inside 'test ! -e /usr/lib/pygmy -a ! -e /usr/bin/pygmy -a -s /var/lib/pygmy/store.db -a -s /var/log/pygmy/order-A.log -a -s /etc/pygmy/secrets/peer.token'
}

@test "purged: logs are gone, data and settings stay and are named" {
    needs_machine
    local said
    said=$(inside 'dpkg -P pygmy 2>&1')
    [[ $said == *'/var/lib/pygmy holds'*'/etc/pygmy holds'* ]] || { echo "$said" && return 1; }
    inside 'test ! -e /var/log/pygmy -a ! -e /var/log/pygmy-frontend -a ! -e /run/pygmy -a -s /var/lib/pygmy/store.db -a -s /etc/pygmy/secrets/peer.token'
    # One that was never used leaves nothing but its user.
    inside 'rm -r /var/lib/pygmy /etc/pygmy'
    install_deb "$deb"
    said=$(inside 'dpkg -P pygmy 2>&1')
    [[ $said != *holds* ]] || { echo "$said" && return 1; }
    inside 'test ! -e /var/lib/pygmy -a ! -e /etc/pygmy -a ! -e /usr/lib/pygmy; getent passwd pygmy >/dev/null'
}
