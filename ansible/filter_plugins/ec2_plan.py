"""Which machines a deployment on EC2 has, and in which availability zone a new one is put.

Pure functions of their arguments: ec2.yml asks AWS what there is, these say what is to be, ec2_instance makes it so.
"""

from ansible.errors import AnsibleFilterError

LETTERS = "ABCDEFGHI"  # the names of the replicas: the store takes up to nine


def ec2_machines(counts):
    """Lists the machines of a deployment: name (A, B ... F1, F2 ... L1 ...), groups (of the inventory), kind.

    counts: replicas, etcd, frontends, clients. The first replicas are etcd's members, so that a further replica leaves the
    members of before alone.
    """
    replicas, etcd, frontends, clients = (int(counts[key]) for key in ("replicas", "etcd", "frontends", "clients"))
    if not 1 <= replicas <= len(LETTERS):
        raise AnsibleFilterError(f"ec2_replica_count is {replicas}: the store takes 1 to {len(LETTERS)} replicas")
    if etcd % 2 == 0 or not 1 <= etcd <= replicas:
        raise AnsibleFilterError(f"ec2_etcd_count is {etcd}: it is odd, and at most ec2_replica_count ({replicas}), whose machines it uses")
    if not 1 <= frontends <= 8:
        raise AnsibleFilterError(f"ec2_frontend_count is {frontends}: the store takes 1 to 8 frontends")
    if not 0 <= clients <= 9:
        raise AnsibleFilterError(f"ec2_client_count is {clients}: 0 to 9")
    machines = [{"name": LETTERS[i], "kind": "replica", "groups": ["etcd", "replicas"] if i < etcd else ["replicas"]}
                for i in range(replicas)]
    machines += [{"name": f"F{i + 1}", "kind": "frontend", "groups": ["frontends"]} for i in range(frontends)]
    machines += [{"name": f"L{i + 1}", "kind": "client", "groups": ["clients"]} for i in range(clients)]
    return machines


def ec2_place(machines, existing, subnets):
    """Gives each machine its subnet: {name: subnet id}.

    A machine that exists stays where it is. A new one goes to the zone with the fewest machines of its kind, then with
    the fewest machines, then to the first by name: one zone's end takes as few replicas (etcd members) as can be.

    existing: {name: subnet id}; subnets: list of {subnet_id, availability_zone}, one or more per zone.
    """
    zone_of = {subnet["subnet_id"]: subnet["availability_zone"] for subnet in subnets}
    first_of = {}
    for subnet in sorted(subnets, key=lambda s: s["subnet_id"]):
        first_of.setdefault(subnet["availability_zone"], subnet["subnet_id"])
    if not first_of:
        raise AnsibleFilterError("there is no subnet to put a machine into")
    placed = dict(existing)
    kinds = {machine["name"]: machine["kind"] for machine in machines}

    def load(zone, kind):
        there = [name for name, subnet in placed.items() if zone_of.get(subnet) == zone]
        return (sum(1 for name in there if kinds.get(name) == kind), len(there), zone)

    for machine in machines:
        if machine["name"] not in placed:
            placed[machine["name"]] = first_of[min(first_of, key=lambda zone: load(zone, machine["kind"]))]
    return {machine["name"]: placed[machine["name"]] for machine in machines}


def ec2_list(value):
    """Makes a list of what may be given as one, or with -e as a text with commas."""
    if isinstance(value, str):
        value = value.split(",")
    return [str(item).strip() for item in value if str(item).strip()]


class FilterModule:
    """Ansible's way to find the filters."""

    def filters(self):
        return {"ec2_machines": ec2_machines, "ec2_place": ec2_place, "ec2_list": ec2_list}
