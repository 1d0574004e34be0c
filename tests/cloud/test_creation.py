"""The stacks come to be on ministack, in every size; what it refuses is what templates.REFUSED says, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cloud import emulators
from tests.cloud.emulators import Cloud
from tests.cloud.stacks import STACKS, create, create_all, created, given, outputs
from tests.cloud.templates import NAMES, REFUSED, carried, has_several_metrics, template

TYPES = sorted({each["Type"] for name in NAMES for each in template(name)["Resources"].values()})


@pytest.mark.parametrize("size", ["medium", "large"])
def test_a_size_comes_to_be(cloud: Cloud, size: str) -> None:
    """All four stacks are created with what the repository suggests (the small ones: in all other tests)."""
    create_all(cloud, size)


@pytest.mark.parametrize("name", NAMES)
def test_everything_carried_stands(deployed: Cloud, name: str) -> None:
    """Each resource that ministack carries has got a name of its own."""
    body = carried(template(name))
    left_out = {"PublicSubnetC", "PublicRoutesC", "PrivateSubnetC", "PrivateRoutesC", "Certificate", "Record"}  # conditional
    assert created(deployed, name).keys() == body["Resources"].keys() - left_out


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind in REFUSED])
def test_what_is_refused_is_refused(deployed: Cloud, kind: str) -> None:
    """Ministack says that it does not know the type: when it learns to, this list gets shorter."""
    body = {"Resources": {"One": {"Type": kind, "Properties": {}}}}
    client = deployed.client("cloudformation")
    with pytest.raises(client.exceptions.ClientError, match="Unrecognized resource types"):
        client.create_stack(StackName="refused", TemplateBody=json.dumps(body))


def test_only_types_of_ours_are_listed() -> None:
    """The list names nothing that the templates don't have."""
    assert set(REFUSED) <= set(TYPES)


@pytest.mark.parametrize("name", [name for name in NAMES if any(map(has_several_metrics, template(name)["Resources"].values()))])
def test_alarms_over_several_metrics_are_refused(cloud: Cloud, name: str) -> None:
    """Such an alarm fails the stack, which then goes back and leaves nothing behind; so one over one metric stands in for it."""
    for before in NAMES[: NAMES.index(name)]:
        assert create(cloud, before, carried(template(before)), given(before)) == "CREATE_COMPLETE"
    body = template(name)
    body["Resources"] = {key: each for key, each in body["Resources"].items() if each["Type"] not in REFUSED}
    assert "Metrics" in (status := create(cloud, name, body, given(name)))
    assert status.startswith("ROLLBACK_COMPLETE")


def test_a_zone_brings_certificate_and_record(tmp_path: Path) -> None:
    """With HostedZoneId the certificate is made, and the name leads to the balancer."""
    with emulators.ministack(tmp_path) as cloud:
        zone = cloud.client("route53").create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]
        for name in NAMES[:-1]:
            assert create(cloud, name, carried(template(name)), given(name)) == "CREATE_COMPLETE"
        values = given("service", HostedZoneId=zone.rpartition("/")[2], CertificateArn="")
        assert create(cloud, "service", carried(template("service")), values) == "CREATE_COMPLETE"
        records = cloud.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        (record,) = [each for each in records if each["Type"] == "A"]
        assert record["AliasTarget"]["DNSName"].rstrip(".") == outputs(cloud, "service")["BalancerName"]
        listeners = cloud.client("elbv2").describe_listeners(LoadBalancerArn=created(cloud, "service")["Balancer"])["Listeners"]
        (https,) = [each for each in listeners if each["Protocol"] == "HTTPS"]
        assert https["Certificates"][0]["CertificateArn"] == created(cloud, "service")["Certificate"]


def test_the_task_is_what_was_asked_for(deployed: Cloud) -> None:
    """The task definition that ECS has runs the image by its digest, with its settings. (ministack forgets its secrets.)"""
    definition = deployed.client("ecs").describe_task_definition(taskDefinition="footfall")["taskDefinition"]
    (container,) = definition["containerDefinitions"]
    environment = {each["name"]: each["value"] for each in container["environment"]}
    assert container["image"] == given("service")["Image"]
    assert environment["FOOTFALL_SITES"] == "example.com,smoke.invalid"
    assert environment["FOOTFALL_PUBLIC_URL"] == f"https://{given('service')['DomainName']}"
    assert environment["FOOTFALL_DURABILITY"] == "primary"
    assert environment["FOOTFALL_TRUSTED_PROXIES"] == "10.40.0.0/16"
    assert "FOOTFALL_PUBLIC_SITES" not in environment


def test_the_address_of_the_store_is_whole(deployed: Cloud) -> None:
    """The secret holds a URL with TLS, the user, the password that was drawn, and the primary's name."""
    secrets = deployed.client("secretsmanager")
    address = secrets.get_secret_value(SecretId=outputs(deployed, "store")["AddressSecret"])["SecretString"]
    password = json.loads(secrets.get_secret_value(SecretId=created(deployed, "store")["Password"])["SecretString"])["password"]
    assert len(password) == 48
    assert address.startswith(f"rediss://footfall:{password}@")
    assert address.endswith(":6379/0")


def test_cluster_mode_has_another_address(cloud: Cloud) -> None:
    """In cluster mode the URL says so, and names the whole cluster."""
    create_all(cloud, "large")
    secrets = cloud.client("secretsmanager")
    address = secrets.get_secret_value(SecretId=outputs(cloud, "store")["AddressSecret"])["SecretString"]
    assert address.startswith("rediss+cluster://footfall:")
    (group,) = cloud.client("elasticache").describe_replication_groups()["ReplicationGroups"]
    assert len(group["NodeGroups"]) == int(given("store", "large")["Shards"])


def test_private_subnets_have_no_way_out(deployed: Cloud) -> None:
    """Of the two route tables only the public subnets' leads to the internet."""
    stack = created(deployed, "foundation")
    tables = deployed.client("ec2").describe_route_tables()["RouteTables"]
    ways = {table["RouteTableId"]: {route.get("GatewayId") for route in table["Routes"]} for table in tables}
    assert stack["Gateway"] in ways[stack["PublicRoutes"]]
    assert stack["Gateway"] not in ways[stack["PrivateRoutes"]]


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_can_be_deleted(tmp_path: Path, name: str) -> None:
    """A stack on which no other stands goes again, and leaves what is to be kept."""
    with emulators.ministack(tmp_path) as cloud:
        for each in NAMES[: NAMES.index(name) + 1]:
            assert create(cloud, each, carried(template(each)), given(each)) == "CREATE_COMPLETE"
        client = cloud.client("cloudformation")
        client.delete_stack(StackName=STACKS[name])
        client.get_waiter("stack_delete_complete").wait(StackName=STACKS[name], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
