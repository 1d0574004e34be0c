"""What ministack refuses is asked of moto by the calls that CloudFormation would make, with the templates' own values.

botocore checks each call's names and types against the service's model before it is sent; moto then carries it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.cloud.emulators import REGION, Cloud
from tests.cloud.resolving import resolved
from tests.cloud.stacks import given
from tests.cloud.templates import has_several_metrics, only, resources, template

ACCOUNT = "123456789012"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
BALANCER = "app/footfall/0123456789abcdef"
TARGETS = "targetgroup/footfall/0123456789abcdef"

NAMES: Mapping[str, str] = {
    **given("service"),
    **given("pipeline"),
    "AWS::StackName": "footfall",
    "FoundationStack": "footfall-foundation",
    "ErrorPercent": "1",
    "DropPercent": "60",
    "footfall-foundation-AlarmTopic": TOPIC,
    "Balancer": f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/{BALANCER}",
    "Balancer.LoadBalancerFullName": BALANCER,
    "Targets.TargetGroupFullName": TARGETS,
    "Cluster": "footfall",
    "Service.Name": "footfall",
    "Scaling": "service/footfall/footfall|ecs:service:DesiredCount|ecs",  # what a reference to it stands for
    "Store": "footfall-store",
    "FlowLogGroup": "/footfall-foundation/refused-connections",
}


def ecs_service(moto: Cloud) -> None:
    """A service that can be scaled. (moto looks for it.)"""
    ecs = moto.client("ecs")
    ecs.create_cluster(clusterName="footfall")
    ecs.register_task_definition(family="footfall", containerDefinitions=[{"name": "footfall", "image": "none", "memory": 128}])
    ecs.create_service(cluster="footfall", serviceName="footfall", taskDefinition="footfall", desiredCount=1)


def test_the_service_scales(moto: Cloud) -> None:
    """Between MinTasks and MaxTasks, by requests and by processor time."""
    ecs_service(moto)
    client = moto.client("application-autoscaling")
    target = resolved(only(template("service"), "AWS::ApplicationAutoScaling::ScalableTarget"), NAMES)
    client.register_scalable_target(
        **{**target, "MinCapacity": int(target["MinCapacity"]), "MaxCapacity": int(target["MaxCapacity"])}
    )
    for policy in resolved(resources(template("service"), "AWS::ApplicationAutoScaling::ScalingPolicy"), NAMES).values():
        resource, dimension, namespace = policy.pop("ScalingTargetId").split("|")
        configuration = policy["TargetTrackingScalingPolicyConfiguration"]
        configuration["TargetValue"] = float(configuration["TargetValue"])
        client.put_scaling_policy(ResourceId=resource, ScalableDimension=dimension, ServiceNamespace=namespace, **policy)
    (found,) = client.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert (found["MinCapacity"], found["MaxCapacity"]) == (2, 6)
    policies = client.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    metrics = {
        each["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"]["PredefinedMetricType"]
        for each in policies
    }
    assert metrics == {"ALBRequestCountPerTarget", "ECSServiceAverageCPUUtilization"}


def test_refused_connections_are_logged(moto: Cloud) -> None:
    """The flow log of the network takes its role and its group."""
    ec2 = moto.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.40.0.0/16")["Vpc"]["VpcId"]
    moto.client("logs").create_log_group(logGroupName=NAMES["FlowLogGroup"])
    role = moto.client("iam").create_role(RoleName="flow-log", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    asked = resolved(only(template("foundation"), "AWS::EC2::FlowLog"), {**NAMES, "Vpc": vpc, "FlowLogRole.Arn": role})
    answer = ec2.create_flow_logs(ResourceIds=[asked.pop("ResourceId")], **asked)
    assert not answer["Unsuccessful"]
    (found,) = ec2.describe_flow_logs()["FlowLogs"]
    assert (found["ResourceId"], found["TrafficType"]) == (vpc, "REJECT")


def test_github_is_believed(moto: Cloud) -> None:
    """The provider of GitHub's tokens is made, for the audience that the deploying role asks for."""
    asked = only(template("pipeline"), "AWS::IAM::OIDCProvider")
    iam = moto.client("iam")
    made = iam.create_open_id_connect_provider(Url=asked["Url"], ClientIDList=asked["ClientIdList"])
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=made["OpenIDConnectProviderArn"])
    assert found["ClientIDList"] == ["sts.amazonaws.com"]
    assert made["OpenIDConnectProviderArn"].endswith(":oidc-provider/token.actions.githubusercontent.com")


def test_the_firewall_stands_before_the_balancer(moto: Cloud) -> None:
    """The rules are taken as they are, and the list is put before the balancer."""
    waf = moto.client("wafv2")
    rules = resolved(only(template("service"), "AWS::WAFv2::WebACL"), {**NAMES, "RequestsPerAddress": "2000"})
    rate = rules["Rules"][0]["Statement"]["RateBasedStatement"]
    rate["Limit"] = int(rate["Limit"])
    made = waf.create_web_acl(Name="footfall", **rules)["Summary"]["ARN"]
    asked = resolved(only(template("service"), "AWS::WAFv2::WebACLAssociation"), {**NAMES, "FirewallRules.Arn": made})
    waf.associate_web_acl(**asked)
    assert waf.get_web_acl_for_resource(ResourceArn=asked["ResourceArn"])["WebACL"]["ARN"] == made


ALARMS: list[tuple[str, dict[str, Any]]] = [
    (key, each["Properties"])
    for name in ("store", "service")
    for key, each in template(name)["Resources"].items()
    if has_several_metrics(each)
]


@pytest.mark.parametrize("is_cluster", [False, True])
@pytest.mark.parametrize(("name", "alarm"), ALARMS, ids=[name for name, _ in ALARMS])
def test_an_alarm_over_several_metrics_is_taken(moto: Cloud, name: str, alarm: dict[str, Any], is_cluster: bool) -> None:
    """CloudWatch takes the alarm: exactly one of its metrics is what it is about, and the others are what that one names."""
    asked = resolved(alarm, {**NAMES, "IsCluster": "yes" if is_cluster else ""})
    moto.client("cloudwatch").put_metric_alarm(**{**asked, "Threshold": float(asked["Threshold"])})
    (found,) = moto.client("cloudwatch").describe_alarms(AlarmNames=[asked["AlarmName"]])["MetricAlarms"]
    assert found["AlarmActions"] == [TOPIC]
    about = [each for each in found["Metrics"] if each["ReturnData"]]
    assert len(about) == 1
    for each in found["Metrics"]:
        assert each["ReturnData"] or each["Id"] in about[0]["Expression"]
