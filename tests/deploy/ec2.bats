#!/usr/bin/env bats
# shellcheck disable=SC2016  # `expect` evaluates what is in quotes
# ec2.yml, ec2-down.yml and the inventory against an imitation of EC2's API (ec2_api.py). No AWS is reached: the playbooks' logic
# is tested, not Amazon. Each test has an account of its own: a process on a free port of 127.0.0.1, a folder, a home.
#
# The first run, which takes longest, is made once (setup_file); most tests begin with what it made.

bats_require_minimum_version 1.5.0
tree=${PYGMY_TREE:-$(cd -- "$BATS_TEST_DIRNAME/../.." && pwd -P)}

setup_file() {
    made=$(mktemp -d /tmp/pygmy-ec2.XXXXXX)
    export made
    account_start "$made"
    {
        foreign_things
        play "$made" ec2.yml
    } >"$made/first.out" 2>&1 || { cat "$made/first.out" && account_stop "$made" && rm -rf -- "$made" && return 1; }
    api state >"$made/state.json"
    echo "$ssh_port" >"$made/ssh_port"
    account_stop "$made"
}

teardown_file() {
    account_stop "$made"
    rm -rf -- "$made"
}

setup() {
    work=$(mktemp -d /tmp/pygmy-ec2.XXXXXX)
    account_start "$work"
}

teardown() {
    account_stop "$work"
    if [[ -z ${BATS_TEST_COMPLETED:-} ]]; then
        jq -c . "$work/calls" 2>/dev/null | tail -n 5 || :
        cat "$work/violations" "$work/api.log" 2>/dev/null || :
    fi
    rm -rf -- "$work"
}

# ---- the account ---------------------------------------------------------------------------------

# Starts an imitation: account_start <folder> [--without-ssh]
account_start() {
    local deadline=$((SECONDS + 60))
    /usr/bin/python3 "$tree/tests/deploy/ec2_api.py" "$@" >"$1/api.log" 2>&1 3>&- &
    echo $! >"$1/pid"
    until [[ -e $1/port ]]; do
        if ((SECONDS > deadline)) || ! kill -0 "$(<"$1/pid")"; then cat "$1/api.log" && return 1; fi
        sleep 0.1
    done
    read -r api_port ssh_port <"$1/port"
    touch "$1/calls" "$1/violations"
}

account_stop() {
    local pid
    if ! read -r pid 2>/dev/null <"$1/pid"; then return 0; fi
    kill "$pid" 2>/dev/null || :
    wait "$pid" 2>/dev/null || :
    rm -f "$1/pid" "$1/port"
}

api() { curl -sSf "${@:2}" "http://127.0.0.1:$api_port/$1"; }
faults() { api faults -d "$1"; }

# What the first run made: state in AWS, and the folder on the controller. (That was on another port, with another folder.)
take_over_the_first_run() {
    sed "s/\\b$(<"$made/ssh_port")\\b/$ssh_port/g" "$made/state.json" >"$work/state.json"
    api state -d @"$work/state.json"
    cp -r "$made/secrets" "$work/"
    sed -i "s|$made/secrets|$work/secrets|g" "$work/secrets/aws_ec2.yml"
}

foreign_things() {
    api foreign -d '{"keys": [{"name": "pygmy2"}, {"name": "pygm", "tags": {"pygmy-deployment": "pygmy"}}],
        "groups": [{"name": "pygmy-inside2"}, {"name": "other", "tags": {"pygmy-deployment": "pygmy"}},
                   {"name": "other2", "tags": {"pygmy-deployment": "pygmy2", "pygmy-made-by": "pygmy-ec2.yml"}}],
        "instances": [{"tags": {"Name": "pygmy-A"}}, {"tags": {"Name": "pygmy-B", "pygmy-deployment": "pygmy"}},
                      {"tags": {"Name": "pygmy2-A", "pygmy-node": "A", "pygmy-deployment": "pygmy2", "pygmy-made-by": "pygmy-ec2.yml"}}]}'
}

# Runs a command as a user with these credentials, who has nothing else: as_user <folder> <command...>
as_user() {
    env -i PATH="$PATH" LC_ALL=C.UTF-8 HOME="$1" AWS_ACCESS_KEY_ID="${key_id-AKTESTER}" AWS_SECRET_ACCESS_KEY=test AWS_REGION="${region-xx-test-1}" \
        AWS_EC2_METADATA_DISABLED=true AWS_URL="http://127.0.0.1:$api_port" PYTHONPATH="${python_path:-}" \
        ANSIBLE_NOCOLOR=1 ANSIBLE_PIPELINING=1 ANSIBLE_LOCALHOST_WARNING=False "${@:2}" 3>&-
}

# play <folder> <playbook> <words...>
play() {
    (cd "$tree/ansible" && as_user "$1" timeout 900 ansible-playbook -i localhost, "$2" -e "pygmy_secrets_dir=$1/secrets" \
        -e "ec2_own_address_url=http://127.0.0.1:$api_port/own-address" -e "ec2_ssh_port=$ssh_port" "${@:3}") </dev/null
}

up() { run play "$work" ec2.yml "$@"; }
down() { run play "$work" ec2-down.yml "$@"; }

# ---- what is expected ------------------------------------------------------------------------------

expect() {
    if ! eval "$1"; then
        echo "expected: $1"
        echo "$output" | tail -n 60
        return 1
    fi
}

# Everything that was asked for was known; changed=<n>, or failed: recap <changed>|failed
recap() {
    expect '[[ ! -s $work/violations ]]'
    if [[ $1 == failed ]]; then
        expect '[[ $status -ne 0 ]]'
    else
        expect '[[ $status -eq 0 ]]'
        expect "grep -q 'changed=$1 .*failed=0' <<<\"\$output\""
    fi
}

said() { expect "tr -s ' \n' ' ' <<<\"\$output\" | grep -qF -- '$1'"; }

# The actions that change something, with how often: writes <calls file>
writes() { jq -r 'select(.action | test("^(Describe|Get|List)") | not) | .action' "$1" | sort | uniq -c | awk '{printf "%s%s*%d", s, $2, $1; s = " "}'; }

# Our instances: ours <jq filter on an instance>
ours() { api state | jq -r '.instances[] | select(.tags["pygmy-made-by"] and .tags["pygmy-deployment"] == "pygmy" and .state != "terminated") | '"$1"; }

foreign_state() { jq -S '{keys: (.keys | del(.pygmy)), groups: [.groups[] | select(.description == "foreign")],
    instances: [.instances[] | select(.key == "foreign") | del(.seen)]}'; }

# ---- the tests -------------------------------------------------------------------------------------

@test "placing: a zone takes as few of a kind as can be, and nothing that exists moves" {
    # (-I: the folder ansible/ of the tree is not the package of that name.)
    run /usr/bin/python3 -I -B - "$tree/ansible/filter_plugins" <<'PYTHON'
import sys
sys.path.insert(0, sys.argv[1])
from ec2_plan import ec2_machines, ec2_place
subnets = [{"subnet_id": f"s-{zone}{n}", "availability_zone": zone} for zone in "cab" for n in "21"]
plan = ec2_machines({"replicas": 5, "etcd": 3, "frontends": 2, "clients": 1})
assert [m["name"] for m in plan] == ["A", "B", "C", "D", "E", "F1", "F2", "L1"]
assert [len(m["groups"]) for m in plan] == [2, 2, 2, 1, 1, 1, 1, 1]
placed = ec2_place(plan, {}, subnets)
assert [placed[m["name"]] for m in plan] == ["s-a1", "s-b1", "s-c1", "s-a1", "s-b1", "s-c1", "s-a1", "s-b1"], placed
# B was lost and its zone is to be avoided: not the zone of A and D.
placed = ec2_place(plan, {"A": "s-a2", "C": "s-c1", "D": "s-a1"}, [s for s in subnets if s["availability_zone"] != "b"])
assert (placed["A"], placed["B"]) == ("s-a2", "s-c1"), placed
for wrong in ({"replicas": 10}, {"replicas": 0}, {"etcd": 2}, {"etcd": 7}, {"frontends": 9}, {"frontends": 0}, {"clients": -1}):
    try:
        ec2_machines({"replicas": 5, "etcd": 3, "frontends": 2, "clients": 1, **wrong})
    except Exception as error:
        assert "ec2_" in str(error)
    else:
        raise AssertionError(wrong)
PYTHON
    expect '[[ $status -eq 0 ]]'
}

@test "the imitation refuses, and notes, an action, a parameter, a filter or a region that it does not know" {
    run as_user "$work" /usr/bin/python3 -I - "http://127.0.0.1:$api_port" <<'PYTHON'
import sys
import boto3
import botocore.exceptions
ec2, elsewhere = (boto3.client("ec2", region_name=region, endpoint_url=sys.argv[1]) for region in ("xx-test-1", "eu-central-1"))
assert len(ec2.describe_subnets()["Subnets"]) == 4
for call in (ec2.describe_vpcs, lambda: ec2.describe_images(Owners=["self"]), elsewhere.describe_subnets,
             lambda: ec2.describe_instances(Filters=[{"Name": "tag-key", "Values": ["x"]}])):
    try:
        call()
    except botocore.exceptions.ClientError as error:
        assert "ImitationRefuses" in str(error), error
    else:
        raise AssertionError(call)
PYTHON
    expect '[[ $status -eq 0 && $(wc -l <"$work/violations") -eq 4 ]]'
}

@test "the first run: exactly these calls change something" {
    [[ ! -s $made/violations ]]
    [[ $(writes "$made/calls") == "AuthorizeSecurityGroupIngress*3 CreateSecurityGroup*3 CreateTags*3 ImportKeyPair*1 RunInstances*5" ]]
    run cat "$made/first.out"
    said "5 machines run in xx-test-1a, xx-test-1b, xx-test-1c; ssh is open for 198.51.100.7/32"
    said "ansible-playbook -i $made/secrets/aws_ec2.yml site.yml"
}

@test "the first run: the security groups open what is needed, and nothing else" {
    run jq -r '.groups as $groups | $groups | to_entries | map({key: .key, value: .value.name}) | from_entries as $names |
        $groups[] | select(.tags["pygmy-made-by"] == "pygmy-ec2.yml" and .tags["pygmy-deployment"] == "pygmy") | .name as $n | .ingress[] |
        $n + " " + .[0] + " " + (.[1:3] | map(tostring) | join("-")) + " from " + (if .[3] == "group" then $names[.[4]] else .[4] end)' "$made/state.json"
    ssh_port=$(<"$made/ssh_port")
    diff <(sort <<<"$output") - <<RULES
pygmy-frontend tcp 8010-8010 from 0.0.0.0/0
pygmy-inside tcp 2379-2379 from pygmy-inside
pygmy-inside tcp 2380-2380 from pygmy-inside
pygmy-inside tcp 8011-8011 from pygmy-inside
pygmy-inside tcp 8013-8013 from pygmy-inside
pygmy-inside tcp 8018-8018 from pygmy-inside
pygmy-inside tcp 8019-8019 from pygmy-inside
pygmy-ssh tcp $ssh_port-$ssh_port from 198.51.100.7/32
RULES
}

@test "the first run: machines over the zones, with an encrypted gp3 disk, IMDSv2 only, tags, and the groups of their role" {
    api state -d @"$made/state.json"
    run ours '[.tags["pygmy-node"], .tags["pygmy-role"], .tags["pygmy-groups"], .tags.Name, .zone[-1:], .type, .image, .state] | join(" ")'
    diff <(sort <<<"$output") - <<'MACHINES'
A replica etcd+replicas pygmy-A a t3.small ami-0000000000000new running
B replica etcd+replicas pygmy-B b t3.small ami-0000000000000new running
C replica etcd+replicas pygmy-C c t3.small ami-0000000000000new running
F1 frontend frontends pygmy-F1 a t3.small ami-0000000000000new running
F2 frontend frontends pygmy-F2 b t3.small ami-0000000000000new running
MACHINES
    run ours '[.metadata.HttpTokens, .metadata.HttpPutResponseHopLimit, .volumes[0].Ebs.Encrypted, .volumes[0].Ebs.VolumeType,
        .volumes[0].Ebs.DeleteOnTermination, .volumes[0].DeviceName, (.volumes | length), .protected, .volume_tags["pygmy-deployment"]] | map(tostring) | join(" ")'
    [[ $(sort -u <<<"$output") == "required 1 true gp3 true /dev/xvda 1 false pygmy" ]]
    run api state
    run jq -r '.groups as $g | .instances[] | select(.tags["pygmy-node"] and .tags["pygmy-deployment"] == "pygmy") |
        .tags["pygmy-role"] + ": " + ([.groups[] | $g[.].name] | sort | join(" "))' <<<"$output"
    diff <(sort -u <<<"$output") - <<'GROUPS'
frontend: pygmy-frontend pygmy-inside pygmy-ssh
replica: pygmy-inside pygmy-ssh
GROUPS
}

@test "the first run: an ssh key that only its owner can read, and its public half in AWS" {
    [[ $(stat -c %a "$made/secrets") == 700 && $(stat -c %a "$made/secrets/ssh_key") == 600 && $(stat -c %a "$made/secrets/aws_ec2.yml") == 600 ]]
    [[ $(jq -r .keys.pygmy.material "$made/state.json" | base64 -d) == "$(cut -d ' ' -f 1,2 "$made/secrets/ssh_key.pub")" ]]
    # The secret half went nowhere.
    run ! grep -qF "$(sed -n 2p "$made/secrets/ssh_key")" "$made/calls" "$made/first.out"
}

@test "the second run changes nothing, with --check neither" {
    take_over_the_first_run
    up
    recap 0
    [[ -z $(writes "$work/calls") ]]
    up --check
    recap 0
}

@test "--check in an empty account says what it would make, and makes nothing" {
    up --check
    recap 6
    [[ -z $(writes "$work/calls") && ! -e $work/secrets ]]
}

@test "the inventory has the machines in their groups, with their variables" {
    take_over_the_first_run
    # (What Debian's inventory plugin cannot be told by a setting: where the API is.)
    python_path=$work
    cat >"$work/sitecustomize.py" <<'PYTHON'
import os
import botocore.session
create_client = botocore.session.Session.create_client
botocore.session.Session.create_client = lambda self, *words, **named: create_client(self, *words, **{**named, "endpoint_url": os.environ["AWS_URL"]})
PYTHON
    local file
    for file in "$work/secrets/aws_ec2.yml" "$tree/ansible/inventory/aws_ec2.yml"; do
        as_user "$work" ansible-inventory -i "$file" --list >"$work/list.json"
        [[ ! -s $work/violations ]]
        run jq -r 'to_entries[] | select(.key | IN("etcd", "replicas", "frontends", "clients")) | .key + ": " + ((.value.hosts // []) | sort | join(" "))' "$work/list.json"
        diff <(sort <<<"$output" | grep -v 'clients: $') - <<'GROUPS'
etcd: pygmy-A pygmy-B pygmy-C
frontends: pygmy-F1 pygmy-F2
replicas: pygmy-A pygmy-B pygmy-C
GROUPS
        run jq -r '._meta.hostvars["pygmy-B"] | [.pygmy_node, .pygmy_deployment, .pygmy_address, .ansible_host, .ansible_user] | join(" ")' "$work/list.json"
        expect '[[ $output == "B pygmy 172.31.0."*" 127.7.7."*" admin" ]]'
    done
    # The file in the tree looks into ~/.pygmy, the written one where the secrets are.
    expect 'jq -r "._meta.hostvars[\"pygmy-B\"].ansible_ssh_common_args" "$work/list.json" | grep -q "HostKeyAlias=i-.*=~/.pygmy/pygmy/known_hosts"'
    as_user "$work" ansible-inventory -i "$work/secrets/aws_ec2.yml" --host pygmy-A >"$work/host.json"
    [[ $(jq -r .ansible_ssh_private_key_file "$work/host.json") == "$work/secrets/ssh_key" ]]
    expect 'jq -r .ansible_ssh_common_args "$work/host.json" | grep -q "accept-new .*UserKnownHostsFile=$work/secrets/known_hosts"'
    # A machine that is stopped is still a machine of the deployment.
    api foreign -d '{"states": {"pygmy-C": "stopped"}}'
    as_user "$work" ansible-inventory -i "$work/secrets/aws_ec2.yml" --list | jq -e '.etcd.hosts | length == 3'
}

@test "larger counts make what is missing, and nothing else" {
    take_over_the_first_run
    up -e ec2_replica_count=5 -e ec2_client_count=1
    recap 1
    [[ $(writes "$work/calls") == "RunInstances*3" ]]
    run ours 'select(.tags["pygmy-node"] | IN("D", "E", "L1")) | [.tags["pygmy-node"], .tags["pygmy-groups"], .zone[-1:]] | join(" ")'
    diff <(sort <<<"$output") <(printf '%s\n' 'D replicas c' 'E replicas a' 'L1 clients b')
    # The client has no way in but the shop's.
    run ours 'select(.tags["pygmy-node"] == "L1") | .groups | length'
    expect '[[ $output == 1 ]]'
    up
    recap 0
    said "More machines than asked for, left alone: D, E, L1"
}

@test "a stopped machine is started, a changed rule is put right" {
    take_over_the_first_run
    api foreign -d '{"states": {"pygmy-C": "stopped"}}'
    up -e '{"ec2_ssh_cidrs": ["203.0.113.0/24"]}'
    recap 2
    [[ $(writes "$work/calls") == "AuthorizeSecurityGroupIngress*1 RevokeSecurityGroupIngress*1 StartInstances*1" ]]
    run api state
    expect '[[ $(jq -c ".groups[] | select(.name == \"pygmy-ssh\") | .ingress | map(.[4])" <<<"$output") == "[\"203.0.113.0/24\"]" ]]'
}

@test "without credentials, with wrong ones, or without a region it stops, and says what to do" {
    region='' up
    recap failed
    said "No AWS region: export AWS_REGION"
    key_id='' up
    recap failed
    said "AWS does not accept the credentials, or there are none"
    said "Set AWS_PROFILE"
    key_id=AKSOMEBODY down
    recap failed
    said "was not able to validate the provided access credentials"
    [[ -z $(writes "$work/calls") && ! -e $work/secrets ]]
}

@test "ssh for everybody, too few zones, an unknown image and a wrong count are refused before anything is made" {
    up -e '{"ec2_ssh_cidrs": ["0.0.0.0/0"]}'
    recap failed
    said "needs -e ec2_ssh_from_anywhere=true"
    up -e ec2_zones_avoid=xx-test-1b
    recap failed
    said "There are subnets in 2 availability zones (xx-test-1a, xx-test-1c) of xx-test-1, without those of ec2_zones_avoid, but ec2_zones_min is 3"
    up -e ec2_image_name=plan9-*
    recap failed
    said "No image"
    up -e ec2_etcd_count=2
    recap failed
    said "ec2_etcd_count is 2: it is odd"
    [[ -z $(writes "$work/calls") && ! -e $work/secrets ]]
}

@test "a group or a key pair of the same name that is somebody else's is neither used nor changed" {
    api foreign -d '{"groups": [{"name": "pygmy-inside"}]}'
    api state >"$work/before"
    up
    recap failed
    said "There is a security group pygmy-inside"
    api foreign -d '{"keys": [{"name": "shop"}]}'
    up -e pygmy_deployment=shop
    recap failed
    said "There is a key pair shop that ec2.yml did not make"
    [[ -z $(writes "$work/calls") ]]
}

@test "another public key than the one of the key pair is refused" {
    take_over_the_first_run
    ssh-keygen -q -t ed25519 -N '' -f "$work/mine"
    up -e "ec2_public_key_file=$work/mine.pub"
    recap failed
    said "was made from another public key than $work/mine.pub"
    # On an account without one it is used as it is, and no other is made.
    up --check -e "ec2_public_key_file=$work/mine.pub" -e pygmy_deployment=shop -e "pygmy_secrets_dir=$work/shop"
    recap 5
    [[ -z $(writes "$work/calls") ]]
}

@test "a throttled API is asked again; a zone without capacity is named; the next run completes, elsewhere if told so" {
    faults '[{"action": "DescribeSubnets", "code": "RequestLimitExceeded", "status": 503, "times": 3},
             {"action": "RunInstances", "zone": "xx-test-1b", "code": "InsufficientInstanceCapacity", "status": 500, "times": 99}]'
    up
    recap failed
    said "Machine pygmy-B in xx-test-1b: Failed to create new EC2 instance: An error occurred (InsufficientInstanceCapacity)"
    said "Machine pygmy-F2 in xx-test-1b"
    said "ec2_zones_avoid"
    [[ $(ours '.tags["pygmy-node"]' | sort | paste -sd ' ') == "A C F1" ]]
    up -e ec2_zones_avoid=xx-test-1b -e ec2_zones_min=2
    recap 2
    [[ $(ours '.tags["pygmy-node"] + .zone[-1:]' | sort | paste -sd ' ') == "Aa Ba Cc F1a F2c" ]]
    faults '[]'
    up
    recap 0
}

@test "a machine that never gets running, or ends at once, is named within the limit; the next run completes" {
    faults '[{"stuck": "pygmy-C"}, {"dies": "pygmy-A", "reason": "Client.VolumeLimitExceeded: Volume limit exceeded"}]'
    up -e ec2_running_limit_s=5
    recap failed
    said "After 5 s not all of 5 machines run"
    said ") is pending"
    said "is terminated: Client.VolumeLimitExceeded: Volume limit exceeded"
    faults '[]'
    : >"$work/calls"
    up
    recap 2
    [[ $(writes "$work/calls") == "RunInstances*1" ]]
    [[ $(ours '.tags["pygmy-node"] + .zone[-1:]' | sort | paste -sd ' ') == "Aa Bb Cc F1a F2b" ]]
}

@test "machines that do not answer to ssh are named within the limit" {
    account_stop "$work"
    account_start "$work" --without-ssh
    take_over_the_first_run
    # (Their tags tell the port of the first run's machines.)
    up -e ec2_ssh_limit_s=6
    recap failed
    said "does not answer on port"
    said "It lets in 198.51.100.7/32: do you come from there?"
}

@test "interrupted between a group and its tags: the next run completes it, or ec2-down.yml removes it" {
    faults '[{"action": "CreateTags", "code": "UnauthorizedOperation", "status": 403, "times": 9}]'
    up
    recap failed
    said "UnauthorizedOperation"
    api state >"$work/half.json"
    [[ $(jq '.groups | length' "$work/half.json") == 3 && $(jq '.keys | length' "$work/half.json") == 1 ]]
    faults '[]'
    down -e confirm=yes
    recap 2
    expect '[[ $(api state | jq -c "[.keys, .groups, .instances | length]") == "[0,0,0]" ]]'
    api state -d @"$work/half.json"
    up
    recap 3
    [[ $(ours '.tags["pygmy-node"]' | wc -l) == 5 && $(api state | jq '[.groups[] | select(.tags["pygmy-made-by"])] | length') == 3 ]]
}

@test "ec2-down.yml asks, removes exactly what ec2.yml made, and has nothing to do the second time" {
    take_over_the_first_run
    api state | foreign_state >"$work/foreign"
    down
    recap failed
    said "machine pygmy-A i-"
    said "security group pygmy-inside sg-"
    said "key pair pygmy"
    said "Not confirmed: nothing was removed"
    down --check
    said "nothing was removed"
    [[ -z $(writes "$work/calls") ]]
    # An ended machine's interface holds its groups for a while.
    faults '[{"action": "DeleteSecurityGroup", "code": "DependencyViolation", "times": 2, "message": "has a dependent object"}]'
    down -e confirm=yes
    recap 3
    [[ $(writes "$work/calls") == "DeleteKeyPair*1 DeleteSecurityGroup*5 TerminateInstances*5" ]]
    [[ -z $(ours .state) ]]
    diff <(api state | foreign_state) "$work/foreign"
    expect '[[ $(api state | jq -c "[.keys, .groups | length]") == "[2,3]" ]]'
    down -e confirm=yes
    recap 0
    said "Nothing of deployment pygmy is in xx-test-1 of account 123456789012"
}

@test "one machine can be ended alone; ec2.yml then makes a new one in its zone" {
    take_over_the_first_run
    down -e confirm=yes -e ec2_only=B
    recap 1
    [[ $(writes "$work/calls") == "TerminateInstances*1" && $(ours '.tags["pygmy-node"]' | sort | paste -sd ' ') == "A C F1 F2" ]]
    down -e confirm=yes -e ec2_only=B,A
    recap failed
    said "has no machine B in xx-test-1"
    up
    recap 1
    [[ $(ours '.tags["pygmy-node"] + .zone[-1:]' | sort | paste -sd ' ') == "Aa Bb Cc F1a F2b" ]]
}

@test "protected machines are not ended before the protection is taken off; an end that takes too long is told" {
    take_over_the_first_run
    up -e ec2_termination_protection=true
    recap 1
    down -e confirm=yes
    recap failed
    said "ec2.yml -e ec2_termination_protection=false"
    [[ $(ours '.tags["pygmy-node"]' | wc -l) == 5 && $(api state | jq '.groups | length') == 6 ]]
    up
    recap 1
    faults '[{"action": "TerminateInstances", "code": "UnauthorizedOperation", "status": 403, "times": 1}]'
    down -e confirm=yes
    recap failed
    said "UnauthorizedOperation"
    down -e confirm=yes
    recap 3
    [[ -z $(ours .state) ]]
}
