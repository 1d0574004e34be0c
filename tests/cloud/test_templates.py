"""What the templates say by themselves: times that fit together, parameters that explain themselves, rights that are few."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cloud.templates import NAMES, ROOT, Template, only, parameters, resources, template

SIZES = ("small", "medium", "large")

#: Fargate waits no longer, in seconds, for a task that was asked to stop (ECS Developer Guide, "Task definition parameters").
MOST_SECONDS_TO_STOP = 120


def container() -> dict[str, Any]:
    """The container that serves."""
    (found,) = only(template("service"), "AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    return dict(found)


def settings() -> dict[str, Any]:
    """The settings of the container, as they stand in the template; a conditional one by what it is if the condition holds."""
    entries = [each.get("Fn::If", [None, each])[1] for each in container()["Environment"]]
    return {each["Name"]: each["Value"] for each in entries}


def attributes(group: dict[str, Any]) -> dict[str, str]:
    """The attributes of a target group."""
    return {each["Key"]: each["Value"] for each in group["TargetGroupAttributes"]}


def statements(given: Template) -> Iterator[dict[str, Any]]:
    """Every statement of every role's and managed policy's rights."""
    for role in resources(given, "AWS::IAM::Role").values():
        for policy in role.get("Policies", []):
            yield from policy["PolicyDocument"]["Statement"]
    for policy in resources(given, "AWS::IAM::ManagedPolicy").values():
        yield from policy["PolicyDocument"]["Statement"]


def as_list(value: str | list[str]) -> list[str]:
    """One or many, as many."""
    return [value] if isinstance(value, str) else value


def test_a_stopping_task_has_time_to_finish() -> None:
    """Fargate waits longer than Footfall needs to become unready, drain and close, and no longer than it can."""
    needed = int(settings()["FOOTFALL_UNREADY_SECONDS"]) + int(settings()["FOOTFALL_DRAIN_SECONDS"])
    assert needed + 15 <= container()["StopTimeout"] <= MOST_SECONDS_TO_STOP


def test_the_balancer_lets_go_before_a_task_drains() -> None:
    """The balancer notices an unready task sooner than it stops listening, and gives its requests as long as it would itself."""
    group = only(template("service"), "AWS::ElasticLoadBalancingV2::TargetGroup")
    assert group["HealthCheckPath"] == "/readyz"
    delay = int(attributes(group)["deregistration_delay.timeout_seconds"])
    assert int(settings()["FOOTFALL_UNREADY_SECONDS"]) <= delay <= int(settings()["FOOTFALL_DRAIN_SECONDS"])


def test_the_balancer_hangs_up_first() -> None:
    """An idle connection is closed by the balancer before Footfall does so, so that no request is sent on a closed one."""
    (balancer,) = resources(template("service"), "AWS::ElasticLoadBalancingV2::LoadBalancer").values()
    idle = {each["Key"]: each["Value"] for each in balancer["LoadBalancerAttributes"]}["idle_timeout.timeout_seconds"]
    server = (ROOT / "src" / "footfall" / "server.py").read_text("utf-8")
    keep_alive = re.search(r"(?m)^KEEP_ALIVE_SECONDS = (\d+)$", server)
    assert keep_alive
    assert int(idle) < int(keep_alive[1])


@pytest.mark.parametrize("name", [*settings(), *(each["Name"] for each in container()["Secrets"])])
def test_a_setting_is_one(name: str) -> None:
    """Every setting that the task is given is one of Footfall's."""
    assert f"| `{name}` |" in (ROOT / "docs" / "settings.md").read_text("utf-8")


def test_the_container_is_locked_up() -> None:
    """It can't write to its image, has no capability, no role of AWS, no shell from outside, and no address of its own."""
    service = only(template("service"), "AWS::ECS::Service")
    assert container()["ReadonlyRootFilesystem"] is True
    assert container()["LinuxParameters"]["Capabilities"]["Drop"] == ["ALL"]
    assert "TaskRoleArn" not in only(template("service"), "AWS::ECS::TaskDefinition")
    assert service["EnableExecuteCommand"] is False
    assert service["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"] == "DISABLED"


def test_the_password_is_never_plain() -> None:
    """The store's address reaches the task as a secret, and its password stands nowhere but in Secrets Manager."""
    assert [each["Name"] for each in container()["Secrets"]] == ["FOOTFALL_STORE"]
    text = (ROOT / "deploy" / "aws" / "store.yaml").read_text("utf-8")
    addresses = re.findall(r"rediss\S*://footfall:(\S+?)@", text)
    assert addresses == ["{{resolve:secretsmanager:${Password}:SecretString:password}}"] * 2


def test_the_way_to_the_store_is_encrypted() -> None:
    """Footfall speaks TLS to the store, and the store speaks nothing else."""
    store = only(template("store"), "AWS::ElastiCache::ReplicationGroup")
    assert store["TransitEncryptionEnabled"] is True
    assert store["TransitEncryptionMode"] == "required"
    assert "redis://" not in json.dumps(template("store")).replace("rediss", "")


def test_counts_are_never_evicted() -> None:
    """A store whose memory is full refuses views instead of losing counts."""
    configuration = only(template("store"), "AWS::ElastiCache::ParameterGroup")
    assert configuration["Properties"]["maxmemory-policy"] == "noeviction"


def test_a_failing_deployment_goes_back_by_itself() -> None:
    """ECS rolls back where tasks don't start and where alarms come on, and never runs fewer tasks than before meanwhile."""
    how = only(template("service"), "AWS::ECS::Service")["DeploymentConfiguration"]
    assert how["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    assert how["Alarms"]["Enable"] is how["Alarms"]["Rollback"] is True
    assert len(how["Alarms"]["AlarmNames"]) >= 3
    assert how["MinimumHealthyPercent"] == 100
    assert how["MaximumPercent"] >= 150


def test_scaling_is_not_undone_by_a_deployment() -> None:
    """The template names no number of tasks, which CloudFormation would set at each update; scaling keeps two at least."""
    assert "DesiredCount" not in only(template("service"), "AWS::ECS::Service")
    assert template("service")["Parameters"]["MinTasks"]["MinValue"] >= 2


def test_every_alarm_tells_somebody() -> None:
    """Each alarm has the alarm topic as its action, and says what to look at."""
    for name in NAMES:
        for alarm in resources(template(name), "AWS::CloudWatch::Alarm").values():
            assert [action["Fn::ImportValue"]["Fn::Sub"] for action in alarm["AlarmActions"]] == ["${FoundationStack}-AlarmTopic"]
            assert len(alarm["AlarmDescription"]) > 20
            assert "TreatMissingData" in alarm


@pytest.mark.parametrize("name", NAMES)
def test_parameters_explain_themselves(name: str) -> None:
    """Each parameter says what it is and what it may be, and a pattern says in words what it wants."""
    for parameter in template(name)["Parameters"].values():
        assert len(parameter["Description"]) > 15
        assert {"AllowedValues", "AllowedPattern", "MinValue"} & parameter.keys()
        assert ("AllowedPattern" in parameter) == ("ConstraintDescription" in parameter)
        assert "MinValue" not in parameter or "MaxValue" in parameter


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["foundation", "store", "service"])
def test_suggested_parameters_are_allowed(size: str, name: str) -> None:
    """What the repository suggests for a size is what the template takes."""
    taken = template(name)["Parameters"]
    for key, value in parameters(size, name).items():
        rule = taken[key]
        assert value in map(str, rule.get("AllowedValues", [value]))
        assert re.fullmatch(rule.get("AllowedPattern", ".*"), value)
        assert (
            float(rule.get("MinValue", "-inf")) <= float(value if "MinValue" in rule else 0) <= float(rule.get("MaxValue", "inf"))
        )


def test_rights_are_listed_one_by_one() -> None:
    """No role's rights hold a wildcard of actions; everything as a resource is there only for calls that take no other."""
    takes_no_other = {"ecr:GetAuthorizationToken", "ecs:DeregisterTaskDefinition", "ecs:DescribeTaskDefinition"}
    for name in NAMES:
        for statement in statements(template(name)):
            actions = as_list(statement["Action"])
            assert not [action for action in actions if "*" in action]
            if statement["Resource"] == "*":
                assert set(actions) <= takes_no_other


def test_only_one_environment_of_one_repository_may_deploy() -> None:
    """The deploying role is given to jobs in the protected environment of the one repository, and to nobody else."""
    role = resources(template("pipeline"), "AWS::IAM::Role")["DeployRole"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    condition = statement["Condition"]
    assert list(condition) == ["StringEquals"]
    assert condition["StringEquals"]["token.actions.githubusercontent.com:sub"] == {
        "Fn::Sub": "repo:${SourceRepository}:environment:${SourceEnvironment}"
    }
    assert condition["StringEquals"]["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"


def test_every_skip_says_why() -> None:
    """A check that a resource is exempt from is named with its reason."""
    for name in NAMES:
        for resource in template(name)["Resources"].values():
            for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
                assert re.fullmatch(r"CKV2?_AWS_\d+", skip["id"])
                assert len(skip["comment"]) > 40
