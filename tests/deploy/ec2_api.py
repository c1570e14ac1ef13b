#!/usr/bin/env python3
"""A small imitation of AWS's API (EC2, a little STS and IAM) on a free port of 127.0.0.1, for the tests of ec2.yml.

    ec2_api.py FOLDER        writes FOLDER/port once it listens; runs until it is ended

It keeps state (subnets, images, key pairs, security groups, instances), and takes only the calls that it knows with the
parameters that it knows: everything else gets an error and is noted in FOLDER/violations, which a test finds empty or fails.
FOLDER/calls gets a line of JSON for each call: {"action": ..., parameters}. Names and types come from botocore's model of EC2.

For the tests, without signature:   GET /state    everything as JSON      GET /own-address    as checkip.amazonaws.com does
    POST /faults   a list of faults, which replaces those of before:
        {"action": "RunInstances", "zone": "xx-test-1b", "code": "InsufficientInstanceCapacity", "status": 500, "times": 9}
        {"stuck": "shop-B"} never gets running       {"dies": "shop-B", "reason": "..."} ends at once
    POST /foreign  makes what belongs to somebody else: {"instances": [...], "groups": [...], "keys": [...]}, and sets {"states": {name: ...}}
    POST /state    puts back what GET /state gave
It is no test of AWS: it behaves as AWS's documentation says, for the few calls that the playbooks make.
"""

import datetime
import hashlib
import json
import os
import re
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import botocore.session

REGION, ACCOUNT, VPC = "xx-test-1", "123456789012", "vpc-0000000000000001"
MACHINES_MAX = 20
MODEL = botocore.session.get_session().get_service_model("ec2")
KNOWN_FILTERS = {
    "DescribeInstances": r"tag:[\w-]+|instance-state-name|instance-id",
    "DescribeSecurityGroups": r"tag:[\w-]+|group-name|vpc-id|description",
    "DescribeSubnets": "default-for-az|state|vpc-id",
    "DescribeImages": "name|owner-id|state|architecture",
    "DescribeTags": "resource-id",
}


class ApiError(Exception):
    """An answer of the API that is an error: code, message, HTTP status."""

    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class Violation(ApiError):
    """Something that no playbook of ours may ask."""

    def __init__(self, message):
        super().__init__("ImitationRefuses", message)


# ---- EC2's way to write parameters and answers ---------------------------------------------------


def parse_shape(shape, prefix, values, used):
    """Takes the value of a shape out of the flat parameters, None if absent; adds the names it read to `used`."""
    if shape.type_name == "structure":
        result = {}
        for name, member in shape.members.items():
            wire = member.serialization.get("queryName") or member.serialization.get("name", name)
            wire = wire[0].upper() + wire[1:]
            value = parse_shape(member, f"{prefix}.{wire}" if prefix else wire, values, used)
            if value is not None:
                result[name] = value
        return result or None
    if shape.type_name == "list":
        result = []
        while True:
            item = parse_shape(shape.member, f"{prefix}.{len(result) + 1}", values, used)
            if item is None:
                return result or None
            result.append(item)
    if prefix not in values:
        return None
    used.add(prefix)
    text = values[prefix]
    if shape.type_name in ("integer", "long"):
        return int(text)
    if shape.type_name == "boolean":
        if text not in ("true", "false"):
            raise Violation(f"{prefix} is '{text}', no boolean")
        return text == "true"
    return text


def to_xml(shape, value):
    """Writes the inside of an element."""
    if shape.type_name == "structure":
        unknown = set(value) - set(shape.members)
        assert not unknown, f"{shape.name} has no {unknown}"
        parts = []
        for name, item in value.items():
            wire = shape.members[name].serialization.get("name", name)
            parts.append(f"<{wire}>{to_xml(shape.members[name], item)}</{wire}>")
        return "".join(parts)
    if shape.type_name == "list":
        wire = shape.member.serialization.get("name", "member")
        return "".join(f"<{wire}>{to_xml(shape.member, item)}</{wire}>" for item in value)
    if shape.type_name == "boolean":
        return "true" if value else "false"
    return escape(str(value))


def tag_list(tags):
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tags_of(specifications, kind):
    for specification in specifications or []:
        if specification["ResourceType"] == kind:
            return {tag["Key"]: tag["Value"] for tag in specification["Tags"]}
    return {}


def matches(filters, item):
    """Whether an item, as answered, passes the filters; `item` has a value per filter name. * is a wildcard."""
    for condition in filters or []:
        name = condition["Name"]
        have = item["tags"].get(name[4:]) if name.startswith("tag:") else item[name]
        wanted = "|".join(".*".join(map(re.escape, value.split("*"))) for value in condition["Values"])
        if have is None or not re.fullmatch(wanted, str(have)):
            return False
    return True


def merge_rules(current, change, add):
    """Adds or takes away single permissions; a rule is (protocol, from, to, kind of source, source)."""
    for permission in change:
        head = (permission["IpProtocol"], permission.get("FromPort"), permission.get("ToPort"))
        sources = [("cidr", entry["CidrIp"]) for entry in permission.get("IpRanges", [])]
        for pair in permission.get("UserIdGroupPairs", []):
            if "GroupId" not in pair:
                raise Violation("a rule names its source group by another thing than its id")
            sources.append(("group", pair["GroupId"]))
        if not sources:
            raise Violation(f"a rule without a source: {permission}")
        for source in sources:
            rule = [*head, *source]
            if add and rule in current:
                raise ApiError("InvalidPermission.Duplicate", f"the rule {rule} exists")
            if not add and rule not in current:
                raise ApiError("InvalidPermission.NotFound", f"there is no rule {rule}")
            (current.append if add else current.remove)(rule)


def permissions(rules):
    result = []
    for protocol, first, last, kind, source in rules:
        permission = {"IpProtocol": protocol}
        if first is not None:
            permission.update(FromPort=first, ToPort=last)
        permission["IpRanges"] = [{"CidrIp": source}] if kind == "cidr" else []
        permission["UserIdGroupPairs"] = [{"GroupId": source, "UserId": ACCOUNT}] if kind == "group" else []
        result.append(permission)
    return result


class Account:
    """What exists. Each public method is an action of the API; its parameters are those that are known."""

    def __init__(self):
        self.serial = 0
        self.keys, self.groups, self.instances = {}, {}, {}
        self.faults = []
        self.subnets = [
            {"SubnetId": f"subnet-000000000000000{zone}", "AvailabilityZone": f"{REGION}{zone}", "VpcId": VPC, "State": "available",
             "DefaultForAz": zone != "e", "CidrBlock": f"172.31.{index}.0/24", "AvailableIpAddressCount": 200, "Tags": []}
            for index, zone in enumerate("abce")]
        self.images = [
            {"ImageId": "ami-0000000000000old", "Name": "debian-12-amd64-20250101-1", "CreationDate": "2025-01-01T00:00:00.000Z"},
            {"ImageId": "ami-0000000000000new", "Name": "debian-12-amd64-20260901-1", "CreationDate": "2026-09-01T00:00:00.000Z"},
            {"ImageId": "ami-00000000foreign", "Name": "debian-12-amd64-20261001-1", "CreationDate": "2026-10-01T00:00:00.000Z",
             "OwnerId": "999999999999"},
            {"ImageId": "ami-0000000000000arm", "Name": "debian-12-arm64-20261001-1", "CreationDate": "2026-10-01T00:00:00.000Z",
             "Architecture": "arm64"}]
        for image in self.images:
            for name, value in (("OwnerId", "136693071363"), ("Architecture", "x86_64"), ("State", "available"),
                                ("RootDeviceName", "/dev/xvda")):
                image.setdefault(name, value)

    def new_id(self, kind):
        self.serial += 1
        return f"{kind}-{self.serial:017x}"

    # ---- faults ----
    def fail_on_purpose(self, action, parameters):
        for fault in self.faults:
            if fault.get("action") != action or fault.get("times", 1) < 1:
                continue
            if "zone" in fault and fault["zone"] != self.zone_of(parameters["NetworkInterfaces"][0]["SubnetId"]):
                continue
            fault["times"] = fault.get("times", 1) - 1
            raise ApiError(fault["code"], fault.get("message", f"on purpose: {fault['code']}"), fault.get("status", 400))

    def fault_of(self, kind, name):
        return next((fault for fault in self.faults if fault.get(kind) == name), None)

    def zone_of(self, subnet_id):
        return next(subnet["AvailabilityZone"] for subnet in self.subnets if subnet["SubnetId"] == subnet_id)

    # ---- network, images ----
    def DescribeSubnets(self, Filters=None, SubnetIds=None):
        if SubnetIds and not set(SubnetIds) <= {subnet["SubnetId"] for subnet in self.subnets}:
            raise ApiError("InvalidSubnetID.NotFound", f"The subnet ID '{SubnetIds}' does not exist")
        return {"Subnets": [
            subnet for subnet in self.subnets
            if (not SubnetIds or subnet["SubnetId"] in SubnetIds)
            and matches(Filters, {"default-for-az": str(subnet["DefaultForAz"]).lower(), "state": "available", "vpc-id": VPC})]}

    def DescribeImages(self, Filters=None, ImageIds=None):
        return {"Images": [
            image for image in self.images
            if (not ImageIds or image["ImageId"] in ImageIds)
            and matches(Filters, {"name": image["Name"], "owner-id": image["OwnerId"], "state": "available",
                                  "architecture": image["Architecture"]})]}

    # ---- key pairs ----
    def DescribeKeyPairs(self, KeyNames):
        for name in KeyNames:
            if name not in self.keys:
                raise ApiError("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")
        return {"KeyPairs": [self.show_key(name) for name in KeyNames]}

    def show_key(self, name):
        key = self.keys[name]
        return {"KeyName": name, "KeyPairId": key["id"], "KeyFingerprint": key["fingerprint"], "KeyType": "ed25519",
                "Tags": tag_list(key["tags"])}

    def ImportKeyPair(self, KeyName, PublicKeyMaterial, TagSpecifications):
        if KeyName in self.keys:
            raise ApiError("InvalidKeyPair.Duplicate", f"The keypair '{KeyName}' already exists.")
        self.keys[KeyName] = {"id": self.new_id("key"), "material": PublicKeyMaterial, "tags": tags_of(TagSpecifications, "key-pair"),
                              "fingerprint": hashlib.sha256(str(PublicKeyMaterial).encode()).hexdigest()}
        shown = self.show_key(KeyName)
        del shown["KeyType"]
        return shown

    def DeleteKeyPair(self, KeyName):
        self.keys.pop(KeyName, None)
        return {}

    # ---- security groups ----
    def DescribeSecurityGroups(self, Filters=None, GroupIds=None):
        for group_id in GroupIds or []:
            if group_id not in self.groups:
                raise ApiError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        return {"SecurityGroups": [
            {"GroupId": group_id, "GroupName": group["name"], "Description": group["description"], "VpcId": VPC, "OwnerId": ACCOUNT,
             "IpPermissions": permissions(group["ingress"]), "IpPermissionsEgress": permissions(group["egress"]),
             "Tags": tag_list(group["tags"])}
            for group_id, group in self.groups.items()
            if (not GroupIds or group_id in GroupIds)
            and matches(Filters, {"tags": group["tags"], "group-name": group["name"], "vpc-id": VPC, "description": group["description"]})]}

    def CreateSecurityGroup(self, GroupName, Description, VpcId):
        if not re.fullmatch(r"[\w .:/()#,@\[\]+=&;{}!$*-]{1,255}", Description) or GroupName.startswith("sg-"):
            raise ApiError("InvalidParameterValue", f"Invalid security group description or name: {Description}, {GroupName}")
        if any(group["name"] == GroupName for group in self.groups.values()):
            raise ApiError("InvalidGroup.Duplicate", f"The security group '{GroupName}' already exists for VPC '{VpcId}'")
        group_id = self.new_id("sg")
        self.groups[group_id] = {"name": GroupName, "description": Description, "tags": {}, "ingress": [],
                                 "egress": [["-1", None, None, "cidr", "0.0.0.0/0"]]}
        return {"GroupId": group_id}

    def AuthorizeSecurityGroupIngress(self, GroupId, IpPermissions):
        merge_rules(self.groups[GroupId]["ingress"], IpPermissions, add=True)
        return {}

    def RevokeSecurityGroupIngress(self, GroupId, IpPermissions):
        merge_rules(self.groups[GroupId]["ingress"], IpPermissions, add=False)
        return {}

    def DeleteSecurityGroup(self, GroupId):
        users = [name for name, instance in self.instances.items() if GroupId in instance["groups"] and instance["state"] != "terminated"]
        if users:
            raise ApiError("DependencyViolation", f"resource {GroupId} has a dependent object")
        del self.groups[GroupId]
        return {}

    # ---- tags ----
    def tags_by_id(self, resource):
        things = [self.groups.get(resource), self.instances.get(resource)]
        things += [key for key in self.keys.values() if key["id"] == resource]
        return next(thing["tags"] for thing in things if thing)

    def DescribeTags(self, Filters):
        resource = Filters[0]["Values"][0]
        return {"Tags": [{**tag, "ResourceId": resource} for tag in tag_list(self.tags_by_id(resource))]}

    def CreateTags(self, Resources, Tags):
        for resource in Resources:
            self.tags_by_id(resource).update({tag["Key"]: tag["Value"] for tag in Tags})
        return {}

    # ---- instances ----
    def RunInstances(self, ImageId, InstanceType, KeyName, MinCount, MaxCount, ClientToken, NetworkInterfaces, BlockDeviceMappings,
                     MetadataOptions, TagSpecifications, DisableApiTermination):
        if (MinCount, MaxCount) != (1, 1) or len(NetworkInterfaces) != 1:
            raise Violation("machines are made one by one, with one interface each")
        if KeyName not in self.keys:
            raise ApiError("InvalidKeyPair.NotFound", f"The key pair '{KeyName}' does not exist")
        interface = NetworkInterfaces[0]
        if not interface.get("Groups") or not set(interface["Groups"]) <= set(self.groups):
            raise ApiError("InvalidGroup.NotFound", f"The security groups '{interface.get('Groups')}' do not exist")
        name = self.new_id("i")
        number = len(self.instances) + 1
        instance = self.instances[name] = {
            "image": ImageId, "type": InstanceType, "key": KeyName, "subnet": interface["SubnetId"], "zone": self.zone_of(interface["SubnetId"]),
            "public": interface.get("AssociatePublicIpAddress"), "groups": interface["Groups"], "volumes": BlockDeviceMappings,
            "metadata": MetadataOptions, "protected": DisableApiTermination, "state": "pending", "seen": 0,
            "tags": tags_of(TagSpecifications, "instance"), "volume_tags": tags_of(TagSpecifications, "volume"),
            "private_ip": f"172.31.0.{number}", "public_ip": f"127.7.7.{number}"}
        return {"ReservationId": "r-1", "OwnerId": ACCOUNT, "Instances": [self.show_instance(name, instance)]}

    def show_instance(self, name, instance):
        shown = {
            "InstanceId": name, "ImageId": instance["image"], "InstanceType": instance["type"], "KeyName": instance["key"],
            "State": {"Name": instance["state"]}, "SubnetId": instance["subnet"], "VpcId": VPC,
            "Placement": {"AvailabilityZone": instance["zone"], "Tenancy": "default"}, "SourceDestCheck": True,
            "LaunchTime": datetime.datetime(2026, 1, 1).isoformat() + "Z", "Tags": tag_list(instance["tags"]),
            "SecurityGroups": [{"GroupId": group, "GroupName": self.groups[group]["name"]} for group in instance["groups"] if group in self.groups]}
        if instance["state"] != "terminated":
            shown["PrivateIpAddress"] = instance["private_ip"]
        if instance["state"] == "running" and instance["public"]:
            shown.update(PublicIpAddress=instance["public_ip"], PublicDnsName=f"ec2-{name}.{REGION}.example")
        if "reason" in instance:
            shown["StateReason"] = {"Code": "Client.InternalError", "Message": instance["reason"]}
        return shown

    def age(self, instance):
        """Time goes on whenever somebody looks."""
        instance["seen"] += 1
        name = instance["tags"].get("Name")
        death = self.fault_of("dies", name)
        if instance["state"] == "pending" and death:
            instance.update(state="terminated", reason=death["reason"])
        elif instance["state"] == "pending" and instance["seen"] > 1 and not self.fault_of("stuck", name):
            instance["state"] = "running"
        elif instance["state"] == "stopping":
            instance["state"] = "stopped"
        elif instance["state"] == "shutting-down" and instance["seen"] > 1:
            instance["state"] = "terminated"

    def DescribeInstances(self, Filters=None, InstanceIds=None):
        for name in InstanceIds or []:
            if name not in self.instances:
                raise ApiError("InvalidInstanceID.NotFound", f"The instance ID '{name}' does not exist")
        found = []
        for name, instance in self.instances.items():
            if (not InstanceIds or name in InstanceIds) and matches(
                    Filters, {"tags": instance["tags"], "instance-state-name": instance["state"], "instance-id": name}):
                self.age(instance)
                found.append(self.show_instance(name, instance))
        return {"Reservations": [{"ReservationId": f"r-{item['InstanceId']}", "OwnerId": ACCOUNT, "Instances": [item]} for item in found]}

    def DescribeInstanceStatus(self, InstanceIds, IncludeAllInstances):
        return {"InstanceStatuses": [{"InstanceId": name, "InstanceState": {"Name": self.instances[name]["state"]}} for name in InstanceIds]}

    def DescribeInstanceAttribute(self, InstanceId, Attribute):
        instance = self.instances[InstanceId]
        if Attribute == "groupSet":
            return {"InstanceId": InstanceId, "Groups": [{"GroupId": group} for group in instance["groups"]]}
        if Attribute == "disableApiTermination":
            return {"InstanceId": InstanceId, "DisableApiTermination": {"Value": instance["protected"]}}
        raise Violation(f"the attribute {Attribute} is of no interest")

    def ModifyInstanceAttribute(self, InstanceId, DisableApiTermination=None, Groups=None):
        instance = self.instances[InstanceId]
        if DisableApiTermination is not None:
            instance["protected"] = DisableApiTermination["Value"]
        if Groups is not None:
            instance["groups"] = Groups
        return {}

    def StartInstances(self, InstanceIds):
        for name in InstanceIds:
            self.instances[name].update(state="pending", seen=0)
        return {"StartingInstances": [{"InstanceId": name} for name in InstanceIds]}

    def TerminateInstances(self, InstanceIds):
        for name in InstanceIds:
            if self.instances[name]["protected"]:
                raise ApiError("OperationNotPermitted", f"The instance '{name}' may not be terminated. Modify its 'disableApiTermination' "
                                                        "instance attribute and try again.")
        for name in InstanceIds:
            self.instances[name].update(state="shutting-down", seen=0)
        return {"TerminatingInstances": [{"InstanceId": name} for name in InstanceIds]}

    def DescribeRegions(self):
        return {"Regions": [{"RegionName": REGION, "Endpoint": f"ec2.{REGION}.amazonaws.com"}]}

    # ---- for the tests ----
    def make_foreign(self, things):
        for key in things.get("keys", []):
            self.keys[key["name"]] = {"id": self.new_id("key"), "material": "foreign", "fingerprint": "foreign", "tags": key.get("tags", {})}
        for group in things.get("groups", []):
            self.groups[self.new_id("sg")] = {"name": group["name"], "description": group.get("description", "foreign"), "egress": [],
                                              "tags": group.get("tags", {}), "ingress": [["tcp", 1, 65535, "cidr", "0.0.0.0/0"]]}
        for instance in things.get("instances", []):
            self.instances[self.new_id("i")] = {
                "image": "ami-0", "type": "t3.small", "key": "foreign", "subnet": self.subnets[0]["SubnetId"], "zone": f"{REGION}a",
                "public": True, "groups": [], "volumes": [], "metadata": {}, "protected": False, "state": "running", "seen": 9,
                "tags": instance.get("tags", {}), "volume_tags": {}, "private_ip": "172.31.0.250", "public_ip": "127.7.7.250"}
        for name, state in things.get("states", {}).items():
            for instance in self.instances.values():
                if instance["tags"].get("Name") == name and instance["state"] != "terminated":
                    instance.update(state=state, seen=0)

    def show(self):
        return {"keys": self.keys, "groups": self.groups, "instances": self.instances, "serial": self.serial}

    def load(self, state):
        self.keys, self.groups, self.instances, self.serial = (state[key] for key in ("keys", "groups", "instances", "serial"))


# ---- the server --------------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    account, folder, lock = Account(), "", threading.Lock()

    def log_message(self, *_):
        pass

    def answer(self, status, text, kind="text/xml"):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def note(self, name, text):
        with open(os.path.join(self.folder, name), "a", encoding="utf-8") as file:
            file.write(text + "\n")

    def do_GET(self):
        with self.lock:
            if self.path == "/state":
                self.answer(200, json.dumps(self.account.show()), "application/json")
            elif self.path == "/own-address":
                self.answer(200, "198.51.100.7\n", "text/plain")
            else:
                self.answer(404, "")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        with self.lock:
            if self.path == "/faults":
                self.account.faults = json.loads(body)
                self.answer(200, "")
            elif self.path == "/state":
                self.account.load(json.loads(body))
                self.answer(200, "")
            elif self.path == "/foreign":
                self.account.make_foreign(json.loads(body))
                self.answer(200, "")
            else:
                self.call(dict(parse_qsl(body, keep_blank_values=True)))

    def call(self, values):
        action = values.pop("Action", "")
        values.pop("Version", None)
        try:
            self.check_signature(action)
            if action == "GetCallerIdentity" and not values:
                self.note("calls", json.dumps({"action": action}))
                self.account.fail_on_purpose(action, {})
                self.answer(200, f"<GetCallerIdentityResponse><GetCallerIdentityResult><Account>{ACCOUNT}</Account><UserId>U</UserId>"
                                 f"<Arn>arn:aws:iam::{ACCOUNT}:user/tester</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>")
            elif action == "ListAccountAliases" and not values:
                self.note("calls", json.dumps({"action": action}))
                raise ApiError("AccessDenied", "the user may not list aliases", 403)
            else:
                self.answer(200, self.run(action, values))
        except ApiError as error:
            if isinstance(error, Violation):
                self.note("violations", f"{action}: {error.message}")
            # EC2 writes its errors in one way, STS and IAM in another; botocore finds either.
            inner = f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
            wrapped = f"<ErrorResponse>{inner}</ErrorResponse>" if action in ("GetCallerIdentity", "ListAccountAliases") else \
                f"<Response><Errors>{inner}</Errors><RequestID>r</RequestID></Response>"
            self.answer(error.status, wrapped)
        except Exception as error:  # a hole in the imitation is a failed test, not a client that waits
            self.note("violations", f"{action}: {error!r}")
            self.answer(400, f"<Response><Errors><Error><Code>ImitationBroke</Code><Message>{escape(repr(error))}</Message></Error></Errors></Response>")

    def check_signature(self, action):
        """Not the signature itself, but that there is one, of the tests' user and for the tests' region."""
        scope = re.search(r"Credential=([^/]+)/\d{8}/([^/]+)/(\w+)/aws4_request", self.headers.get("Authorization", ""))
        service = {"GetCallerIdentity": "sts", "ListAccountAliases": "iam"}.get(action, "ec2")
        if not scope or scope[1] != "AKTESTER":
            raise ApiError("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
        if scope[3] != service or (service == "ec2" and scope[2] != REGION and action != "DescribeRegions"):
            raise Violation(f"asked of {scope[3]} in {scope[2]}")

    def run(self, action, values):
        method = getattr(self.account, action, None) if re.fullmatch("[A-Z][A-Za-z]+", action) else None
        if not method:
            raise Violation("unknown action")
        operation, used = MODEL.operation_model(action), set()
        parameters = parse_shape(operation.input_shape, "", values, used) or {}
        if set(values) - used:
            raise Violation(f"unknown parameters {sorted(set(values) - used)}")
        self.note("calls", json.dumps({"action": action, **parameters}, default=str))
        for condition in parameters.get("Filters", []):
            if not re.fullmatch(KNOWN_FILTERS[action], condition["Name"]):
                raise Violation(f"unknown filter {condition['Name']}")
        self.account.fail_on_purpose(action, parameters)
        try:
            result = method(**parameters)
        except TypeError as error:
            raise Violation(str(error)) from error
        inside = to_xml(operation.output_shape, result) if operation.output_shape else "<return>true</return>"
        return f'<?xml version="1.0" encoding="UTF-8"?><{action}Response><requestId>r</requestId>{inside}</{action}Response>'


class Banner(socketserver.BaseRequestHandler):
    """What stands in for the machines' ssh."""

    def handle(self):
        self.request.sendall(b"SSH-2.0-OpenSSH_9.2p1 imitation\r\n")


def bind_ssh():
    """Binds one port on every address that a machine may get. All of 127.0.0.0/8 is this machine."""
    for _ in range(50):
        servers = []
        try:
            for number in range(1, MACHINES_MAX + 1):
                server = socketserver.ThreadingTCPServer((f"127.7.7.{number}", 0), Banner, bind_and_activate=False)
                server.daemon_threads = True
                if servers:
                    server.server_address = (server.server_address[0], servers[0].server_address[1])
                server.server_bind()
                servers.append(server)
            return servers
        except OSError:
            for server in servers:
                server.server_close()
    raise SystemExit("no port is free on all addresses")


def main():
    Handler.folder = sys.argv[1]
    servers = bind_ssh()
    # Bound but silent, the port refuses.
    if "--without-ssh" not in sys.argv[2:]:
        for server in servers:
            server.server_activate()
            threading.Thread(target=server.serve_forever, daemon=True).start()
    api = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with open(os.path.join(Handler.folder, "port.new"), "w", encoding="utf-8") as file:
        file.write(f"{api.server_address[1]} {servers[0].server_address[1]}\n")
    os.rename(os.path.join(Handler.folder, "port.new"), os.path.join(Handler.folder, "port"))
    api.serve_forever()


if __name__ == "__main__":
    main()
