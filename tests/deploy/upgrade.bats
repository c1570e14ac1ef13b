#!/usr/bin/env bats
# shellcheck disable=SC2154  # of helpers.bash
# Rolling upgrades under load. The other versions are the package that was built, under other names; one of them with a worker that ends at once.

setup_file() {
    load helpers
    deploy_load
    local deb
    deb=$(newest_deb)
    version=$(dpkg-deb -f "$deb" Version)
    export deb version good=$version+test1 broken=$version+test2 resumed=$version+test3
    export good_deb=$work/pygmy_good.deb broken_deb=$work/pygmy_broken.deb resumed_deb=$work/pygmy_resumed.deb
    variant "$deb" "$good" "$good_deb"
    variant "$deb" "$broken" "$broken_deb" break_worker
    variant "$deb" "$resumed" "$resumed_deb"
}

setup() {
    load helpers
    deploy_load
}

teardown() { traffic_teardown; }

newest_deb() { find "$tree/.build/deb" -name 'pygmy_*.deb' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-; }

# Builds a package of another version from one: variant DEB VERSION OUT [FUNCTION that changes the folder $1]
variant() {
    local folder
    folder=$(mktemp -d "$work/variant.XXXXXX")
    dpkg-deb --raw-extract "$1" "$folder/tree"
    sed -i "s/^Version: .*/Version: $2/" "$folder/tree/DEBIAN/control"
    if [[ -n ${4:-} ]]; then "$4" "$folder/tree"; fi
    dpkg-deb -Zgzip -z1 --build "$folder/tree" "$3" >/dev/null
    rm -rf "$folder"
}

break_worker() { printf '#!/bin/sh\necho broken on purpose >&2\nexit 1\n' >"$1/usr/lib/pygmy/bin/order"; }

installed() { into "$1" "dpkg-query -W -f '\${Version} \${db:Status-Status}' pygmy"; }

@test "upgrade.yml under load: every host gets the new version, one after the other, and no request fails" {
    traffic_begin 40
    goes_on 20 20
    run play upgrade.yml -e pygmy_deb="$good_deb"
    echo "$output" | tail -n 60
    [ "$status" -eq 0 ]
    goes_on 20 20
    traffic_end
    traffic_lost_nothing
    for host in n1 n2 n3; do
        [ "$(installed "$host")" = "$good installed" ]
        host_is_ready "$host"
    done
    books_agree n1 n2 n3
}

@test "upgrade.yml with the version that is there changes nothing" {
    run play upgrade.yml -e pygmy_deb="$good_deb"
    echo "$output" | tail -n 40
    [ "$status" -eq 0 ]
    changed_nothing n1 n2 n3
}

@test "an upgrade whose new version never gets ready ends on the first host, which gets its former version back; no request fails" {
    traffic_begin 40
    goes_on 20 20
    run play upgrade.yml -e pygmy_deb="$broken_deb" -e pygmy_upgrade_ready_seconds=8
    echo "$output" | tail -n 60
    [ "$status" -ne 0 ]
    [[ $output == *"has $good again"* ]]
    goes_on 20 20
    traffic_end
    traffic_lost_nothing
    for host in n1 n2 n3; do
        [ "$(installed "$host")" = "$good installed" ]
        host_is_ready "$host"
        run into "$host" sudo /usr/lib/pygmy/drain status
        [[ $output != *draining* ]]
    done
    books_agree n1 n2 n3
}

@test "an upgrade that was killed on the first host, behind the installation, is gone on with by the next run" {
    local pid child host
    play upgrade.yml -e pygmy_deb="$resumed_deb" >"$work/interrupted" 2>&1 3>&- </dev/null &
    pid=$!
    has_it() { [ "$(installed n1)" = "$resumed installed" ]; }
    wait_until 120 has_it
    child=$(pgrep -f "ansible-playbook -i $inventory upgrade.yml" | head -n 1)
    kill -s KILL "$child"
    run wait "$pid"
    into n1 'test -e /var/cache/pygmy/upgrading'
    [ "$(installed n2)" != "$resumed installed" ]
    run play upgrade.yml -e pygmy_deb="$resumed_deb"
    echo "$output" | tail -n 60
    [ "$status" -eq 0 ]
    for host in n1 n2 n3; do
        [ "$(installed "$host")" = "$resumed installed" ]
        host_is_ready "$host"
        run into "$host" sudo /usr/lib/pygmy/drain status
        [[ $output != *draining* ]]
        into "$host" 'test ! -e /var/cache/pygmy/upgrading'
    done
    # The first one was restarted, too.
    [ "$(into n1 'stat -c %Y /var/lib/dpkg/info/pygmy.list')" -le "$(into n1 "date +%s -d \"\$(systemctl show -P ActiveEnterTimestamp pygmy-order)\"")" ]
}
