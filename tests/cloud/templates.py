"""The CloudFormation templates as values, and as much of each as an emulator can carry.

What is left out or changed for an emulator is listed here and nowhere else, to be held against what the emulator itself says.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cfnlint.decode import cfn_yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "aws"

#: The templates, in the order in which their stacks are made.
NAMES = ("foundation", "pipeline", "store", "service")

#: What ministack refuses to create, and says so. The calls behind them are made to moto instead (test_rest.py).
REFUSED = (
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::EC2::FlowLog",
    "AWS::IAM::OIDCProvider",
    "AWS::WAFv2::WebACLAssociation",
)

#: Instead of an alarm over several metrics or a query, which ministack refuses too, this one is created under its name.
STAND_IN = {"Namespace": "Footfall/StandIn", "MetricName": "Nothing", "Statistic": "Sum", "Period": 60}

Template = dict[str, Any]


def template(name: str) -> Template:
    """A template with its short tags spelled out."""
    return json.loads(json.dumps(cfn_yaml.load(str(FOLDER / f"{name}.yaml"))))  # type: ignore[no-any-return]  # JSON's type is ours


def resources(given: Template, kind: str) -> dict[str, dict[str, Any]]:
    """The properties of every resource of a type, by its name in the template."""
    return {name: each["Properties"] for name, each in given["Resources"].items() if each["Type"] == kind}


def only(given: Template, kind: str) -> dict[str, Any]:
    """The properties of the one resource of a type."""
    (found,) = resources(given, kind).values()
    return found


def has_several_metrics(resource: dict[str, Any]) -> bool:
    """Whether it is an alarm over several metrics, or over what a query finds."""
    return resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]


def carried(given: Template) -> Template:
    """What ministack can carry of a template."""
    kept = {name: each for name, each in given["Resources"].items() if each["Type"] not in REFUSED}
    for name, each in kept.items():
        if has_several_metrics(each):
            kept[name] = {**each, "Properties": {**STAND_IN, **{k: v for k, v in each["Properties"].items() if k != "Metrics"}}}
    return {**given, "Resources": kept}


def parameters(size: str, name: str) -> dict[str, str]:
    """The parameters that the repository suggests for a stack of a size."""
    lines = (FOLDER / "parameters" / f"{size}-{name}.txt").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)
